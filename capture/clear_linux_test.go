package capture

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/netns"
)

// Of what leaves and what comes in, LiveClear tells what a guard means: not ESP,
// IKE or neighbour discovery, not what goes to others, not the other direction.
func TestIntegrationLiveClear(t *testing.T) {
	a, b := twoHosts(t)
	guards := NewGuards()
	guard := func(src, dst string, dir analyze.Direction) analyze.Guard {
		return analyze.Guard{Selector: spd.Selector{Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst)}, Direction: dir}
	}
	guards.Set([]analyze.Guard{
		guard("10.9.0.0/24", "10.9.0.2/31", analyze.DirOut), guard("fd00:9::/64", "fd00:9::2/128", analyze.DirOut),
		guard("10.9.0.2/32", "10.9.0.0/16", analyze.DirIn),
	})
	ctx, cancel := context.WithCancel(context.Background())
	seen, ended := make(chan analyze.Clear, 1024), make(chan struct{})
	go func() {
		defer close(ended)
		opt := ClearOptions{Interfaces: []string{"va"}, Netns: a, Host: "glass", Guards: guards, Warn: func(s string) { t.Error(s) }}
		for e, err := range LiveClear(ctx, opt) {
			if err != nil {
				t.Error(err)
				return
			}
			seen <- *e.(*analyze.Clear)
		}
	}()
	want := map[string]bool{
		"out udp, 10.9.0.1 port 1111 → 10.9.0.2 port 53": true, "out udp, fd00:9::1 port 1112 → fd00:9::2 port 53": true,
		"in udp, 10.9.0.2 port 1113 → 10.9.0.1 port 53": true, "in icmp type 3, 10.9.0.2 → 10.9.0.1": true,
	}
	missing := len(want)
	send := func() {
		sendUDP(t, a, 1111, "10.9.0.2:53", "a")
		sendUDP(t, a, 1112, "[fd00:9::2]:53", "b")
		sendUDP(t, b, 1113, "10.9.0.1:53", "c")
		sendUDP(t, a, 500, "10.9.0.2:500", "ike")
		sendUDP(t, a, 4500, "10.9.0.2:4500", "ike")
		sendIP(t, a, 50, net.ParseIP("10.9.0.2"), espPacket(1, 1))
		sendIP(t, a, 50, net.ParseIP("fd00:9::2"), espPacket(1, 1))
	}
	deadline := time.After(testPatience)
	for again := time.Tick(200 * time.Millisecond); missing > 0; {
		select {
		case <-again:
			send()
		case c := <-seen:
			line := c.Direction.String() + " " + c.Key.String()
			due, known := want[line]
			if !known || c.Packets == 0 || c.Origin.Interface != "va" || c.End.Before(c.Start) {
				t.Errorf("%s: %+v was not to be told", line, c)
			}
			if due {
				want[line] = false
				missing--
			}
		case <-deadline:
			t.Fatalf("not seen in time: %v", want)
		}
	}
	cancel()
	<-ended
}

// Without guards the socket receives nothing, and the stream ends with the
// context.
func TestIntegrationLiveClearWithoutGuards(t *testing.T) {
	a, _ := twoHosts(t)
	ctx, cancel := context.WithCancel(context.Background())
	l := &liveClear{opt: ClearOptions{Interfaces: []string{"va"}, Netns: a, Guards: NewGuards()}, fd: -1}
	if err := netns.Do(a, l.open); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	all := []analyze.Guard{{Selector: spd.Selector{Src: netip.MustParsePrefix("::/0"), Dst: netip.MustParsePrefix("::/0")}, Direction: analyze.DirOut}}
	for _, guards := range [][]analyze.Guard{nil, all, nil, all} {
		l.look(guards)
		at, err := unix.Getsockname(l.fd)
		if err != nil || l.failed != nil {
			t.Fatal(err, l.failed)
		}
		if protocol := at.(*unix.SockaddrLinklayer).Protocol; (protocol == networkOrder(unix.ETH_P_ALL)) != (len(guards) > 0) {
			t.Errorf("with %d guards the socket receives protocol %#x", len(guards), protocol)
		}
	}
	cancel()
	for e, err := range LiveClear(ctx, ClearOptions{Guards: NewGuards()}) {
		t.Errorf("it yields %v, %v", e, err)
	}
}
