package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/capture/netns"
)

// namespace makes a network namespace whose loopback is up.
func namespace(t *testing.T) string {
	t.Helper()
	needsPrivilege(t)
	test := strings.NewReplacer("/", "-", "Test", "").Replace(t.Name())
	name := fmt.Sprintf("ipsecdiag-view-%d-%s", os.Getpid(), strings.ToLower(test))
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("needs network namespaces: ip %q: %v: %s", args, err, out)
		}
	}
	ip("netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
	ip("-n", name, "link", "set", "lo", "up")
	return name
}

// sendIKE sends a request of IKE_SA_INIT inside a namespace, from 127.0.0.1 to
// 127.0.0.2, where nobody answers.
func sendIKE(t *testing.T, namespace string) {
	t.Helper()
	err := netns.Do(namespace, func() error {
		c, err := net.Dial("udp", "127.0.0.2:500")
		if err != nil {
			return err
		}
		defer c.Close()
		header := append([]byte("initiate"), make([]byte, 20)...)
		header[17], header[18], header[19], header[27] = 0x20, 34, 0x08, 28
		_, err = c.Write(header)
		return err
	})
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) { // told of the one before
		t.Fatal(err)
	}
}

// TestTerminalWatch watches a namespace, opens the ladder, and records a part.
func TestTerminalWatch(t *testing.T) {
	ns := namespace(t)
	dir := t.TempDir()
	x := startTerminal(t, 80, 24, nil, "sh", "-c", "cd "+dir+"; exec "+program+" watch lo --netns "+ns)
	x.shows(" ipsecdiag  lo on ", "no hosts seen yet")
	if !x.full() {
		t.Error("it is not full-screen")
	}
	for _, seen := range []string{"INIT sent", "INIT unansw. 2×", "INIT unansw. 3×"} {
		sendIKE(t, ns)
		x.shows("127.0.0.1 ↔ 127.0.0.2", seen)
		time.Sleep(60 * time.Millisecond) // the same message sooner is a copy of it
	}
	x.keys("w")
	x.shows("● REC", "recording to ipsecdiag-")
	sendIKE(t, ns)
	x.shows("INIT unansw. 4×")
	x.keys("w")
	x.shows("recorded to ipsecdiag-")
	x.keys("Enter")
	x.shows("IKE_SA_INIT request 0", "step ")
	x.keys("q")
	x.shows("pair ", "INIT unansw. 4×")
	x.keys("q")
	x.shows("watched for ", "recorded to ipsecdiag-", "terminal restored")
	files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	r := ipsecdiag(t, nil, "analyze", files[0])
	if !strings.Contains(r.stdout, "Looked at 1 IKE message,") || !strings.Contains(r.stdout, "with its kernel") {
		t.Errorf("got %+v", r)
	}
}

// TestTerminalWatchEnds holds that the terminal is as it was after every end of
// the view, and that the exit status tells it.
func TestTerminalWatchEnds(t *testing.T) {
	ns := namespace(t)
	pid := filepath.Join(t.TempDir(), "pid")
	command := "echo $$ > " + pid + "; exec " + program + " watch lo --netns " + ns
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		x := startTerminal(t, 80, 24, nil, "sh", "-c", command)
		x.shows("no hosts seen yet")
		content, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(n, signal)
		x.shows("watched for ")
		x.left(statusFine)
	}
	for args, want := range map[string]string{"--for 1s": "watched for ", "--acquire never -w /does/not/exist": "/does/not/exist: no such"} {
		x := startTerminal(t, 80, 24, nil, "sh", "-c", command+" "+args)
		status := statusFine
		if strings.Contains(args, "-w") {
			status = statusError
		}
		if screen := x.left(status); !strings.Contains(screen, want) {
			t.Errorf("%s: the screen is\n%s", args, screen)
		}
	}
	x := startTerminal(t, 80, 24, nil, program, "watch", "nosuch0", "--netns", ns)
	if screen := x.left(statusError); !strings.HasPrefix(screen, "ipsecdiag: ") {
		t.Errorf("the screen is\n%s", screen)
	}
}

// TestTerminalWatchInLines holds where watch is never full-screen.
func TestTerminalWatchInLines(t *testing.T) {
	ns := namespace(t)
	watch := program + " watch lo --for 1s --netns " + ns
	for name, c := range map[string][2]string{ // environment and command
		"plain": {"A=", watch + " --plain"}, "dumb": {"TERM=dumb", watch}, "json": {"A=", watch + " --format json"},
		"piped": {"A=", watch + " | cat"}, "without keys": {"A=", watch + " < /dev/null"},
	} {
		x := startTerminal(t, 100, 30, []string{c[0]}, "sh", "-c", c[1])
		if screen := x.left(statusFine); !strings.Contains(screen, "watching lo on ") || !strings.Contains(screen, "watched for ") {
			t.Errorf("%s: the screen is\n%s", name, screen)
		}
	}
}

// full is a disk without room.
type full struct{ after int }

func (f *full) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, syscall.ENOSPC
	}
	return len(b), nil
}

func (f *full) Close() error { return nil }

// TestRecordingOnFullDisk holds that watching goes on where a recording cannot,
// that this is told, and that what was written stays readable.
func TestRecordingOnFullDisk(t *testing.T) {
	var stderr bytes.Buffer
	w := newWatcher(watchOptions{}, streams{out: io.Discard, err: &stderr}, func(error) {})
	disk := &full{after: 1 << 12}
	rec, err := capture.NewRecorder(disk, capture.RecorderOptions{Host: "glass"})
	if err != nil {
		t.Fatal(err)
	}
	w.recording = &recording{ringFiles: ringFiles{path: "it.pcapng"}, file: disk, rec: rec}
	for i := range 200 {
		w.fold(lostAt(time.Duration(i) * time.Second))
	}
	if !errors.Is(w.failed, syscall.ENOSPC) || w.recording.on() || strings.Count(stderr.String(), "recording stopped: ") != 1 {
		t.Errorf("%v, %q", w.failed, stderr.String())
	}
	if n := len(w.engine.State.Losses); n != 1 || w.engine.State.Losses[0].Count != 200 {
		t.Errorf("after the recording failed, events are not seen: %+v", w.engine.State.Losses)
	}
}

// lostAt is an event that a recording holds.
func lostAt(mono time.Duration) *analyze.Lost {
	e := &analyze.Lost{What: "something", Count: 1}
	e.Header = analyze.Header{Time: time.Unix(1_700_000_000, 0).Add(mono), Mono: mono, Origin: analyze.Origin{Host: "glass"}}
	return e
}

// TestCompletionInNamespace holds that the interfaces of the namespace that is
// named are offered, and no others.
func TestCompletionInNamespace(t *testing.T) {
	ns := namespace(t)
	if out, err := exec.Command("ip", "-n", ns, "link", "add", "offered0", "type", "veth").CombinedOutput(); err != nil {
		t.Skipf("needs veth: %v: %s", err, out)
	}
	r := ipsecdiag(t, nil, "__complete", "watch", "--netns", ns, "offered")
	if !strings.Contains(r.stdout, "offered0\n") || strings.Contains(r.stdout, "\neth0\n") {
		t.Errorf("got %+v", r)
	}
	if r := ipsecdiag(t, nil, "__complete", "watch", "--netns", ns, "lo", ""); strings.Contains(r.stdout, "any") || strings.Contains(r.stdout, "lo\n") {
		t.Errorf("what is given already is offered again: %+v", r)
	}
	if r := ipsecdiag(t, nil, "__complete", "watch", "--netns", ns[:20]); !strings.Contains(r.stdout, ns) {
		t.Errorf("got %+v", r)
	}
}
