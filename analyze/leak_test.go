package analyze

import (
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

func leakHost(t *testing.T, policies ...spd.Policy) (*State, *Host) {
	t.Helper()
	s := NewState(Limits{})
	o := Origin{Host: "glass"}
	s.Apply(&Snapshot{Header: Header{Time: time.Unix(1000, 0), Mono: time.Second, Origin: o}, KernelState: KernelState{
		Policies: policies, Links: []Link{{Index: 2, Name: "eth0", Up: true}, {Index: 3, Name: "ipsec0", Kind: "xfrm", Up: true}},
		Addresses: []Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24"), IfIndex: 2}},
	}})
	return s, s.Host(o)
}

func leakPolicy(dir spd.Direction, src, dst string, t ...spd.Template) spd.Policy {
	return spd.Policy{Direction: dir, Priority: 100, Templates: t, Selector: spd.Selector{
		Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), Family: spd.IPv4,
	}}
}

func TestLeaksAreWhatNothingLetsPass(t *testing.T) {
	const here, there = "10.0.0.1/32", "10.0.0.2/32"
	esp, use := spd.Template{Proto: spd.ProtoESP}, spd.Template{Proto: spd.ProtoESP, Optional: true}
	better := leakPolicy(spd.Out, here, there)
	better.Priority = 1
	offloaded := leakPolicy(spd.In, there, here, esp)
	offloaded.Offload = &spd.Offload{IfIndex: 2}
	gone := []spd.Policy{leakPolicy(spd.Out, here, there, esp)}
	for _, c := range []struct {
		name     string
		policies []spd.Policy
		removed  []spd.Policy
		dir      Direction
		dev      string
		want     LeakKind
	}{
		{"no policy at all", nil, nil, DirOut, "eth0", LeakNone},
		{"an optional policy without an SA", []spd.Policy{leakPolicy(spd.Out, here, there, use)}, nil, DirOut, "eth0", LeakOptional},
		{"the same on an xfrm interface", []spd.Policy{leakPolicy(spd.Out, here, there, use)}, nil, DirOut, "ipsec0", LeakNone},
		{"a bypass before it", []spd.Policy{leakPolicy(spd.Out, here, there, use), better}, nil, DirOut, "eth0", LeakNone},
		{"a policy that requires an SA", gone, nil, DirOut, "eth0", LeakNone},
		{"the policy was removed", nil, gone, DirOut, "eth0", LeakRemoved},
		{"it was removed, and another bypasses", []spd.Policy{better}, gone, DirOut, "eth0", LeakNone},
		{"the other direction alone", []spd.Policy{leakPolicy(spd.In, there, here, esp)}, nil, DirOut, "eth0", LeakInbound},
		{"it must come protected", []spd.Policy{leakPolicy(spd.In, there, here, esp)}, nil, DirIn, "eth0", LeakArrives},
		{"it may come protected", []spd.Policy{leakPolicy(spd.In, there, here, use)}, nil, DirIn, "eth0", LeakNone},
		{"a card decrypts", []spd.Policy{offloaded}, nil, DirIn, "eth0", LeakNone},
	} {
		s, h := leakHost(t, append(c.removed, c.policies...)...)
		head := Header{Time: time.Unix(1001, 0), Mono: 2 * time.Second, Origin: h.Origin}
		for _, q := range c.removed {
			s.Apply(&PolicyChange{Header: head, Change: Deleted, Policy: q})
		}
		k := ClearKey{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: spd.ProtoUDP, SrcPort: 1, DstPort: 53}
		if c.dir == DirIn {
			k.Src, k.Dst = k.Dst, k.Src
		}
		head.Origin.Interface = c.dev
		s.Apply(&Clear{Header: head, Key: k, Direction: c.dir, Packets: 3})
		got := LeakNone
		if p := s.Pair(k.Src, k.Dst); p != nil && len(p.Views[0].Leaks) > 0 {
			got = p.Views[0].Leaks[0].Kind
		}
		if got != c.want {
			t.Errorf("%s: leak %d, want %d", c.name, got, c.want)
		}
	}
}

// What NAT changes on its way out leaves in the clear where a policy wanted it as it
// was, and none wants it as it is.
func TestLeaksOfWhatNATChanges(t *testing.T) {
	esp := spd.Template{Proto: spd.ProtoESP, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Mode: spd.Tunnel}
	inner := leakPolicy(spd.Out, "10.9.0.0/24", "10.0.0.2/32", esp)
	own := leakPolicy(spd.Out, "10.0.0.1/32", "10.0.0.2/32", esp)
	bypass := leakPolicy(spd.Out, "10.9.0.0/24", "10.0.0.2/32")
	bypass.Priority = 1
	changed := &ClearKey{Src: netip.MustParseAddr("10.9.0.9"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: spd.ProtoUDP, SrcPort: 9, DstPort: 53}
	for _, c := range []struct {
		name     string
		policies []spd.Policy
		was      *ClearKey
		dir      Direction
		want     LeakKind
	}{
		{"changed", []spd.Policy{inner}, changed, DirOut, LeakChanged},
		{"changed on its way in", []spd.Policy{inner}, changed, DirIn, LeakNone},
		{"not changed", []spd.Policy{inner}, nil, DirOut, LeakNone},
		{"changed, and a policy wants what it is now", []spd.Policy{inner, own}, changed, DirOut, LeakNone},
		{"changed, and nothing wants what it was", []spd.Policy{inner, bypass}, changed, DirOut, LeakNone},
		{"changed, without policies", nil, changed, DirOut, LeakNone},
	} {
		s, h := leakHost(t, c.policies...)
		head := Header{Time: time.Unix(1001, 0), Mono: 2 * time.Second, Origin: h.Origin}
		head.Origin.Interface = "eth0"
		k := ClearKey{Src: netip.MustParseAddr("10.0.0.1"), Dst: changed.Dst, Proto: spd.ProtoUDP, SrcPort: 1, DstPort: 53}
		s.Apply(&Clear{Header: head, Key: k, Was: c.was, Direction: c.dir, Packets: 3})
		got := LeakNone
		if p := s.Pair(k.Src, k.Dst); p != nil && len(p.Views[0].Leaks) > 0 {
			l := p.Views[0].Leaks[0]
			got = l.Kind
			if l.Was != *changed || len(l.Policy.Templates) == 0 {
				t.Errorf("%s: it was %v, by %v", c.name, l.Was, &l.Policy)
			}
		}
		if got != c.want {
			t.Errorf("%s: leak %d, want %d", c.name, got, c.want)
		}
	}
}

// A policy that comes back is no longer a removed one; guards follow.
func TestGuardsRememberWhatWasRemoved(t *testing.T) {
	q := leakPolicy(spd.Out, "10.0.0.1/32", "10.0.0.2/32", spd.Template{Proto: spd.ProtoESP})
	s, h := leakHost(t, q)
	head := Header{Time: time.Unix(1001, 0), Mono: 2 * time.Second, Origin: h.Origin}
	for _, c := range []struct {
		name    string
		e       Event
		removed int
	}{
		{"deleted", &PolicyChange{Header: head, Change: Deleted, Policy: q}, 1},
		{"added", &PolicyChange{Header: head, Change: Added, Policy: q}, 0},
		{"flushed", &PolicyChange{Header: head, Change: Flushed}, 1},
		{"a snapshot has it", &Snapshot{Header: head, KernelState: KernelState{Policies: []spd.Policy{q}}}, 0},
		{"a snapshot has it not", &Snapshot{Header: head}, 1},
	} {
		s.Apply(c.e)
		guards, limited := h.Guards(head.Mono)
		if len(h.removed) != c.removed || len(guards) != 1 || limited || guards[0].Direction != DirOut || guards[0].Selector != q.Selector {
			t.Errorf("%s: %d policies removed, guards %v", c.name, len(h.removed), guards)
		}
	}
}
