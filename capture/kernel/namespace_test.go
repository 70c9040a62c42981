//go:build linux

package kernel

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// patience bounds every wait of the tests; reaching it is a failure.
const patience = 30 * time.Second

var namespaces atomic.Int32

// testNS is a network namespace of one test.
type testNS struct {
	t    *testing.T
	name string
}

// newNS makes a network namespace that ends with the test. Tests that need one
// are skipped without the privilege to make it.
func newNS(t *testing.T) *testNS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("iproute2 is not installed")
	}
	ns := &testNS{t: t, name: fmt.Sprintf("ipsecdiag-%d-%d", os.Getpid(), namespaces.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", ns.name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns.name).Run() })
	ns.ip("link set lo up")
	return ns
}

// withLink adds ve0 (fd00::1, 10.1.1.1), joined to a ve1 that answers nothing:
// neighbours on it stay unresolved.
func (ns *testNS) withLink() *testNS {
	ns.t.Helper()
	ns.ip("link add ve0 type veth peer name ve1")
	ns.ip("link set ve1 up")
	ns.ip("link set ve0 up")
	ns.ip("addr add fd00::1/64 dev ve0 nodad")
	ns.ip("addr add 10.1.1.1/24 dev ve0")
	return ns
}

// ip runs the ip command in the namespace and returns its output.
func (ns *testNS) ip(args string) string {
	ns.t.Helper()
	return ns.run(append([]string{"ip", "-n", ns.name}, strings.Fields(args)...)...)
}

// batch runs many ip commands at once.
func (ns *testNS) batch(lines string) {
	ns.t.Helper()
	if err := ns.tryBatch(lines); err != nil {
		ns.t.Fatal(err)
	}
}

func (ns *testNS) tryBatch(lines string) error {
	cmd := exec.Command("ip", "-n", ns.name, "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %s", err, out)
	}
	return nil
}

func (ns *testNS) run(args ...string) string {
	ns.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		ns.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// do runs f on a thread in the namespace.
func (ns *testNS) do(f func() error) {
	ns.t.Helper()
	if err := netns.Do(ns.name, f); err != nil {
		ns.t.Fatal(err)
	}
}

// sysctl writes a setting of the namespace.
func (ns *testNS) sysctl(name, value string) {
	ns.t.Helper()
	ns.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
}

// udp sends a datagram from the namespace; whether it gets out is not asked.
func (ns *testNS) udp(dst string) {
	ns.t.Helper()
	to := netip.MustParseAddr(dst)
	ns.do(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_ = unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, &unix.SockaddrInet6{Port: 9, Addr: to.As16()})
		return nil
	})
}

// daemon opens a socket in the ACQUIRE group, as an IKE daemon does. It returns
// the function that closes it.
func (ns *testNS) daemon() (stop func()) {
	ns.t.Helper()
	var fd int
	ns.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, nl.XFRMNLGRP_ACQUIRE)
	})
	stop = sync.OnceFunc(func() { unix.Close(fd) })
	ns.t.Cleanup(stop)
	return stop
}

// daemonProcess runs a process that is in the ACQUIRE group and does not look
// like a monitor: this test program, started again.
func (ns *testNS) daemonProcess() (stop func()) {
	ns.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns.name, os.Args[0], "-test.run=^TestDaemonProcess$")
	cmd.Env = append(os.Environ(), "IPSECDIAG_TEST_DAEMON=1")
	if err := cmd.Start(); err != nil {
		ns.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	ns.t.Cleanup(stop)
	eventually(ns.t, "the daemon listens", func() bool { return ns.acquireGroup() > 0 })
	return stop
}

// TestDaemonProcess is no test but what daemonProcess runs.
func TestDaemonProcess(t *testing.T) {
	if os.Getenv("IPSECDIAG_TEST_DAEMON") == "" {
		t.Skip("only run by daemonProcess")
	}
	s, err := openSocket(unix.NETLINK_XFRM, nl.XFRMNLGRP_ACQUIRE)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	time.Sleep(patience) // until it is killed
}

// monitor runs `ip xfrm monitor` until stop is called or the test ends.
func (ns *testNS) monitor() (stop func()) {
	ns.t.Helper()
	cmd := exec.Command("ip", "-n", ns.name, "xfrm", "monitor", "acquire")
	if err := cmd.Start(); err != nil {
		ns.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	ns.t.Cleanup(stop)
	eventually(ns.t, "ip xfrm monitor listens", func() bool { return ns.acquireGroup() > 0 })
	return stop
}

// acquireGroup counts the sockets in the namespace's ACQUIRE group, ours too.
func (ns *testNS) acquireGroup() (n int) {
	ns.t.Helper()
	ns.do(func() error {
		return proc("/proc").table("netlink", func(f []string) {
			mask, _ := strconv.ParseUint(field(f, 3), 16, 64)
			if field(f, 1) == "6" && mask&1 != 0 {
				n++
			}
		})
	})
	return n
}

// larval returns the number of larval SAs as ip sees them.
func (ns *testNS) larval() int {
	ns.t.Helper()
	return strings.Count(ns.ip("xfrm state"), "spi 0x00000000")
}

// snapshot takes a snapshot of the namespace.
func (ns *testNS) snapshot() *analyze.Snapshot {
	ns.t.Helper()
	s, err := Snapshot(context.Background(), Options{Netns: ns.name, Host: "host"})
	if err != nil {
		ns.t.Fatal(err)
	}
	return s
}

// watching is a Watch that runs beside a test.
type watching struct {
	t      *testing.T
	events chan analyze.Event
	done   chan error
	stop   context.CancelFunc
	warned chan string
}

// watch starts to watch the namespace and returns after the first snapshot.
func (ns *testNS) watch(o Options) *watching {
	ns.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{
		t: ns.t, events: make(chan analyze.Event, 100000), done: make(chan error, 1), stop: cancel,
		warned: make(chan string, 100),
	}
	o.Netns, o.Host = ns.name, "host"
	o.Warn = func(s string) { w.warned <- s }
	if o.Poll == 0 {
		o.Poll = 50 * time.Millisecond
	}
	go func() {
		var last error
		for e, err := range Watch(ctx, o) {
			if last = err; err == nil {
				w.events <- e
			}
		}
		close(w.events)
		w.done <- last
	}()
	ns.t.Cleanup(func() { cancel(); <-w.done })
	awaitEvent(w, "first snapshot", func(e *analyze.Snapshot) bool { return true })
	return w
}

// awaitEvent returns the next event of that kind that fits.
func awaitEvent[E analyze.Event](w *watching, what string, fits func(E) bool) E {
	w.t.Helper()
	limit := time.After(patience)
	var seen []string
	for {
		select {
		case e, ok := <-w.events:
			if !ok {
				w.t.Fatalf("watch ended while waiting for %s", what)
			}
			if want, ok := e.(E); ok && fits(want) {
				return want
			}
			seen = append(seen, string(analyze.KindOf(e)))
		case <-limit:
			w.t.Fatalf("no %s in %s; came: %s", what, patience, strings.Join(seen, " "))
		}
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}
