package capture

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"
)

// testPatience is how long the tests wait for what must happen. Nothing depends on
// how long it takes.
const testPatience = 20 * time.Second

// namespaceCount numbers the namespaces that this process makes.
var namespaceCount atomic.Int32

// newNamespace makes a network namespace that ends with the test.
func newNamespace(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	name := fmt.Sprintf("ipsecdiag-live-%d-%d", os.Getpid(), namespaceCount.Add(1))
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	ip(t, name, "link set lo up")
	return name
}

// run runs a command that must succeed.
func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ip runs ip in a namespace.
func ip(t *testing.T, netns, args string) {
	t.Helper()
	run(t, append([]string{"ip", "-n", netns}, strings.Fields(args)...)...)
}

// twoHosts makes namespaces a and b, joined by the veth pair va and vb, with
// addresses 10.9.0.1, 10.9.0.2 and fd00:9::1, fd00:9::2.
func twoHosts(t *testing.T) (a, b string) {
	t.Helper()
	a, b = newNamespace(t), newNamespace(t)
	ip(t, a, "link add va type veth peer name vb netns "+b)
	for i, host := range []struct{ netns, dev string }{{a, "va"}, {b, "vb"}} {
		ip(t, host.netns, fmt.Sprintf("addr add 10.9.0.%d/24 dev %s", i+1, host.dev))
		ip(t, host.netns, fmt.Sprintf("addr add fd00:9::%d/64 dev %s nodad", i+1, host.dev))
		ip(t, host.netns, "link set "+host.dev+" up")
	}
	awaitLink(t, a, "va")
	awaitLink(t, b, "vb")
	return a, b
}

// awaitLink waits until a device that was set up sends what it is given: until
// then the kernel silently drops it (linkwatch_do_dev).
func awaitLink(t *testing.T, netns, dev string) {
	t.Helper()
	deadline := time.Now().Add(testPatience)
	for running := false; !running; time.Sleep(time.Millisecond) {
		inside(t, netns, func() error {
			link, err := net.InterfaceByName(dev)
			running = err == nil && link.Flags&net.FlagRunning != 0
			return err
		})
		if time.Now().After(deadline) {
			t.Fatalf("%s does not run", dev)
		}
	}
	ip(t, netns, "link set "+dev+" up") // waits its turn behind the kernel's own work
}

// inside runs f in a namespace.
func inside(t *testing.T, name string, f func() error) {
	t.Helper()
	if err := netns.Do(name, f); err != nil {
		t.Fatal(err)
	}
}

// sendUDP sends a datagram from a port of a namespace, until it goes: just
// after a link came up there may be no route yet.
func sendUDP(t *testing.T, netns string, sport int, to, payload string) {
	t.Helper()
	inside(t, netns, func() error {
		addr, err := net.ResolveUDPAddr("udp", to)
		if err != nil {
			return err
		}
		conn, err := net.DialUDP("udp", &net.UDPAddr{Port: sport}, addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(payload))
		return err
	})
}

// sendIP sends an IP payload of any protocol by a raw socket.
func sendIP(t *testing.T, netns string, proto int, to net.IP, payload []byte) {
	t.Helper()
	inside(t, netns, func() error {
		var addr unix.Sockaddr = &unix.SockaddrInet6{Addr: [16]byte(to.To16())}
		family := unix.AF_INET6
		if v4 := to.To4(); v4 != nil {
			addr, family = &unix.SockaddrInet4{Addr: [4]byte(v4)}, unix.AF_INET
		}
		fd, err := unix.Socket(family, unix.SOCK_RAW, proto)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, payload, 0, addr)
	})
}

// sendFrames sends whole frames out of a device.
func sendFrames(t *testing.T, netns, dev string, frames ...[]byte) {
	t.Helper()
	inside(t, netns, func() error {
		link, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, frame := range frames {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
				return err
			}
		}
		return nil
	})
}

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
	started := make(chan struct{})
	opt := LiveOptions{
		Interfaces: interfaces, Netns: netns, Host: "host", Warn: w.warn,
		Started: func() { close(started) },
	}
	go w.read(ctx, opt)
	t.Cleanup(func() { w.end(t) })
	select {
	case <-started:
	case <-w.done:
		t.Fatalf("watch %v: %v", interfaces, w.err)
	case <-time.After(testPatience):
		t.Fatalf("watch %v: not started", interfaces)
	}
	return w
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
