package rules

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// TestALeakThroughNAT holds what is said where NAT changes what a policy selects, and
// that nothing is where the kernel's table does not tell so.
func TestALeakThroughNAT(t *testing.T) {
	inner := netip.MustParseAddr("fd00:9::9")
	tunnel := spd.Policy{
		Direction: spd.Out, Priority: 100, Action: spd.Allow,
		Selector:  spd.Selector{Src: netip.PrefixFrom(inner, 128), Dst: netip.PrefixFrom(teapot, 128), Family: spd.IPv6},
		Templates: []spd.Template{{Src: glass, Dst: teapot, Proto: spd.ProtoESP, Mode: spd.Tunnel}},
	}
	for _, changed := range []bool{true, false} {
		w := newWire(PlaintextLeak)
		w.Apply(&analyze.Snapshot{Header: at("glass", 0), KernelState: analyze.KernelState{
			Addresses: []analyze.Address{{Prefix: netip.PrefixFrom(glass, 64), IfIndex: 2}}, Policies: []spd.Policy{tunnel},
			Links: []analyze.Link{{Index: 2, Name: "eth0", Up: true}}, Counters: map[string]uint64{},
		}})
		for i := range 5 {
			c := analyze.Clear{
				Header: at("glass", time.Duration(i+1)*s), Direction: analyze.DirOut, Packets: 1,
				Key: analyze.ClearKey{Src: glass, Dst: teapot, Proto: spd.ProtoUDP, SrcPort: 1024, DstPort: 53},
			}
			c.Origin.Interface = "eth0"
			c.Start, c.End = c.Time, c.Time
			if changed {
				c.Was = &analyze.ClearKey{Src: inner, Dst: teapot, Proto: spd.ProtoUDP, SrcPort: 5353, DstPort: 53}
			}
			w.Apply(&c)
		}
		w.Apply(&analyze.Tick{Header: at("glass", 6*s)})
		got := w.Findings()
		if !changed {
			if len(got) != 0 {
				t.Errorf("without NAT: %+v", got)
			}
			continue
		}
		if len(got) != 1 || got[0].Severity != Error || got[0].Confidence != Certain || !strings.Contains(got[0].Explanation, "They were udp, fd00:9::9 port 5353") {
			t.Fatalf("with NAT: %+v", got)
		}
	}
}
