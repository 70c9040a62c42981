package capture

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"
)

// tryIP runs ip in a namespace and skips the test where the kernel has no such
// device.
func tryIP(t *testing.T, netns, args string) {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", netns}, strings.Fields(args)...)...).CombinedOutput()
	if strings.Contains(string(out), "Unknown device type") {
		t.Skipf("this kernel cannot: ip %s; the lab runs it", args)
	}
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// checkOnce makes traffic between namespace a and the host behind it, b, and
// holds that a watch on any in b counts each packet once, with its direction.
func checkOnce(t *testing.T, a, b string) {
	t.Helper()
	w := watch(t, b, Any)
	for i := range 5 {
		sendUDP(t, a, 500, "[fd00:9::2]:500", fmt.Sprint("to b ", i))
		sendUDP(t, b, 500, "[fd00:9::1]:500", fmt.Sprint("to a ", i))
	}
	for range 2 { // the same bytes twice, at once: a retransmission, not a copy
		sendUDP(t, a, 4500, "[fd00:9::2]:4500", "\xff")
	}
	for i := range 5 {
		w.untilFrame(t, fmt.Sprintf(`in udp 500>500 "to b %d"`, i))
		w.untilFrame(t, fmt.Sprintf(`out udp 500>500 "to a %d"`, i))
	}
	w.until(t, "a second keepalive", func(events []analyze.Event) bool {
		return countOf(events, `in udp 4500>4500 "\xff"`) >= 2
	})
	sendUDP(t, a, 500, "[fd00:9::2]:500", "last")
	w.untilFrame(t, `in udp 500>500 "last"`)
	counts := map[string]int{}
	for _, line := range described(w.seen()) {
		counts[line]++
	}
	for line, n := range counts {
		switch {
		case strings.Contains(line, "4500>4500") && n != 2, strings.Contains(line, " 500>500") && n != 1:
			t.Errorf("%s was seen %d times", line, n)
		}
	}
}

// bareHosts makes namespaces a and b joined by va and vb, where va is up and
// has its addresses and vb is left to the test.
func bareHosts(t *testing.T) (a, b string) {
	t.Helper()
	a, b = twoHosts(t)
	ip(t, b, "addr flush dev vb")
	return a, b
}

// address gives a device of b what vb has in twoHosts.
func address(t *testing.T, b, dev string) {
	t.Helper()
	ip(t, b, "addr add 10.9.0.2/24 dev "+dev)
	ip(t, b, "addr add fd00:9::2/64 dev "+dev+" nodad")
	ip(t, b, "link set "+dev+" up")
}

func TestIntegrationLiveAnyPlain(t *testing.T) {
	a, b := twoHosts(t)
	checkOnce(t, a, b)
}

func TestIntegrationLiveAnyBridge(t *testing.T) {
	a, b := bareHosts(t)
	tryIP(t, b, "link add br0 type bridge")
	ip(t, b, "link set vb master br0")
	address(t, b, "br0")
	checkOnce(t, a, b)
}

func TestIntegrationLiveAnyMacvlan(t *testing.T) {
	a, b := bareHosts(t)
	tryIP(t, b, "link add link vb name mv0 type macvlan mode private")
	address(t, b, "mv0")
	checkOnce(t, a, b)
}

func TestIntegrationLiveAnyVLAN(t *testing.T) {
	a, b := bareHosts(t)
	tryIP(t, b, "link add link vb name vb.5 type vlan id 5")
	address(t, b, "vb.5")
	ip(t, a, "addr flush dev va")
	ip(t, a, "link add link va name va.5 type vlan id 5")
	ip(t, a, "addr add fd00:9::1/64 dev va.5 nodad")
	ip(t, a, "link set va.5 up")
	checkOnce(t, a, b)
}

func TestIntegrationLiveAnyBond(t *testing.T) {
	a, b := bareHosts(t)
	tryIP(t, b, "link add bond0 type bond mode active-backup miimon 50")
	ip(t, b, "link set vb down")
	ip(t, b, "link set vb master bond0")
	address(t, b, "bond0")
	checkOnce(t, a, b)
}

// A packet on loopback is shown on its way out and on its way in, and is one.
func TestIntegrationLiveAnyLoopback(t *testing.T) {
	ns := newNamespace(t)
	w := watch(t, ns, Any)
	sendUDP(t, ns, 500, "[::1]:500", "self")
	sendUDP(t, ns, 4500, "[::1]:500", "end")
	w.untilFrame(t, `in udp 4500>500 "end"`)
	for _, line := range described(w.seen()) {
		if strings.HasPrefix(line, "out ") {
			t.Errorf("%s was seen", line)
		}
	}
	if n := countOf(w.seen(), `in udp 500>500 "self"`); n != 1 {
		t.Errorf("seen %d times, want once", n)
	}
}

// An interface that comes later is watched too, under its name.
func TestIntegrationLiveAnyNewInterface(t *testing.T) {
	a, b := newNamespace(t), newNamespace(t)
	w := watch(t, b, Any)
	ip(t, a, "link add va type veth peer name vb netns "+b)
	ip(t, a, "link set va up")
	ip(t, b, "link set vb up")
	awaitLink(t, a, "va")
	awaitLink(t, b, "vb")
	sendFrames(t, a, "va", ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, []byte("late")))))
	w.until(t, "a frame of the new interface", func(events []analyze.Event) bool {
		for _, e := range events {
			if countOf([]analyze.Event{e}, `in udp 500>500 "late"`) > 0 && e.Head().Origin.Interface == "vb" {
				return true
			}
		}
		return false
	})
}

// Several interfaces by name: theirs are seen, no others.
func TestIntegrationLiveSeveral(t *testing.T) {
	a, b := twoHosts(t)
	ip(t, a, "link add other type veth peer name other netns "+b)
	for _, ns := range []string{a, b} {
		ip(t, ns, "link set other up")
	}
	awaitLink(t, a, "other")
	w := watch(t, b, "vb", "lo", "vb")
	frame := func(payload string) []byte {
		return ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, []byte(payload))))
	}
	sendFrames(t, a, "other", frame("other"))
	sendFrames(t, a, "va", frame("named"))
	sendUDP(t, b, 500, "[::1]:500", "self")
	w.untilFrame(t, `in udp 500>500 "named"`)
	w.untilFrame(t, `in udp 500>500 "self"`)
	if countOf(w.seen(), `in udp 500>500 "other"`) > 0 {
		t.Error("a frame of an interface that was not named was seen")
	}
}

// The tags that the kernel takes out on the way in are put back, those that it
// leaves are kept, and the filter finds its way behind both.
func TestIntegrationLiveTags(t *testing.T) {
	a, b := twoHosts(t)
	atA, atB := watch(t, a, "va"), watch(t, b, "vb")
	for name, tpids := range tagCases {
		frame := ethernet(etherIPv6, tpids, ipv6(17, udp(500, 500, []byte(name))))
		sendFrames(t, a, "va", frame)
		for w, dir := range map[*watching]string{atA: "out", atB: "in"} {
			want := fmt.Sprintf("%s udp 500>500 %q", dir, name)
			w.untilFrame(t, want)
			for _, e := range w.seen() {
				if f, ok := e.(*analyze.Frame); ok && describeFrame(f) == want && (!bytes.Equal(f.Data, frame) || f.OrigLen != len(frame)) {
					t.Errorf("%s: %d bytes % x, want %d bytes % x", want, f.OrigLen, f.Data, len(frame), frame)
				}
			}
		}
	}
}

// Among several interfaces too, frames are found behind all kinds of tags, out
// and in.
func TestIntegrationLiveAnyTags(t *testing.T) {
	a, b := twoHosts(t)
	atA, atB := watch(t, a, Any), watch(t, b, Any)
	for name, tpids := range tagCases {
		sendFrames(t, a, "va", ethernet(etherIPv6, tpids, ipv6(17, udp(500, 500, []byte(name)))))
		atA.untilFrame(t, fmt.Sprintf("out udp 500>500 %q", name))
		atB.untilFrame(t, fmt.Sprintf("in udp 500>500 %q", name))
	}
}

// A device without a link layer shows bare IP.
func TestIntegrationLiveRaw(t *testing.T) {
	ns := newNamespace(t)
	tun := openTun(t, ns, "tun0")
	ip(t, ns, "addr add fd00:9::1/64 dev tun0 nodad")
	ip(t, ns, "link set tun0 up")
	w, all := watch(t, ns, "tun0"), watch(t, ns, Any)
	sendUDP(t, ns, 500, "[fd00:9::2]:500", "bare")
	if _, err := unix.Write(tun, ipv6(17, udp(4500, 4500, []byte{0xff}))); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*watching{w, all} {
		w.untilFrame(t, `out udp 500>500 "bare"`)
		w.untilFrame(t, `in udp 4500>4500 "\xff"`)
	}
	for _, e := range w.seen() {
		if f, ok := e.(*analyze.Frame); ok && f.Link != analyze.LinkRaw {
			t.Errorf("link type %d, want %d", f.Link, analyze.LinkRaw)
		}
	}
}

// openTun makes a tun device and returns its other side.
func openTun(t *testing.T, ns, name string) (fd int) {
	t.Helper()
	err := netns.Do(ns, func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	})
	if err != nil {
		t.Skipf("needs a tun device: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
