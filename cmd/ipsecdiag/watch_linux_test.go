package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/kernel"
)

// needsPrivilege skips a test that opens sockets.
func needsPrivilege(t *testing.T) {
	t.Helper()
	if p, err := kernel.Privilege(); err != nil || !p.NetRaw || !p.NetAdmin {
		t.Skip("needs CAP_NET_RAW and CAP_NET_ADMIN: run it as root")
	}
}

// as makes cmd run as nobody with these capabilities alone.
func as(t *testing.T, cmd *exec.Cmd, capabilities ...uintptr) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give up its privileges")
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: capabilities,
	}
	return cmd
}

func TestWatchWithoutPrivilege(t *testing.T) {
	finish(t, as(t, exec.Command(program, "watch", "lo"))).refused(t, "CAP_NET_RAW")
	finish(t, as(t, exec.Command(program, "snapshot"))).refused(t, "CAP_NET_ADMIN is missing")
}

func TestWatchWithOneCapability(t *testing.T) {
	for missing, capability := range map[string]uintptr{
		"CAP_NET_ADMIN is missing": unix.CAP_NET_RAW,
		"CAP_NET_RAW is missing":   unix.CAP_NET_ADMIN,
	} {
		r := finish(t, as(t, exec.Command(program, "watch", "lo", "--for", "1s"), capability))
		if r.status != statusFine || strings.Count(r.stderr, missing) != 1 || !strings.Contains(r.stderr, "\nwatching ") {
			t.Errorf("%s: got %+v", missing, r)
		}
	}
}

func TestWatchUnknownInterface(t *testing.T) {
	needsPrivilege(t)
	file := filepath.Join(t.TempDir(), "kept.pcapng")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	ipsecdiag(t, nil, "watch", "nosuch0", "-w", file).refused(t, "nosuch0")
	if content, _ := os.ReadFile(file); string(content) != "dear" {
		t.Errorf("a mistyped interface cost a recording")
	}
}

func TestWatchUnwritableRecording(t *testing.T) {
	needsPrivilege(t)
	ipsecdiag(t, nil, "watch", "lo", "-w", "/does/not/exist").refused(t, "/does/not/exist: no such file")
	ipsecdiag(t, nil, "watch", "lo", "-w", "-").refused(t, "give a file")
}

func TestWatchRecords(t *testing.T) {
	needsPrivilege(t)
	file := filepath.Join(t.TempDir(), "lo.pcapng")
	r := ipsecdiag(t, nil, "watch", "lo", "--for", "1500ms", "-w", file, "--format", "json")
	if r.status != statusFine || !strings.Contains(r.stderr, "watching lo on ") || !strings.Contains(r.stderr, "\nwatched for ") {
		t.Errorf("got %+v", r)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("recording: %v, %v", info, err)
	}
	if r := ipsecdiag(t, nil, "analyze", file); r.status != statusFine || !strings.Contains(r.stdout, "Nothing wrong found") {
		t.Errorf("got %+v", r)
	}
}

// TestWatchEndsOnSignals holds that Ctrl-C and SIGTERM end it promptly, with a
// summary.
func TestWatchEndsOnSignals(t *testing.T) {
	needsPrivilege(t)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.Command(program, "watch", "lo")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stderr)
		for line := ""; !strings.HasPrefix(line, "watching lo on "); {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		sent := time.Now()
		cmd.Process.Signal(signal)
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "watched for ") {
			t.Errorf("%v: %v, %q", signal, err, rest)
		}
		if took := time.Since(sent); took > 3*time.Second {
			t.Errorf("%v: took %v to end", signal, took)
		}
	}
}

func TestSnapshot(t *testing.T) {
	needsPrivilege(t)
	file := write(t, "old.json", []byte("{}")) // readable to all before
	if r := ipsecdiag(t, nil, "snapshot", "-o", file); r.status != statusFine || r.stdout != "" {
		t.Fatalf("got %+v", r)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Version int
		Time    time.Time
		Origin  analyze.Origin
		analyze.KernelState
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil || d.Version != 1 || d.Release == "" || len(d.Links) == 0 || d.Time.IsZero() {
		t.Errorf("got %s, %v", content, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
