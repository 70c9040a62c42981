package capture

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

func TestRecorderRefusesSecondLinkType(t *testing.T) {
	r, err := NewRecorder(&bytes.Buffer{}, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	f := frameAt(0, []byte{1})
	f.Link = analyze.LinkSLL2
	if err := r.Record(f); !errors.Is(err, ErrMixedLinks) {
		t.Errorf("error %v, want %v", err, ErrMixedLinks)
	}
}

// TestRecorderFlushes holds that what was recorded is in the file at once where
// a kernel told it, and within a second of event time for frames: it is readable
// after SIGKILL.
func TestRecorderFlushes(t *testing.T) {
	var b bytes.Buffer
	r, err := NewRecorder(&b, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	inFile := func() int {
		events, warnings, err := readBytes(b.Bytes())
		if err != nil || len(warnings) != 0 {
			t.Fatalf("%v, warnings %q", err, warnings)
		}
		n := 0
		for _, e := range events {
			if analyze.KindOf(e) != analyze.KindTick {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		event analyze.Event
		want  int // events in the file afterwards
	}{
		{frameAt(0, []byte{1}), 0},
		{&analyze.Lost{Header: headAt(100*time.Millisecond, kernelOf), What: "x"}, 2},
		{frameAt(200*time.Millisecond, []byte{1}), 2},
		{&analyze.Tick{Header: headAt(time.Second, analyze.Origin{})}, 2},
		{&analyze.Tick{Header: headAt(2*time.Second, analyze.Origin{})}, 3},
		{frameAt(3500*time.Millisecond, []byte{1}), 4},
	} {
		h := step.event.Head()
		h.Mono = h.Time.Sub(t0)
		if err := r.Record(step.event); err != nil {
			t.Fatal(err)
		}
		if got := inFile(); got != step.want {
			t.Errorf("at %v: %d events in the file, want %d", h.Mono, got, step.want)
		}
	}
}

// TestRecorderWriteError holds that a full disk is told.
func TestRecorderWriteError(t *testing.T) {
	full := errors.New("no space left on device")
	w := &limitedWriter{left: 1000, err: full}
	r, err := NewRecorder(w, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range stamp(liveEvents(), 0) {
		err = errors.Join(err, r.Record(e))
	}
	if !errors.Is(err, full) || !errors.Is(r.Close(), full) {
		t.Errorf("error %v, want %v", err, full)
	}
	if _, _, err := readBytes(w.Bytes()); err != nil {
		t.Errorf("what was written is not readable: %v", err)
	}
}

// limitedWriter is a disk that gets full.
type limitedWriter struct {
	bytes.Buffer
	left int
	err  error
}

// Write implements io.Writer.
func (w *limitedWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	w.Buffer.Write(b[:n])
	if n < len(b) {
		return n, w.err
	}
	return n, nil
}
