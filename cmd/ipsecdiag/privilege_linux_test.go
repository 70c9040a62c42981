package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// netAdmin is a set of capabilities that holds CAP_NET_ADMIN alone.
const netAdmin = "0000000000001000"

// TestKernelReadersKeepOneCapability holds that what reads the kernel as root
// has CAP_NET_ADMIN by then and nothing else, in a namespace too.
func TestKernelReadersKeepOneCapability(t *testing.T) {
	ns := namespace(t)
	for _, args := range []string{
		"snapshot", "check", "lookup fd00::1 fd00::2", "fix", "fix list", "fix nd-bypass --dry-run",
	} {
		words := append(strings.Fields(args), "--netns", ns, "--verbose")
		if strings.HasPrefix(args, "fix") {
			words = append(words, "--journal", filepath.Join(t.TempDir(), "journal"))
		}
		r := finish(t, exec.Command(program, words...))
		const want = ": user 0, CAP_NET_ADMIN, no_new_privs\n"
		if strings.Count(r.stderr, "the kernel is read by process ") != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: got %+v", args, r)
		}
	}
}

// TestFixHoldsOneCapability holds what /proc says of fix while it waits.
func TestFixHoldsOneCapability(t *testing.T) {
	ns := namespace(t)
	journal := filepath.Join(t.TempDir(), "journal")
	if r := ipsecdiag(t, nil, "fix", "nd-bypass", "--yes", "--netns", ns, "--journal", journal); r.status != statusFine {
		t.Fatalf("got %+v", r)
	}
	cmd := exec.Command(program, "fix", "undo", "--after", "1h", "--netns", ns, "--verbose", "--journal", journal)
	stderr := &lines{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	stderr.await(t, "the kernel is read by process ")
	held(t, cmd.Process.Pid, map[string]string{
		"Uid": "0", "CapInh": noCapability, "CapPrm": netAdmin, "CapEff": netAdmin, "CapAmb": noCapability, "NoNewPrivs": "1",
	})
}

// TestFixExportsIntoTheHomeOfWhoCalledSudo holds that root without
// CAP_DAC_OVERRIDE writes as who called sudo where a directory is theirs, and
// refuses to write where it is somebody else's.
func TestFixExportsIntoTheHomeOfWhoCalledSudo(t *testing.T) {
	ns := namespace(t)
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // as that of a home is
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 12345, 12345); err != nil {
		t.Skipf("needs root, to be somebody else: %v", err)
	}
	script := filepath.Join(home, "peer.ip")
	fix := func(environment ...string) result {
		cmd := exec.Command(program, "fix", "nd-bypass", "--yes", "--netns", ns, "--peer-script", script, "--journal", filepath.Join(t.TempDir(), "journal"))
		cmd.Env = append(os.Environ(), environment...)
		return finish(t, cmd)
	}
	fix("SUDO_UID=777", "SUDO_GID=777").refused(t, "it does not belong to root")
	if r := fix("SUDO_UID=12345", "SUDO_GID=12345"); r.status != statusFine {
		t.Fatalf("got %+v", r)
	}
	info, err := os.Stat(script)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 12345 {
		t.Errorf("%v, %v", info, err)
	}
}
