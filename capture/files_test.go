package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ipsecdiag/analyze"
)

// smallPcap holds solicitations, one a second.
func smallPcap(start time.Time, n int) []byte {
	f := newPcap(binary.LittleEndian, true, 1)
	for i := range n {
		f.frame(start.Add(time.Duration(i)*time.Second), solicitation())
	}
	return f.data
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// TestFilesCompressed holds that compression is told by content, and that
// compressed files cut short give what came before.
func TestFilesCompressed(t *testing.T) {
	plain := smallPcap(t0, 5000)
	for name, data := range map[string][]byte{
		"plain.zst": plain, "gzip.pcap": gzipped(t, plain), "zstd.pcap": zstandard(t, plain),
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, name, data)
			events, err := collect(Files(t.Context(), []string{path}, FileOptions{}))
			if err != nil || len(frames(events)) != 5000 {
				t.Fatalf("%d frames, %v", len(frames(events)), err)
			}
			if o := events[0].Head().Origin; o != (analyze.Origin{Host: name}) {
				t.Errorf("origin %v", o)
			}
			cut, warnings, err := readBytes(data[:len(data)-9])
			if err != nil || len(warnings) != 1 || len(lost(cut)) != 1 {
				t.Errorf("cut: lost %q, warnings %q, %v", lost(cut), warnings, err)
			}
		})
	}
}

func TestFilesRefused(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.pcap")
	good := writeFile(t, "good.pcap", smallPcap(t0, 3))
	for name, tt := range map[string]struct {
		paths []string
		want  error
		text  string
	}{
		"missing":   {[]string{good, missing}, fs.ErrNotExist, missing + ": no such file or directory"},
		"directory": {[]string{dir}, ErrDirectory, dir + ": is a directory"},
		"none":      {nil, nil, "no capture file was given"},
		"stdin":     {[]string{"-", "-"}, nil, "standard input: can be read only once"},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := collect(Files(t.Context(), tt.paths, FileOptions{Stdin: bytes.NewReader(nil)}))
			if err == nil || len(events) != 0 || err.Error() != tt.text {
				t.Errorf("%d events, error %v, want %q", len(events), err, tt.text)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// TestFilesReadError holds that an error of the system is an error, and no file
// cut short.
func TestFilesReadError(t *testing.T) {
	broken := errors.New("input/output error")
	for name, data := range map[string][]byte{"pcap": smallPcap(t0, 3), "gzip": gzipped(t, smallPcap(t0, 3))[:40]} {
		r := &failingReader{data: data, err: broken}
		events, err := collect(Files(t.Context(), []string{"-"}, FileOptions{Stdin: r}))
		if !errors.Is(err, broken) {
			t.Errorf("%s: %d events, error %v", name, len(events), err)
		}
	}
}

// failingReader gives its data and then fails.
type failingReader struct {
	data []byte
	err  error
}

// Read implements io.Reader.
func (r *failingReader) Read(b []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(b, r.data)
	r.data = r.data[n:]
	return n, nil
}

// TestFilesMerged holds that several files are ordered by time, those of equal
// times by the order given, and that ticks and numbers fit.
func TestFilesMerged(t *testing.T) {
	a := writeFile(t, "x.pcap", smallPcap(t0, 3))
	other := solicitation()
	other[len(other)-1]++ // not the same packets
	c := newPcap(binary.LittleEndian, true, 1)
	for i := range 3 {
		c.frame(t0.Add(time.Duration(i+1)*time.Second), other)
	}
	b := writeFile(t, "x.pcap", c.data)
	events, err := collect(Files(t.Context(), []string{a, b}, FileOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		kind analyze.Kind
		host string
		mono time.Duration
	}
	s := time.Second
	want := []line{
		{analyze.KindAligned, "", 0}, {analyze.KindFrame, a, 0}, {analyze.KindTick, "", s}, {analyze.KindFrame, a, s}, {analyze.KindFrame, b, s},
		{analyze.KindTick, "", 2 * s}, {analyze.KindFrame, a, 2 * s}, {analyze.KindFrame, b, 2 * s},
		{analyze.KindTick, "", 3 * s}, {analyze.KindFrame, b, 3 * s},
	}
	if len(events) != len(want) {
		t.Fatalf("%d events, want %d", len(events), len(want))
	}
	for i, e := range events {
		h := e.Head()
		if got := (line{analyze.KindOf(e), h.Origin.Host, h.Mono}); got != want[i] || h.Seq != uint64(i+1) {
			t.Errorf("event %d: %+v seq %d, want %+v", i, got, h.Seq, want[i])
		}
		if !h.Time.Equal(t0.Add(h.Mono)) {
			t.Errorf("event %d: time %v at %v", i, h.Time, h.Mono)
		}
	}
}

// TestFilesEndTicks holds that ticks go on to the last frame of the file, though
// nobody asks for that frame.
func TestFilesEndTicks(t *testing.T) {
	f := newPcap(binary.LittleEndian, true, 1).frame(t0, solicitation()).frame(t0.Add(90*time.Second), tcpFrame())
	events, _ := readAll(t, f.data)
	if len(events) != 91 {
		t.Errorf("%d events, want a frame and 90 ticks", len(events))
	}
}

func TestFilesStop(t *testing.T) {
	a := writeFile(t, "a.pcap", smallPcap(t0, 3000))
	b := writeFile(t, "b.pcap", gzipped(t, smallPcap(t0, 3000)))
	for _, paths := range [][]string{{a}, {a, b}} {
		n := 0
		for range Files(t.Context(), paths, FileOptions{}) {
			if n++; n == 10 {
				break
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		n = 0
		var last error
		for _, err := range Files(ctx, paths, FileOptions{}) {
			if n++; n == 10 {
				cancel()
			}
			last = err
		}
		if !errors.Is(last, context.Canceled) || n > 10_000 {
			t.Errorf("%d events, then %v", n, last)
		}
		cancel()
	}
}

func TestFilesProgress(t *testing.T) {
	path := writeFile(t, "a.pcap", smallPcap(t0, 3000))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	opt := FileOptions{Progress: func(done, total int64) {
		calls++
		if done > info.Size() || total != 0 && total != info.Size() {
			t.Errorf("progress %d of %d", done, total)
		}
	}}
	if _, err := collect(Files(t.Context(), []string{path}, opt)); err != nil {
		t.Fatal(err)
	}
	if calls == 0 {
		t.Error("no progress was reported")
	}
}

// TestAShortCaptureIsJudged holds that what is over within a second is followed by
// a tick, at which rules are asked.
func TestAShortCaptureIsJudged(t *testing.T) {
	got, _ := readAll(t, recordAll(t, stamp([]analyze.Event{frameAt(0, []byte{1})}, 0)))
	if len(got) != 2 || got[1].Head().Mono != time.Second {
		t.Fatalf("%d events, want a frame and a tick", len(got))
	}
}
