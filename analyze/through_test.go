package analyze

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"
)

// twoNets is a host with fd00::1 and 10.0.0.1 on eth0, fd01::1 on eth1, and a
// default route by eth1.
func twoNets() *KernelState {
	addr := func(s string, dev int) Address { return Address{Prefix: netip.MustParsePrefix(s), IfIndex: dev} }
	return &KernelState{
		Links: []Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}},
		Addresses: []Address{addr("::1/128", 1), addr("fd00::1/64", 2), addr("fe80::a/64", 2), addr("10.0.0.1/24", 2),
			addr("fd01::1/64", 3), addr("fe80::b/64", 3)},
		Routes: []Route{{Dst: netip.MustParsePrefix("::/0"), IfIndex: 3}, {Dst: netip.MustParsePrefix("fd07::/16"), IfIndex: 2},
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), IfIndex: 3}},
	}
}

// TestWhichDeviceTheKernelCompares holds what the model's test against the
// kernel found: the device that a packet goes by is often not the one that
// selectors are compared with.
func TestWhichDeviceTheKernelCompares(t *testing.T) {
	k := twoNets()
	flow := func(src, dst string, proto uint8, typ uint16) spd.Flow {
		return spd.Flow{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Proto: proto, SrcPort: typ}
	}
	tests := []struct {
		name         string
		dir          spd.Direction
		flow         spd.Flow
		dev          int
		ifindex, via int
	}{
		{"IPv6 of an unbound socket", spd.Out, flow("fd00::1", "fd00::2", 17, 0), 0, 0, 2},
		{"IPv6 of a bound socket", spd.Out, flow("fd00::1", "fd00::2", 17, 0), 2, 2, 2},
		{"IPv6 by the default route", spd.Out, flow("fd00::1", "2001:db8::1", 17, 0), 0, 0, 3},
		{"IPv6 by the longer route", spd.Out, flow("fd00::1", "fd07::1", 17, 0), 0, 0, 2},
		{"IPv4", spd.Out, flow("10.0.0.1", "10.0.0.2", 17, 0), 0, 2, 2},
		{"to this host itself", spd.Out, flow("10.0.0.1", "10.0.0.1", 17, 0), 0, 1, 1},
		{"an advertisement", spd.Out, flow("fd00::1", "fd00::2", 58, 136), 0, 2, 2},
		{"an echo reply", spd.Out, flow("fd00::1", "fd00::2", 58, 129), 0, 2, 2},
		{"an echo request", spd.Out, flow("fd00::1", "fd00::2", 58, 128), 0, 0, 2},
		{"a port of that number", spd.Out, flow("fd00::1", "fd00::2", 17, 136), 0, 0, 2},
		{"to a zone", spd.Out, flow("fe80::b", "fe80::2%eth1", 17, 0), 0, 3, 3},
		{"multicast by one of two devices", spd.Out, flow("fd00::1", "ff02::1", 17, 0), 0, 0, 0},
		{"multicast by a named device", spd.Out, flow("fd00::1", "ff02::1", 17, 0), 3, 3, 3},
		{"inbound unicast", spd.In, flow("fd00::2", "fd00::1", 58, 136), 0, 1, 2},
		{"inbound unicast by a named device", spd.In, flow("fd00::2", "fd00::1", 58, 136), 3, 1, 3},
		{"inbound multicast", spd.In, flow("fd00::2", "ff02::1:ff00:1", 58, 135), 0, 2, 2},
		{"inbound IPv4", spd.In, flow("10.0.0.2", "10.0.0.1", 17, 0), 0, 1, 2},
		{"forwarded", spd.Fwd, flow("fd00::2", "fd01::2", 17, 0), 0, 3, 2},
	}
	for _, tt := range tests {
		f := k.Through(tt.dir, tt.flow, tt.dev)
		if f.IfIndex != tt.ifindex || f.Via != tt.via {
			t.Errorf("%s: compared with #%d, goes by #%d; want #%d, #%d", tt.name, f.IfIndex, f.Via, tt.ifindex, tt.via)
		}
	}
	one := twoNets()
	one.Addresses = one.Addresses[:4] // eth0 alone
	if f := one.Through(spd.Out, tests[11].flow, 0); f.IfIndex != 2 || f.Via != 2 {
		t.Errorf("multicast by the only device: #%d #%d", f.IfIndex, f.Via)
	}
	if f := one.Through(spd.Out, flow("fd00::1", "fe80::2", 17, 0), 0); f.Via != 2 {
		t.Errorf("link-local by the only device: #%d", f.Via)
	}
	one.Routes = append(one.Routes, Route{Dst: netip.MustParsePrefix("fd00::/64"), IfIndex: 3})
	if f := one.Through(spd.Out, tests[0].flow, 0); f.Via != 2 {
		t.Errorf("two routes of one length: by #%d, want the first", f.Via)
	}
	text := new(KernelState) // nothing is known of links
	if f := text.Through(spd.In, tests[13].flow, 0); f.IfIndex != 1 || f.Via != 0 {
		t.Errorf("of a text: #%d #%d", f.IfIndex, f.Via)
	}
}

func TestTheWholeOfNeighbourDiscovery(t *testing.T) {
	k := twoNets()
	k.Neighbors = []Neighbor{
		{Addr: netip.MustParseAddr("fd00::2"), IfIndex: 2, LinkAddr: "02:00:00:00:00:02"},
		{Addr: netip.MustParseAddr("fe80::9"), IfIndex: 2, LinkAddr: "02:00:00:00:00:09"},
		{Addr: netip.MustParseAddr("fe80::c"), IfIndex: 3, LinkAddr: "02:00:00:00:00:02"},
		{Addr: netip.MustParseAddr("fe80::d"), IfIndex: 2, LinkAddr: "02:00:00:00:00:02"},
	}
	var got []string
	for _, d := range k.Discoveries(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), 0) {
		f := d.Flow
		got = append(got, fmt.Sprintf("%s %s → %s %d #%d", d.Direction, f.Src, f.Dst, f.SrcPort, f.IfIndex))
	}
	want := `out fd00::1 → ff02::1:ff00:2 135 #2
out fd00::1 → fd00::2 135 #2
out fe80::a → fd00::2 135 #2
out fd00::1 → fd00::2 136 #2
out fd00::1 → fe80::d 136 #2
in fd00::2 → ff02::1:ff00:1 135 #2
in fd00::2 → fd00::1 135 #1
in fe80::d → fd00::1 135 #1
in fd00::2 → fd00::1 136 #1
in fd00::2 → fe80::a 136 #1`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if !k.Owns(netip.MustParseAddr("fe80::a%eth0")) || k.Owns(netip.MustParseAddr("fd00::2")) {
		t.Error("which addresses are its own")
	}
	unknown := new(KernelState).Discoveries(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), 0)
	if unknown[2].Flow.Src != netip.MustParseAddr("fe80::1") || unknown[4].Flow.Dst != netip.MustParseAddr("fe80::2") {
		t.Errorf("%+v", unknown)
	}
}
