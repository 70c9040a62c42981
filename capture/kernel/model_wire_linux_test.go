package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// wire is a network namespace whose policies are put to the test: tap0 leads to
// its neighbours, tap1 to a second network behind it. What is written to a TAP
// device has been received, and what is sent can be read from it, when the
// system call returns: nothing has to be waited for.
type wire struct {
	ns       *testNS
	taps     [2]int // files
	index    [3]int // of lo, tap0, tap1
	xfrm     *socket
	acquires *socket
	stat     *os.File
	raw      map[uint8]map[bool]int // sockets by protocol and IPv4
	cookies  uint64
	on       map[string]bool // settings of devices
	// ordersByAge is set on kernels that take the older of equal priorities
	// whatever its selector (xfrm_gen_pos).
	ordersByAge bool
	buf         []byte
}

// Addresses of the namespace and of who lives behind tap0 and tap1.
var (
	own6, own4    = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.1.0.1")
	ownLL         = netip.MustParseAddr("fe80::1")
	peers6        = []netip.Addr{netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3")}
	peers4        = []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")}
	peerLL        = netip.MustParseAddr("fe80::2")
	behind6       = netip.MustParseAddr("fd01::2")
	behind4       = netip.MustParseAddr("10.2.0.2")
	solicitedPeer = netip.MustParseAddr("ff02::1:ff00:2")
	solicitedOwn  = netip.MustParseAddr("ff02::1:ff00:1")
	allNodes      = netip.MustParseAddr("ff02::1")
	tapMAC        = [6]byte{2, 0, 0, 0, 0, 1}
	rawProtocols  = []uint8{spd.ProtoICMP, spd.ProtoICMPv6, spd.ProtoUDP, protoTest}
)

// protoTest is a protocol without ports (RFC 3692: for experiments).
const protoTest = 253

const wireSetUp = `link set %[1]s address 02:00:00:00:00:01
link set %[1]s up
addr add fd0%[2]d::1/64 dev %[1]s nodad
addr add 10.%[3]d.0.1/24 dev %[1]s
neigh add fd0%[2]d::2 lladdr 02:00:00:00:00:02 dev %[1]s
neigh add fd0%[2]d::3 lladdr 02:00:00:00:00:03 dev %[1]s
neigh add fe80::2 lladdr 02:00:00:00:00:02 dev %[1]s
neigh add 10.%[3]d.0.2 lladdr 02:00:00:00:00:02 dev %[1]s
neigh add 10.%[3]d.0.3 lladdr 02:00:00:00:00:03 dev %[1]s
`

// newWire makes the namespace. It ends with the test.
func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{ns: newNS(t), raw: map[uint8]map[bool]int{}, on: map[string]bool{}, buf: make([]byte, 4096)}
	// No packets of the kernel's own: no router solicitations, no reports of
	// groups and no addresses but ours.
	for name, value := range map[string]string{
		"net/ipv6/conf/default/accept_dad": "0", "net/ipv6/conf/default/accept_ra": "0",
		"net/ipv6/conf/default/router_solicitations": "0", "net/ipv6/conf/default/addr_gen_mode": "1",
		"net/ipv6/conf/default/mldv2_unsolicited_report_interval": "1",
		"net/ipv6/conf/all/forwarding":                            "1", "net/ipv4/ip_forward": "1",
		"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0",
		"net/core/xfrm_larval_drop": "1", "net/ipv6/icmp/ratelimit": "0", "net/ipv4/icmp_ratelimit": "0",
	} {
		w.ns.sysctl(name, value)
	}
	for i := range w.taps {
		name := fmt.Sprintf("tap%d", i)
		w.taps[i] = w.openTap(t, name)
		w.ns.batch(fmt.Sprintf(wireSetUp, name, i, i+1))
	}
	w.ns.batch("addr add fe80::1/64 dev tap0 nodad\n")
	w.ns.do(w.openSockets)
	t.Cleanup(w.close)
	w.ordersByAge = atLeast(6, 13)
	for i, name := range []string{"lo", "tap0", "tap1"} {
		w.index[i] = w.ns.ifindex(name)
	}
	return w
}

// atLeast reports whether the running kernel is of that version or a later one.
func atLeast(major, minor int) bool {
	var a, b int
	_, err := fmt.Sscanf(release(), "%d.%d", &a, &b)
	return err == nil && (a > major || a == major && b >= minor)
}

func (ns *testNS) ifindex(name string) int {
	ns.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(ns.run("ip", "netns", "exec", ns.name, "cat", "/sys/class/net/"+name+"/ifindex")))
	if err != nil {
		ns.t.Fatal(err)
	}
	return n
}

// openTap makes a TAP device and returns its other side.
func (w *wire) openTap(t *testing.T, name string) (fd int) {
	t.Helper()
	w.ns.do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			t.Skipf("needs a TAP device: %v", err)
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	})
	return fd
}

// openSockets opens what stays open for all of the test, in the namespace.
func (w *wire) openSockets() (err error) {
	if w.xfrm, err = openSocket(unix.NETLINK_XFRM); err != nil {
		return err
	}
	if w.acquires, err = openSocket(unix.NETLINK_XFRM, nl.XFRMNLGRP_ACQUIRE); err != nil {
		return err
	}
	if w.stat, err = os.Open("/proc/thread-self/net/xfrm_stat"); err != nil {
		return err
	}
	for _, proto := range rawProtocols {
		w.raw[proto] = map[bool]int{}
		for _, ipv4 := range []bool{true, false} {
			if w.raw[proto][ipv4], err = openRaw(ipv4, proto); err != nil {
				return err
			}
		}
	}
	return nil
}

func openRaw(ipv4 bool, proto uint8) (int, error) {
	family := unix.AF_INET6
	if ipv4 {
		family = unix.AF_INET
	}
	return unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(proto))
}

func (w *wire) close() {
	for _, fd := range w.taps {
		unix.Close(fd)
	}
	for _, families := range w.raw {
		for _, fd := range families {
			unix.Close(fd)
		}
	}
	w.xfrm.close()
	w.acquires.close()
	w.stat.Close()
}

// counters reads xfrm_stat; it stays that of the namespace in which it was
// opened.
func (w *wire) counters() (map[string]uint64, error) {
	n, err := w.stat.ReadAt(w.buf, 0)
	if n == 0 {
		return nil, fmt.Errorf("read xfrm_stat: %w", err)
	}
	out := map[string]uint64{}
	for line := range bytes.Lines(w.buf[:n]) {
		f := bytes.Fields(line)
		if len(f) != 2 {
			continue
		}
		if out[string(f[0])], err = strconv.ParseUint(string(f[1]), 10, 64); err != nil {
			return nil, fmt.Errorf("read xfrm_stat: %w", err)
		}
	}
	return out, nil
}

// reads calls f with what waits in a file that does not block.
func (w *wire) reads(fd int, f func([]byte)) error {
	for {
		n, err := unix.Read(fd, w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			f(w.buf[:n])
		}
	}
}

// forget drops all that waits to be read.
func (w *wire) forget() error {
	nothing := func([]byte) {}
	for _, fd := range w.taps {
		if err := w.reads(fd, nothing); err != nil {
			return err
		}
	}
	for _, families := range w.raw {
		for _, fd := range families {
			if err := w.reads(fd, nothing); err != nil {
				return err
			}
		}
	}
	return w.acquires.drain(func(message) {})
}
