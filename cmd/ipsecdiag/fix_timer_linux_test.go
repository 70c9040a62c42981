package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSystemdRun keeps its arguments, one a line.
const fakeSystemdRun = `#!/bin/sh
printf '%s\n' "$@" >"$SYSTEMD_RUN_ARGS"
`

// TestIntegrationConfirmWithinSystemd pretends that systemd runs: the command of
// the transient timer undoes the application when it is run, and does nothing
// to a confirmed one. The real systemd-run, where it is installed, must know the
// options.
func TestIntegrationConfirmWithinSystemd(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	dir := t.TempDir()
	record := filepath.Join(dir, "args")
	if err := os.WriteFile(filepath.Join(dir, "systemd-run"), []byte(fakeSystemdRun), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/systemd", 0o755); err != nil {
		t.Fatal(err)
	}
	apply := func() (options, command []string) {
		t.Helper()
		const booted = `mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && exec "$@"`
		cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", booted, "sh", program}, h.args("nd-bypass --yes --confirm-within 90s")...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SYSTEMD_RUN_ARGS="+record)
		if r := finish(t, cmd); r.status != statusFine {
			t.Fatalf("got %+v", r)
		}
		b, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		before, after, _ := strings.Cut(string(b), "\n--\n")
		return strings.Split(before, "\n"), strings.Split(strings.TrimSpace(after), "\n")
	}
	options, command := apply()
	if !strings.Contains(strings.Join(options, " "), "--on-active=") || command[0] != program {
		t.Errorf("options %q, command %q", options, command)
	}
	if real, err := exec.LookPath("systemd-run"); err == nil {
		out, _ := exec.Command(real, append(append([]string{"--machine=no-such-machine"}, options...), "--", "/bin/true")...).CombinedOutput()
		for _, wrong := range []string{"unrecognized option", "Failed to parse", "Invalid", "ambiguous", "requires"} {
			if strings.Contains(string(out), wrong) {
				t.Errorf("systemd-run: %s", out)
			}
		}
	}
	if r := finish(t, exec.Command(command[0], command[1:]...)); r.status != statusFine {
		t.Errorf("when the time is over: %+v", r)
	}
	if now := h.ip("xfrm policy"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
	_, command = apply()
	h.must("confirm", statusFine, "Confirmed: 2")
	if r := finish(t, exec.Command(command[0], command[1:]...)); r.status != statusFine || !strings.Contains(r.stdout, "It was confirmed, and stays.") {
		t.Errorf("a confirmed one: %+v", r)
	}
	if now := h.ip("xfrm policy"); now == before {
		t.Error("a confirmed one was undone")
	}
}
