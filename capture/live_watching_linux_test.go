package capture

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// watching is a Live stream that a goroutine reads.
type watching struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	events   []analyze.Event
	warnings []string
	err      error // good once done is closed
}

// watch starts to read a stream and returns when it has started.
func watch(t *testing.T, netns string, interfaces ...string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{cancel: cancel, done: make(chan struct{})}
	w.start(t, ctx, LiveOptions{Interfaces: interfaces, Netns: netns, Host: "host", Warn: w.warn})
	return w
}

// start begins to read the stream with those options.
func (w *watching) start(t *testing.T, ctx context.Context, opt LiveOptions) {
	t.Helper()
	started := make(chan struct{})
	opt.Started = func() { close(started) }
	go w.read(ctx, opt)
	t.Cleanup(func() { w.end(t) })
	select {
	case <-started:
	case <-w.done:
		t.Fatalf("watch %v: %v", opt.Interfaces, w.err)
	case <-time.After(testPatience):
		t.Fatalf("watch %v: not started", opt.Interfaces)
	}
}

func (w *watching) read(ctx context.Context, opt LiveOptions) {
	defer close(w.done)
	for e, err := range Live(ctx, opt) {
		w.mu.Lock()
		if err != nil {
			w.err = err
		} else {
			w.events = append(w.events, e)
		}
		w.mu.Unlock()
	}
}

func (w *watching) warn(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warnings = append(w.warnings, s)
}

// end cancels the stream and waits for its end.
func (w *watching) end(t *testing.T) error {
	t.Helper()
	w.cancel()
	return w.wait(t)
}

// wait waits for the stream's end.
func (w *watching) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(testPatience):
		t.Fatal("the stream does not end")
		return nil
	}
}

// seen returns the events so far.
func (w *watching) seen() []analyze.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]analyze.Event(nil), w.events...)
}

// until waits until the events so far fulfil a condition.
func (w *watching) until(t *testing.T, what string, holds func([]analyze.Event) bool) {
	t.Helper()
	deadline := time.Now().Add(testPatience)
	for !holds(w.seen()) {
		if time.Now().After(deadline) {
			t.Fatalf("%s was not seen; seen:\n%s", what, strings.Join(described(w.seen()), "\n"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// untilWarned waits until warnings have come that begin so, in this order.
func (w *watching) untilWarned(t *testing.T, want ...string) {
	t.Helper()
	w.until(t, fmt.Sprintf("warnings %q", want), func([]analyze.Event) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		left := want
		for _, s := range w.warnings {
			if len(left) > 0 && strings.HasPrefix(s, left[0]) {
				left = left[1:]
			}
		}
		return len(left) == 0
	})
}

// untilFrame waits for a frame by its description.
func (w *watching) untilFrame(t *testing.T, want string) {
	t.Helper()
	w.until(t, want, func(events []analyze.Event) bool { return countOf(events, want) > 0 })
}

// countOf counts the events of one description.
func countOf(events []analyze.Event, want string) (n int) {
	for _, line := range described(events) {
		if line == want {
			n++
		}
	}
	return n
}

// described gives each event one line.
func described(events []analyze.Event) []string {
	var lines []string
	for _, e := range events {
		switch e := e.(type) {
		case *analyze.Frame:
			lines = append(lines, describeFrame(e))
		case *analyze.Flow:
			lines = append(lines, fmt.Sprintf("%s flow %x packets %d", e.Direction, e.Key.SPI, e.Packets))
		case *analyze.Lost:
			lines = append(lines, "lost "+e.What)
		default:
			lines = append(lines, fmt.Sprintf("%T", e))
		}
	}
	return lines
}

// describeFrame tells a frame's direction and kind, and what makes it the
// test's own: UDP payloads and SPIs.
func describeFrame(f *analyze.Frame) string {
	var p analyze.Packet
	if err := p.Decode(f.Link, f.Data); err != nil {
		return fmt.Sprintf("%s undecodable: %v", f.Direction, err)
	}
	if key, seq, ok := p.Flow(); ok {
		return fmt.Sprintf("%s spi %x seq %d", f.Direction, key.SPI, seq)
	}
	if typ, ok := p.ICMPv6Type(); ok {
		return fmt.Sprintf("%s icmpv6 %d", f.Direction, typ)
	}
	switch {
	case p.IsARP():
		return f.Direction.String() + " arp"
	case p.FragOffset > 0:
		return fmt.Sprintf("%s fragment %d", f.Direction, p.FragOffset)
	case p.Proto == 17:
		return fmt.Sprintf("%s udp %d>%d %.20q", f.Direction, p.SrcPort, p.DstPort, p.Payload)
	}
	return fmt.Sprintf("%s proto %d", f.Direction, p.Proto)
}
