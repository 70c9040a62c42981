package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
)

func TestIntegrationLiveNoInterface(t *testing.T) {
	a, _ := twoHosts(t)
	for missing, quoted := range map[string]string{
		"eth9": `"eth9"`, "a-name-longer-than-any": `"a-name-longer-than-any"`, "\x1b[2J": `"\x1b[2J"`,
	} {
		err := onlyError(t, LiveOptions{Interfaces: []string{"va", missing}, Netns: a})
		// Some kernels have interfaces of their own in every namespace.
		head := "no interface " + quoted + " in namespace " + a + "; there are: "
		if list, ok := strings.CutPrefix(err.Error(), head); !ok || !strings.HasSuffix(list, "lo, va") {
			t.Errorf("%q, want %q and lo, va", err, head)
		}
	}
	if err := onlyError(t, LiveOptions{Netns: a}); err.Error() != "no interface to watch" {
		t.Errorf("%q without interfaces", err)
	}
}

// onlyError returns the error of a stream that must have nothing else and must
// not start.
func onlyError(t *testing.T, opt LiveOptions) (only error) {
	t.Helper()
	opt.Started = func() { t.Errorf("%q: started", opt.Interfaces) }
	for e, err := range Live(t.Context(), opt) {
		if e != nil || err == nil || only != nil {
			t.Fatalf("%q: event %v, error %v after %v; want one error", opt.Interfaces, e, err, only)
		}
		only = err
	}
	if only == nil {
		t.Fatalf("%q: no error", opt.Interfaces)
	}
	return only
}

func TestIntegrationLiveNoNamespace(t *testing.T) {
	newNamespace(t) // skips without root
	for _, err := range Live(t.Context(), LiveOptions{Interfaces: []string{Any}, Netns: "ipsecdiag-none"}) {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "ipsecdiag-none") {
			t.Errorf("%v, want that the namespace does not exist", err)
		}
	}
}

// Without CAP_NET_RAW the error names it. The capability is dropped on a thread
// that ends with the goroutine.
func TestIntegrationLiveNoPrivilege(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to have a capability that it can drop")
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := dropNetRaw(); err != nil {
			result <- err
			return
		}
		for _, err := range Live(context.Background(), LiveOptions{Interfaces: []string{Any}}) {
			result <- err
			return
		}
		result <- nil
	}()
	err := <-result
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("%v, want fs.ErrPermission and the capability's name", err)
	}
}

// dropNetRaw takes CAP_NET_RAW from the calling thread.
func dropNetRaw() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	return unix.Capset(&head, &data[0])
}

// However a stream ends, it gives back its descriptors, its memory and its
// goroutines.
func TestIntegrationLiveLeavesNothing(t *testing.T) {
	a, b := twoHosts(t)
	frame := ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, nil)))
	before := resources(t)
	for range 10 {
		watch(t, b, Any).end(t)
		ctx, cancel := context.WithCancel(t.Context())
		opt := LiveOptions{Interfaces: []string{"vb"}, Netns: b, Started: func() { sendFrames(t, a, "va", frame) }}
		for range Live(ctx, opt) {
			break
		}
		cancel()
	}
	deadline := time.Now().Add(testPatience)
	for resources(t) != before {
		if time.Now().After(deadline) {
			t.Fatalf("%+v, were %+v", resources(t), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

type resourceCount struct{ sockets, rings, goroutines int }

// resources counts what a stream takes.
func resources(t *testing.T) (n resourceCount) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if strings.HasPrefix(target, "socket:") || strings.Contains(target, "[eventfd]") {
			n.sockets++
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	n.rings = strings.Count(string(maps), "socket:")
	n.goroutines = runtime.NumGoroutine()
	return n
}

// An interface that goes down is told of once and waited for.
func TestIntegrationLiveInterfaceDown(t *testing.T) {
	frame := func(payload string) []byte {
		return ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, []byte(payload))))
	}
	for name, interfaces := range map[string][]string{"one": {"vb"}, "several": {"vb", "lo"}} {
		t.Run(name, func(t *testing.T) {
			a, b := twoHosts(t)
			w := watch(t, b, interfaces...)
			ip(t, b, "link set vb down")
			w.until(t, "that vb is down", func(events []analyze.Event) bool {
				return countOf(events, "lost interface vb is down") == 1
			})
			ip(t, b, "link set vb up")
			w.until(t, "a frame after it is up", func(events []analyze.Event) bool {
				sendFrames(t, a, "va", frame("after"))
				return countOf(events, `in udp 500>500 "after"`) > 0
			})
			if n := countOf(w.seen(), "lost interface vb is down"); n != 1 {
				t.Errorf("told %d times that it is down, want once", n)
			}
			w.untilWarned(t, "interface vb is down", "interface vb is up")
		})
	}
}

// An interface that is down at the start is warned of and waited for.
func TestIntegrationLiveStartsDown(t *testing.T) {
	a, b := twoHosts(t)
	ip(t, b, "link set vb down")
	w := watch(t, b, "vb")
	if len(w.warnings) != 1 || w.warnings[0] != "interface vb is down" {
		t.Errorf("warnings %q, want one", w.warnings)
	}
	ip(t, b, "link set vb up")
	frame := ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, []byte("after"))))
	w.until(t, "a frame after it is up", func(events []analyze.Event) bool {
		sendFrames(t, a, "va", frame)
		return countOf(events, `in udp 500>500 "after"`) > 0
	})
}
