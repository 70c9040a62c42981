package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/terms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixture returns the path of a file under fixtures.
func fixture(elements ...string) string {
	return filepath.Join(append([]string{"..", "..", "fixtures"}, elements...)...)
}

func TestAnalyze(t *testing.T) {
	path := fixture("nd-deadlock-ikev2", "glass.tcpdump.pcap")
	file := ipsecdiag(t, nil, "analyze", path)
	if file.status != statusFound || file.stderr != "" || !strings.HasPrefix(file.stdout, "1 error: ") {
		t.Errorf("got %+v", file)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stdin := ipsecdiag(t, bytes.NewReader(content), "analyze", "-")
	if got := strings.ReplaceAll(stdin.stdout, "stdin", filepath.Base(path)); stdin.status != statusFound || words(got) != words(file.stdout) {
		t.Errorf("standard input gives\n%s\nthe file\n%s", stdin.stdout, file.stdout)
	}
	healthy := ipsecdiag(t, nil, "analyze", fixture("healthy-ikev2", "glass.tcpdump.pcap"))
	if healthy.status != statusFine || !strings.HasPrefix(healthy.stdout, "Nothing wrong found") {
		t.Errorf("got %+v", healthy)
	}
}

// words drops the line breaks, which depend on the length of names.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestAnalyzeToFile(t *testing.T) {
	path := fixture("nd-deadlock-ikev2", "glass.tcpdump.pcap")
	out := filepath.Join(t.TempDir(), "out.json")
	r := ipsecdiag(t, nil, "analyze", "--format", "json", "-o", out, path)
	if r.status != statusFound || r.stdout != "" || r.stderr != "" {
		t.Errorf("got %+v", r)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Version  int
		Findings []rules.Finding
	}
	if err := json.Unmarshal(content, &d); err != nil || d.Version != 1 || len(d.Findings) == 0 || d.Findings[0].Rule != "nd-deadlock" {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestEvents(t *testing.T) {
	path := fixture("nd-deadlock-ikev2", "glass.tcpdump.pcap")
	kinds := func(args ...string) map[analyze.Kind]int {
		t.Helper()
		r := ipsecdiag(t, nil, append([]string{"events", path}, args...)...)
		if r.status != statusFine || r.stderr != "" {
			t.Fatalf("got %+v", r)
		}
		kinds := map[analyze.Kind]int{}
		for line := range strings.Lines(r.stdout) {
			e, err := analyze.DecodeEvent([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			kinds[analyze.KindOf(e)]++
		}
		return kinds
	}
	if k := kinds(); k[analyze.KindFrame] == 0 || k[analyze.KindTick] != 0 {
		t.Errorf("events are %v", k)
	}
	if k := kinds("--ticks"); k[analyze.KindTick] == 0 {
		t.Errorf("with ticks events are %v", k)
	}
}

func TestExplain(t *testing.T) {
	all := ipsecdiag(t, nil, "explain")
	for _, r := range rules.All {
		if !strings.Contains(all.stdout, r.ID) {
			t.Errorf("%s is not listed in %s", r.ID, all.stdout)
		}
		one := ipsecdiag(t, nil, "explain", r.ID)
		if one.status != statusFine || !strings.HasPrefix(one.stdout, r.ID+": ") || !strings.Contains(one.stdout, "Sources") {
			t.Errorf("got %+v", one)
		}
		for line := range strings.Lines(one.stdout) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("explain %s: %d columns: %s", r.ID, n, line)
			}
		}
	}
}

func TestExplainTerm(t *testing.T) {
	all := ipsecdiag(t, nil, "explain")
	for _, term := range terms.All {
		if !strings.Contains(all.stdout, "  "+term.Name) {
			t.Errorf("%s is not listed", term.Name)
		}
		one := ipsecdiag(t, nil, "explain", strings.ReplaceAll(term.Name, " ", "-"))
		if one.status != statusFine || !strings.HasPrefix(one.stdout, term.Name+": ") || !strings.Contains(one.stdout, "Sources:") {
			t.Errorf("got %+v", one)
		}
		for line := range strings.Lines(one.stdout) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("explain %s: %d columns: %s", term.Name, n, line)
			}
		}
	}
	if words := ipsecdiag(t, nil, "explain", "larval", "SA"); !strings.HasPrefix(words.stdout, "larval SA: ") {
		t.Errorf("got %+v", words)
	}
}

// TestExplainWithoutTerminal holds that no pager is run where output is piped.
func TestExplainWithoutTerminal(t *testing.T) {
	cmd := exec.Command(program, "explain", "ACQUIRE")
	cmd.Env = append(os.Environ(), "PAGER=sh -c exit\\ 7")
	if r := finish(t, cmd); r.status != statusFine || !strings.HasPrefix(r.stdout, "ACQUIRE: ") {
		t.Errorf("got %+v", r)
	}
}

// TestMan holds that every command has a manual page with all its flags.
func TestMan(t *testing.T) {
	dir := t.TempDir()
	writer := filepath.Join(dir, "writer.exe")
	if out, err := build(writer, "-tags", "man").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	man := func(args ...string) result {
		return finish(t, exec.Command(writer, append([]string{"man"}, args...)...))
	}
	dir = filepath.Join(dir, "man")
	if r := man(dir); r.status != statusFine || r.stdout+r.stderr != "" {
		t.Fatalf("got %+v", r)
	}
	pages := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		pages++
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".8"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(page), `\-`, "-")
		for _, section := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"} {
			if !strings.Contains(text, section) {
				t.Errorf("%s: no %s", cmd.CommandPath(), section)
			}
		}
		cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(text, "--"+f.Name) {
				t.Errorf("%s: --%s is not told of", cmd.CommandPath(), f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{in: os.Stdin, out: io.Discard, err: io.Discard}))
	if files, _ := os.ReadDir(dir); len(files) != pages || pages < 10 {
		t.Errorf("%d pages, %d files", pages, len(files))
	}
	man().refused(t, "needs one directory")
	man("/dev/null/man").refused(t, "write manual pages")
}

func TestHelpFitsTheTerminal(t *testing.T) {
	for _, command := range []string{"", "watch", "analyze", "check", "snapshot", "events", "explain", "demo", "version"} {
		r := ipsecdiag(t, nil, strings.Fields(command+" --help")...)
		if r.status != statusFine || r.stderr != "" || !strings.Contains(r.stdout, "Usage:") {
			t.Errorf("got %+v", r)
		}
		for line := range strings.Lines(r.stdout) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("%s --help: %d columns: %s", command, n, line)
			}
		}
	}
}

func TestNearNames(t *testing.T) {
	for name, want := range map[string]string{
		"nd_deadlock": "nd-deadlock", "deadlock": "nd-deadlock", "aquire-stall": "acquire-stall",
		"XfrmOutNoState": "XfrmOutNoStates", "outnostates": "XfrmOutNoStates", "aquire": "ACQUIRE", "larvalsa": "larval SA",
		"neighbor dicovery": "neighbour discovery", "": "", "q": "", "xyzzy": "",
	} {
		if got, _, _ := strings.Cut(strings.Join(nearNames(name), "|"), "|"); got != want {
			t.Errorf("nearNames(%q) = %q, want %q first", name, nearNames(name), want)
		}
	}
}

func TestVersion(t *testing.T) {
	r := ipsecdiag(t, nil, "version")
	if r.status != statusFine || !strings.HasPrefix(r.stdout, "ipsecdiag ") || !strings.Contains(r.stdout, "go1.") {
		t.Errorf("got %+v", r)
	}
}

func TestCompletion(t *testing.T) {
	ipsecdiag(t, nil, "completion", "foo").refused(t, `unknown command "foo"`)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := ipsecdiag(t, nil, "completion", shell); r.status != statusFine || !strings.Contains(r.stdout, "ipsecdiag") {
			t.Errorf("%s: got %+v", shell, r)
		}
	}
	for args, want := range map[string]string{
		"explain nd": "nd-deadlock", "explain xfrmoutno": "xfrmoutnoStates", "explain larval": "larval-SA", "watch a": "any", "analyze --format ": "json", "watch --acquire ": "always",
	} {
		before, last, _ := cutLast(args)
		r := ipsecdiag(t, nil, append(append([]string{"__complete"}, strings.Fields(before)...), last)...)
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q completes to %q, want %s", args, r.stdout, want)
		}
	}
}

// TestCompletionOfFiles holds that a shell offers files where files go, and only
// there.
func TestCompletionOfFiles(t *testing.T) {
	const files, noFiles = ":0\n", ":4\n"
	for args, want := range map[string]string{
		"analyze ": files, "events ": files, "watch -w ": files, "analyze -o ": files, "snapshot -o ": files,
		"demo ": noFiles, "version ": noFiles, "snapshot ": noFiles, "explain ": noFiles, "watch ": noFiles, "watch --netns ": noFiles,
		"explain nd-deadlock ": noFiles, "watch any --acquire ": noFiles,
	} {
		r := ipsecdiag(t, nil, append(append([]string{"__complete"}, strings.Fields(args)...), "")...)
		if r.status != statusFine || !strings.HasSuffix(r.stdout, want) {
			t.Errorf("%q completes to %q, want %q at its end", args, r.stdout, want)
		}
	}
}

func cutLast(s string) (before, last string, ok bool) {
	i := strings.LastIndex(s, " ")
	return s[:i], s[i+1:], i >= 0
}

// TestDemo holds what a newcomer sees, in the program and in README.md.
func TestDemo(t *testing.T) {
	r := ipsecdiag(t, nil, "demo")
	if r.status != statusFine || r.stderr != "" {
		t.Fatalf("got %+v", r)
	}
	const readme, begin, end = "../../README.md", "```text\n", "```\n"
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(content), begin)
	shown, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("README.md has no place for the demo")
	}
	if *update {
		content := before + begin + r.stdout + end + after
		if err := os.WriteFile(readme, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if shown != r.stdout {
		t.Errorf("README.md does not show what demo prints (go test ./cmd/ipsecdiag -update); got\n%s", r.stdout)
	}
}
