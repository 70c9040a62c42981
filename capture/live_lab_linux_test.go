package capture

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
