package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesTheTestsThatHoldIt holds that each sentence of SECURITY.md ends
// with the tests that hold it, and that there are such tests.
func TestSecurityNamesTheTestsThatHoldIt(t *testing.T) {
	root := filepath.Join("..", "..")
	content, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testsBelow(t, root)
	named := regexp.MustCompile(`^- [^.]*[^.)] \((Test\w+(?:, Test\w+)*)\)\.$`)
	claims := 0
	_, body, _ := strings.Cut(string(content), "\n## ") // before are no claims
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "- ") {
			if line != "" && !strings.HasPrefix(line, "## ") && claims > 0 {
				t.Errorf("this is no sentence with its tests: %q", line)
			}
			continue
		}
		claims++
		m := named.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not one sentence with the tests that hold it: %q", line)
			continue
		}
		for _, name := range strings.Split(m[1], ", ") {
			if !tests[name] {
				t.Errorf("there is no %s, which is to hold: %q", name, line)
			}
		}
	}
	if claims < 10 {
		t.Errorf("only %d sentences were found", claims)
	}
}

// testsBelow names the tests of all packages.
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
