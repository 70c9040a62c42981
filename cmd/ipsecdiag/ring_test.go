package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

func TestRingIsReadAsItIsMeant(t *testing.T) {
	for text, want := range map[string]ring{
		"10x100MB":      {10, 100_000_000, 0},
		"2x64KiB":       {2, 1 << 16, 0},
		"24x1h":         {24, 0, time.Hour},
		"24x1h,1GiB":    {24, 1 << 30, time.Hour},
		"5x30s,200k":    {5, 200_000, 30 * time.Second},
		"5x200kB,1m30s": {5, 200_000, 90 * time.Second},
	} {
		var r ring
		if err := r.Set(text); err != nil || r != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
		var again ring
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%s prints as %s, which reads as %+v, %v", text, &r, again, err)
		}
	}
	for _, text := range []string{"", "10", "x1h", "1x1h", "0x1h", "-3x1h", "10x", "10x1", "10x1kB", "10x100ms", "10x99999999999TB", "10x1h,", "ax1h"} {
		var r ring
		if err := r.Set(text); err == nil || r.on() {
			t.Errorf("%q is taken for %+v", text, r)
		}
	}
}

// TestRingKeepsTheLatest holds that the oldest files are removed, those of an
// earlier run included, and nothing else.
func TestRingKeepsTheLatest(t *testing.T) {
	dir := t.TempDir()
	older := filepath.Join(dir, "it-20010203T040506.000Z.pcapng")
	others := []string{filepath.Join(dir, "it-notes.pcapng"), filepath.Join(dir, "other.pcapng")}
	for _, path := range append(others, older) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := recordRing(t, filepath.Join(dir, "it.pcapng"), ring{keep: 3, every: 2 * time.Second})
	if len(files) != 3 || files[0] == older {
		t.Fatalf("%q: the latest three files are to be kept", files)
	}
	for _, other := range others {
		if _, err := os.Stat(other); err != nil {
			t.Errorf("a file that is none of the ring's is gone: %v", err)
		}
	}
}

// TestRingOfAClockThatIsSetBack holds that the latest files are kept where the wall
// clock, by which they are called, was set back between them.
func TestRingOfAClockThatIsSetBack(t *testing.T) {
	t.Chdir(t.TempDir())
	var now time.Time
	r := recording{ringFiles: ringFiles{path: "./it.pcapng", ring: ring{keep: 3, every: time.Hour}, clock: func() time.Time { return now }}}
	for _, at := range []string{"10:00", "11:00", "12:00", "11:30", "12:30"} {
		now, _ = time.Parse("2006-01-02 15:04", "2026-01-02 "+at)
		if err := errors.Join(r.open(), r.finish()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := r.ring.files(r.path)
	want := []string{"it-20260102T113000.000Z.pcapng", "it-20260102T120000.000Z.pcapng", "it-20260102T123000.000Z.pcapng"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%q, %v, want %q", files, err, want)
	}
}

// TestRingFilesStandByThemselves holds that each file tells the state of the
// kernel, and that together they show what one would.
func TestRingFilesStandByThemselves(t *testing.T) {
	files := recordRing(t, filepath.Join(t.TempDir(), "it.pcapng"), ring{keep: 100, every: 4 * time.Second})
	if len(files) < 4 {
		t.Fatalf("%q: more files were expected of half a minute", files)
	}
	for _, file := range files {
		tellsTheKernel(t, file)
	}
	all := ipsecdiag(t, nil, append([]string{"analyze"}, files...)...)
	if all.stderr != "" || !strings.Contains(all.stdout, "1 error: neighbour discovery and IKE wait for each other") {
		t.Errorf("together: %s%s", all.stderr, all.stdout)
	}
}

// recordRing records the deadlock as if it were seen live, and returns the files.
func recordRing(t *testing.T, path string, r ring) []string {
	t.Helper()
	var stderr bytes.Buffer
	w := newWatcher(watchOptions{record: path, ring: r}, streams{out: &stderr, err: &stderr}, func(error) {})
	for e, err := range capture.Files(context.Background(), []string{fixture("nd-deadlock-ikev2", "glass.pcapng")}, capture.FileOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		w.fold(e)
		waitForAnotherName(w)
	}
	if err := w.stopRecording(); err != nil || w.failed != nil || stderr.Len() > 0 {
		t.Fatalf("%v, %v, %s", err, w.failed, stderr.String())
	}
	files, err := r.files(path)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// waitForAnotherName lets a millisecond pass, by which names differ.
func waitForAnotherName(w *watcher) {
	for w.ring.name("", time.Now()) == w.ring.name("", w.recording.start) {
		time.Sleep(100 * time.Microsecond)
	}
}

func tellsTheKernel(t *testing.T, file string) {
	t.Helper()
	for e, err := range capture.Files(context.Background(), []string{file}, capture.FileOptions{Warn: func(s string) { t.Error(s) }}) {
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := e.(*analyze.Snapshot); ok && len(s.Policies) > 0 {
			return
		}
	}
	t.Errorf("%s does not tell the kernel's policies", file)
}
