package analyze

import (
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"eth0 → größer":           "eth0 → größer",
		"a\x1b[2Jb\nc":            `a\x1b[2Jb\nc`,
		"\xff\xfe":                `\xff\xfe`,
		"right\u202eleft":         `right\u202eleft`,
		`a "quote" stays`:         `a "quote" stays`,
		strings.Repeat("x", 1000): strings.Repeat("x", maxPrintable) + "…",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	a, b := netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::1")
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	nd := spd.Selector{Src: host(a), Dst: host(b), Proto: spd.ProtoICMPv6, SrcPort: 136, SrcPortMask: 0xffff, DstPortMask: 0xffff}
	udp := spd.Selector{Src: host(a), Dst: host(b), Proto: spd.ProtoUDP, SrcPort: 7, SrcPortMask: 0xffff, DstPort: 9, DstPortMask: 0xffff}
	wide := spd.Selector{Src: netip.MustParsePrefix("fd00::/64"), Dst: host(b)}
	policy := spd.Policy{Direction: spd.Out, Priority: 268928}
	for want, e := range map[string]Event{
		"ACQUIRE for fd00::2 → fd00::1 ipv6-icmp type 136 (policy out priority 268928)":   &Acquire{Selector: nd, Policy: policy},
		"ACQUIRE for fd00::2 → fd00::1 udp port 7 to port 9 (policy out priority 268928)": &Acquire{Selector: udp, Policy: policy},
		"ACQUIRE for src fd00::/64 dst fd00::1/128 (policy out priority 268928)":          &Acquire{Selector: wide, Policy: policy},
		"esp fd00::2 → fd00::1 SPI 0x0000c0de: 3 packets, 300 bytes, sequence 1 to 3":     &Flow{Key: FlowKey{Src: a, Dst: b, Proto: 50, SPI: 0xc0de}, Packets: 3, Bytes: 300, FirstSeq: 1, LastSeq: 3},
		"snapshot: 1 policies, 0 SAs, 0 neighbours":                                       &Snapshot{KernelState: KernelState{Policies: []spd.Policy{policy}}},
		"default policy is now in block, fwd allow, out allow":                            &PolicyChange{Defaults: &spd.Defaults{In: spd.Block}},
		"neighbour fd00::2 on interface 3 updated: STALE at 02:00:00:00:00:01":            &NeighborChange{Change: Updated, Neighbor: Neighbor{Addr: a, IfIndex: 3, State: "STALE", LinkAddr: "02:00:00:00:00:01"}},
		"counters: A 1, B 2":                     &Counters{Values: map[string]uint64{"B": 2, "A": 1}},
		"listeners for ACQUIRE: none":            &Daemon{},
		`listeners for ACQUIRE: x\ny (netlink)`:  &Daemon{Listeners: []Listener{{Via: "netlink", Name: "x\ny"}}},
		`strongSwan 5.9.8: net: no\x1b proposal`: wordOf(&Word{Saying: &Saying{Connection: "net", Line: "no\x1b proposal"}}),
		"strongSwan 5.9.8 holds 1 connections, 1 IKE SAs; IKE SA 7 of net ESTABLISHED with 1 CHILD SAs": wordOf(&Word{
			Whole: true, Connections: make([]Connection, 1),
			SAs: []DaemonSA{{ID: "7", Connection: "net", State: "ESTABLISHED", Children: make([]DaemonChild, 1)}},
		}),
		"strongSwan 5.9.8 is not heard any more: EOF": wordOf(&Word{Silent: "EOF"}),
		`lost: netlink \x1b overrun (3)`:              &Lost{What: "netlink \x1b overrun", Count: 3},
		"expired (hard)":                              &Expire{Hard: true},
		"frame of 86 bytes, direction in":             &Frame{OrigLen: 86, Direction: DirIn},
		"tick":                                        &Tick{},
		"unknown event":                               nil,
	} {
		if got := Describe(e); got != want {
			t.Errorf("%T: %q, want %q", e, got, want)
		}
	}
}

func wordOf(w *Word) Event {
	w.Daemon, w.Version, w.Via = StrongSwan, "5.9.8", "vici"
	return &Daemon{Word: w}
}
