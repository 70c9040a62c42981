//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze"

	"golang.org/x/sys/unix"
)

// TestIntegrationWatchEnds holds that every way of ending Watch is prompt and leaves
// neither goroutines nor file descriptors behind.
func TestIntegrationWatchEnds(t *testing.T) {
	ns := newNS(t).withLink()
	ns.daemon() // so that all sockets are open
	ends := map[string]func(){
		"break": func() {
			for range Watch(context.Background(), Options{Netns: ns.name}) {
				break
			}
		},
		"cancel while waiting": func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for _, err := range Watch(ctx, Options{Netns: ns.name, Poll: time.Hour}) {
				if err != nil {
					t.Error(err)
				}
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		},
		"cancelled before": func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			for e, err := range Watch(ctx, Options{Netns: ns.name}) {
				t.Errorf("event %v, error %v", e, err)
			}
		},
		"deadline": func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			for _, err := range Watch(ctx, Options{Netns: ns.name, Poll: time.Millisecond}) {
				if err != nil {
					t.Error(err)
				}
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			goroutines, fds := runtime.NumGoroutine(), openFiles(t)
			start := time.Now()
			end()
			if d := time.Since(start); d > patience {
				t.Errorf("took %s", d)
			}
			eventually(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines })
			if n := openFiles(t); n > fds {
				t.Errorf("%d files open, %d before", n, fds)
			}
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestIntegrationNamespaceVanishes(t *testing.T) {
	ns := newNS(t)
	w := ns.watch(Options{})
	ns.run("ip", "netns", "del", ns.name)
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-w.events:
			if ok {
				continue
			}
			err := <-w.done
			w.done <- nil // for the cleanup
			if !errors.Is(err, errGone) {
				t.Errorf("ended with %v", err)
			}
			return
		case <-limit:
			t.Fatal("watch goes on in a namespace that was deleted")
		}
	}
}

func TestWatchUnknownNamespace(t *testing.T) {
	n := 0
	for e, err := range Watch(context.Background(), Options{Netns: "no-such-namespace"}) {
		n++
		if e != nil || !errors.Is(err, unix.ENOENT) {
			t.Errorf("event %v, error %v", e, err)
		}
	}
	if n != 1 {
		t.Errorf("%d yields, want one error", n)
	}
}

// TestIntegrationWatchOfTheThreadsNamespace: without a name it is the calling
// thread's namespace.
func TestIntegrationWatchOfTheThreadsNamespace(t *testing.T) {
	ns := newNS(t).withLink()
	ns.do(func() error {
		for e, err := range Watch(context.Background(), Options{}) {
			if err != nil {
				return err
			}
			s, ok := e.(*analyze.Snapshot)
			if !ok || s.Origin.Netns != "" {
				return fmt.Errorf("first event %+v", e)
			}
			if !slices.ContainsFunc(s.Links, func(l analyze.Link) bool { return l.Name == "ve0" }) {
				t.Errorf("links %+v are not the namespace's", s.Links)
			}
			break
		}
		return nil
	})
}
