package capture

import (
	"context"
	"errors"
	"io"
	"reflect"
	"runtime"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// One processor or two, the events are the same.
func TestAheadDeterministic(t *testing.T) {
	a := writeFile(t, "a.pcap", espCapture(50_000))
	b := writeFile(t, "b.pcap.gz", gzipped(t, smallPcap(t0, 3000)))
	read := func(processors int) []analyze.Event {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		events, err := collect(Files(t.Context(), []string{a, b}, FileOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		return events
	}
	one, two := read(1), read(2)
	if len(one) < 3000 || !reflect.DeepEqual(one, two) {
		t.Errorf("%d events on one processor, %d on two, or others", len(one), len(two))
	}
}

// What a pipe has brought is handed on though it brings no more.
func TestAheadDoesNotHoldBack(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go w.Write(smallPcap(t0, 3))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n := 0
	for e, err := range Files(ctx, []string{"-"}, FileOptions{Stdin: r}) {
		if err != nil {
			t.Fatalf("%v after %d frames", err, n)
		}
		if _, ok := e.(*analyze.Frame); ok {
			if n++; n == 3 {
				w.Close() // only now does the pipe end
			}
		}
	}
	if n != 3 {
		t.Errorf("%d frames", n)
	}
}

// The context ends the stream though a pipe is being waited for.
func TestAheadEndsWithContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go w.Write(smallPcap(t0, 3))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range Files(ctx, []string{"-"}, FileOptions{Stdin: r}) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}
