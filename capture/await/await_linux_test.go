package await

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// long is a time that no test waits for.
const long = time.Minute

func newPoller(t *testing.T) (*Poller, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, cancel
}

func pipe(t *testing.T) (read, write int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func wantReady(t *testing.T, p *Poller, timeout time.Duration, fds []int, want ...int) []Ready {
	t.Helper()
	ready, err := p.Wait(timeout, fds...)
	if err != nil || len(ready) != len(want) {
		t.Fatalf("got %v, %v, want %v", ready, err, want)
	}
	for i, r := range ready {
		if r.FD != want[i] {
			t.Fatalf("got %v, want %v", ready, want)
		}
	}
	return ready
}

// TestWait holds that a descriptor is reported while it can be read, each time, and
// not when nothing is there.
func TestWait(t *testing.T) {
	p, _ := newPoller(t)
	a, toA := pipe(t)
	b, toB := pipe(t)
	wantReady(t, p, 0, []int{a, b})
	wantReady(t, p, time.Millisecond, []int{a, b})
	for range 1000 {
		written := make(chan error, 1)
		go func() { _, err := unix.Write(toB, []byte{1}); written <- err }()
		wantReady(t, p, long, []int{a, b}, b)
		wantReady(t, p, long, []int{a, b}, b)
		var buf [8]byte
		if _, err := unix.Read(b, buf[:]); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(toA)
	if r := wantReady(t, p, long, []int{a, b}, a); r[0].Events&unix.POLLHUP == 0 {
		t.Errorf("of a pipe whose other end is closed: %x", r[0].Events)
	}
}

// TestDescriptorsOfOneNumber holds that a descriptor is waited for that has the
// number of one that was closed.
func TestDescriptorsOfOneNumber(t *testing.T) {
	p, _ := newPoller(t)
	for range 100 {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		wantReady(t, p, 0, []int{fds[0]})
		if _, err := unix.Write(fds[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		wantReady(t, p, long, []int{fds[0]}, fds[0])
		unix.Close(fds[0])
		unix.Close(fds[1])
	}
}

// TestOthers holds that one which was waited for before, and is ready, wakes nobody.
func TestOthers(t *testing.T) {
	p, _ := newPoller(t)
	a, toA := pipe(t)
	b, _ := pipe(t)
	if _, err := unix.Write(toA, []byte{1}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		wantReady(t, p, long, []int{a, b}, a)
		wantReady(t, p, time.Millisecond, []int{b})
	}
}

// TestEnd holds that the context's end ends a wait, before it and during it.
func TestEnd(t *testing.T) {
	for range 200 {
		p, cancel := newPoller(t)
		a, _ := pipe(t)
		go cancel()
		if ready, err := p.Wait(long, a); !errors.Is(err, context.Canceled) || len(ready) > 0 {
			t.Fatalf("got %v, %v", ready, err)
		}
		if _, err := p.Wait(long, a); !errors.Is(err, context.Canceled) {
			t.Fatalf("afterwards: %v", err)
		}
	}
}

// TestWaitErrors holds that the error says what it is about.
func TestWaitErrors(t *testing.T) {
	p, _ := newPoller(t)
	if _, err := p.Wait(0, 1<<20); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
}
