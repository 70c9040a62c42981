// Package packages_test builds the packages and tries them: each twice, for the
// same bytes, and the .deb in a Debian tree of its own.
package packages_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tool returns the command line of a tool that the Makefile names.
func tool(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+" = "); ok {
			return strings.TrimSpace(strings.ReplaceAll(rest, "$(GO)", "go"))
		}
	}
	t.Fatalf("the Makefile does not say what %s is", name)
	return ""
}

// build makes the packages for this machine into a directory.
func build(t *testing.T, version string) string {
	t.Helper()
	if os.Getenv("IPSECDIAG_LAB") == "" {
		t.Skip("set IPSECDIAG_LAB=1 to build packages, which takes a minute")
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is missing: this is no Debian")
	}
	dir := t.TempDir()
	cmd := exec.Command("./build.sh", dir)
	cmd.Env = append(os.Environ(), "NFPM="+tool(t, "NFPM"), "SBOM="+tool(t, "SBOM"), "VERSION="+version, "ARCHES=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	return dir
}

func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(files) != 1 {
		t.Fatalf("%q match %s", files, pattern)
	}
	return files[0]
}

// TestPackagesAreReproducible builds everything twice.
func TestPackagesAreReproducible(t *testing.T) {
	first, second := build(t, "1.0"), build(t, "1.0")
	for _, pattern := range []string{"*.deb", "*.rpm", "*.tar.gz", "*.sbom.json", "SHA256SUMS"} {
		a, b := read(t, one(t, first, pattern)), read(t, one(t, second, pattern))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes, and they differ", pattern, len(a), len(b))
		}
	}
	sums := string(read(t, one(t, first, "SHA256SUMS")))
	for _, pattern := range []string{"*.deb", "*.rpm", "*.tar.gz", "*.sbom.json"} {
		file := one(t, first, pattern)
		if want := sha256Hex(read(t, file)) + "  " + filepath.Base(file); !strings.Contains(sums, want) {
			t.Errorf("SHA256SUMS lacks %s", want)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sha256Hex(b []byte) string {
	const digits = "0123456789abcdef"
	sum := sha256.Sum256(b)
	var s strings.Builder
	for _, x := range sum {
		s.WriteByte(digits[x>>4])
		s.WriteByte(digits[x&15])
	}
	return s.String()
}

// TestDebInATreeOfItsOwn installs, uses, upgrades, removes and purges the .deb in
// this machine's own Debian under an overlay in memory.
func TestDebInATreeOfItsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a tree")
	}
	older, newer := one(t, build(t, "1.0"), "*.deb"), one(t, build(t, "1.1"), "*.deb")
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--net", "sh", "-eu", "try-deb.sh", t.TempDir(), older, newer)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "all of it held") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestServiceIsLockedIn asks systemd how much the unit is exposed.
func TestServiceIsLockedIn(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", "./ipsecdiag-watch@.service").CombinedOutput()
	if err != nil {
		t.Errorf("exposed to more than 2.0: %v\n%s", err, out)
	}
}

var metricName = regexp.MustCompile(`\bipsecdiag_[a-z_]+`)

// TestAlertsAskForMetricsThatThereAre compares the alerts with what the metrics
// are called where they are made.
func TestAlertsAskForMetricsThatThereAre(t *testing.T) {
	source := string(read(t, "../metrics/collector.go"))
	asked := 0
	s := bufio.NewScanner(bytes.NewReader(read(t, "alerts.yml")))
	for s.Scan() {
		for _, name := range metricName.FindAllString(s.Text(), -1) {
			asked++
			if !strings.Contains(source, `description("`+strings.TrimPrefix(name, "ipsecdiag_")+`"`) {
				t.Errorf("an alert asks for %s", name)
			}
		}
	}
	if asked < 5 {
		t.Errorf("only %d metrics are asked for", asked)
	}
}

// TestPromtoolAcceptsTheAlerts runs Prometheus' own check.
func TestPromtoolAcceptsTheAlerts(t *testing.T) {
	promtool := os.Getenv("IPSECDIAG_PROMTOOL")
	if promtool == "" {
		promtool = "promtool"
	}
	path, err := exec.LookPath(promtool)
	if err != nil {
		t.Skip("promtool is not installed")
	}
	if out, err := exec.Command(path, "check", "rules", "alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
