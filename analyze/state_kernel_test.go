package analyze

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// selector selects what goes between two prefixes.
func selector(src, dst string) spd.Selector {
	s := spd.Selector{Src: prefix(src), Dst: prefix(dst), Family: spd.IPv6}
	if s.Src.Addr().Is4() {
		s.Family = spd.IPv4
	}
	return s
}

var toTeapot = selector("fd00::1/128", "fd00::2/128")

// protect makes an outbound policy that requires ESP in transport mode.
func protect(s spd.Selector, priority, reqid, index uint32) spd.Policy {
	return spd.Policy{
		Direction: spd.Out, Selector: s, Priority: priority, Index: index,
		Templates: []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: reqid}},
	}
}

// bypass makes a policy that lets packets pass.
func bypass(s spd.Selector, priority, index uint32) spd.Policy {
	return spd.Policy{Direction: spd.Out, Selector: s, Priority: priority, Index: index}
}

// usable makes the outbound SA of a protect policy.
func usable(src, dst netip.Addr, spi, reqid uint32) spd.SA {
	return spd.SA{
		Src: src, Dst: dst, SPI: spi, Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: reqid,
		AEAD: &spd.Algorithm{Name: "rfc4106(gcm(aes))", KeyBits: 160},
	}
}

// larvalSA makes what an ACQUIRE leaves in the SAD.
func larvalSA(sel spd.Selector, reqid, seq uint32) spd.SA {
	return spd.SA{
		Src: sel.Src.Addr(), Dst: sel.Dst.Addr(), Proto: spd.ProtoESP, Mode: spd.Transport,
		ReqID: reqid, Seq: seq, Selector: sel,
	}
}

// kernel makes a snapshot of glass with those policies.
func kernel(policies ...spd.Policy) *Snapshot {
	return &Snapshot{KernelState: KernelState{
		Policies:  policies,
		Links:     []Link{{Index: 2, Name: "eth0", Up: true}},
		Addresses: []Address{{Prefix: prefix("fd00::1/64"), IfIndex: 2}, {Prefix: prefix("fe80::1/64"), IfIndex: 2}},
		Counters:  map[string]uint64{XfrmOutNoStates: 0},
	}}
}

// acquire makes the ACQUIRE of a packet under a policy.
func acquire(p spd.Policy, sel spd.Selector) *Acquire {
	return &Acquire{Src: sel.Src.Addr(), Dst: sel.Dst.Addr(), Proto: spd.ProtoESP, Selector: sel, Policy: p}
}

func (s *stream) glass() *Host {
	s.t.Helper()
	for _, h := range s.state.Hosts {
		if h.Origin.Host == "glass" {
			return h
		}
	}
	s.t.Fatal("glass was never seen")
	return nil
}

// need returns what glass's traffic to teapot waits for.
func (s *stream) need() *Need {
	s.t.Helper()
	p := s.state.Pair(glass, teapot)
	if p == nil || p.Views[0].Need == nil {
		s.t.Fatal("no need")
	}
	return p.Views[0].Need
}

func TestASnapshotTellsEverythingAndTwiceTheSame(t *testing.T) {
	snap := kernel(protect(toTeapot, 100, 7, 9), bypass(selector("::/0", "::/0"), 200, 17))
	snap.SAs = []spd.SA{larvalSA(toTeapot, 7, 42), usable(teapot, glass, 0x2000, 7)}
	snap.Neighbors = []Neighbor{{Addr: teapot, IfIndex: 2, State: "STALE", LinkAddr: "02:00:00:00:00:02"}}
	snap.Counters[XfrmOutNoStates] = 5
	snap.Listeners = []Listener{{Via: "netlink", Name: "charon"}, {Via: "netlink", Name: "ip", Monitor: true}}
	snap.Sysctls = map[string]string{"net.core.xfrm_larval_drop": "1"}
	s := newStream(t)
	s.apply(snap)
	h := s.glass()
	if !h.KernelSeen || !h.Owns(glass) || h.Owns(teapot) || h.InterfaceName(2) != "eth0" || h.InterfaceIndex("eth0") != 2 {
		t.Error("links and addresses were not taken")
	}
	if h.Counter(XfrmOutNoStates) != 5 || h.Sysctl("net.core.xfrm_larval_drop", "0") != "1" || h.Sysctl("other", "def") != "def" {
		t.Error("counters or sysctls were not taken")
	}
	if d := h.Daemons(); len(d) != 1 || d[0].Name != "charon" {
		t.Errorf("daemons %v: a monitor is none", d)
	}
	n, since, ok := h.Neighbor(teapot)
	if !ok || n.State != "STALE" || since != s.state.Now {
		t.Errorf("neighbour %+v since %+v", n, since)
	}
	if !s.need().Larval || s.need().Flow.Dst != teapot {
		t.Errorf("need of the larval SA: %+v", s.need())
	}
	first := s.state.Now
	db, need := h.DB, *s.need()
	again := kernel()
	again.KernelState = snap.KernelState
	s.apply(again)
	need.Sign = s.need().Sign // the larval SA still stands
	if !reflect.DeepEqual(h.DB, db) || !reflect.DeepEqual(*s.need(), need) || len(h.needs) != 1 {
		t.Error("the same snapshot again changed the databases or the need")
	}
	if _, since, _ := h.Neighbor(teapot); since != first {
		t.Error("the same snapshot again made the neighbour's state younger")
	}
	if n, _, _ := h.Rise(XfrmOutNoStates, 0); n != 0 {
		t.Errorf("the same counters rose by %d", n)
	}
}

func TestAChangeThatTheSnapshotHoldsChangesNothing(t *testing.T) {
	first, second := protect(toTeapot, 100, 7, 9), bypass(selector("::/0", "::/0"), 100, 17)
	s := newStream(t)
	snap := kernel(first, second)
	snap.SAs = []spd.SA{usable(glass, teapot, 0x1000, 7)}
	s.apply(snap)
	h := s.glass()
	before := spd.Database{Policies: append([]spd.Policy(nil), h.DB.Policies...), SAs: append([]spd.SA(nil), h.DB.SAs...)}
	s.apply(&PolicyChange{Change: Added, Policy: first})
	s.apply(&SAChange{Change: Added, SA: snap.SAs[0]})
	if !reflect.DeepEqual(h.DB, before) {
		t.Errorf("policies %v, SAs %v", h.DB.Policies, h.DB.SAs)
	}
	if !reflect.DeepEqual(snap.Policies, []spd.Policy{first, second}) {
		t.Error("the event itself was changed")
	}
}

func TestChangesOfTheDatabasesAreFolded(t *testing.T) {
	p, q := protect(toTeapot, 100, 7, 9), bypass(selector("::/0", "::/0"), 200, 17)
	out := usable(glass, teapot, 0x1000, 7)
	s := newStream(t)
	s.apply(kernel())
	h := s.glass()
	expect := func(what string, policies, sas int) {
		t.Helper()
		if len(h.DB.Policies) != policies || len(h.DB.SAs) != sas {
			t.Errorf("%s: %d policies and %d SAs, want %d and %d", what, len(h.DB.Policies), len(h.DB.SAs), policies, sas)
		}
	}
	s.apply(&PolicyChange{Change: Added, Policy: p})
	s.apply(&PolicyChange{Change: Added, Policy: q})
	s.apply(&SAChange{Change: Added, SA: out})
	expect("added", 2, 1)
	better := p
	better.Priority = 99
	s.apply(&PolicyChange{Change: Updated, Policy: better})
	if h.DB.Policies[1].Priority != 99 {
		t.Errorf("an update is not the youngest: %v", h.DB.Policies)
	}
	s.apply(&Expire{SA: &out})
	s.apply(&Expire{Policy: &q})
	expect("expired softly", 2, 1)
	s.apply(&Expire{Hard: true, SA: &out})
	expect("an SA expired hard", 2, 0)
	s.apply(&Expire{Hard: true, Policy: &q})
	expect("a policy expired hard", 1, 0)
	s.apply(&PolicyChange{Change: Deleted, Policy: p})
	expect("deleted", 0, 0)
	s.apply(&PolicyChange{Change: Added, Policy: p})
	s.apply(&SAChange{Change: Added, SA: out})
	s.apply(&SAChange{Change: Deleted, SA: out})
	expect("an SA deleted", 1, 0)
	s.apply(&SAChange{Change: Added, SA: out})
	s.apply(&PolicyChange{Change: Flushed})
	s.apply(&SAChange{Change: Flushed})
	expect("flushed", 0, 0)
	s.apply(&PolicyChange{Change: Updated, Defaults: &spd.Defaults{Out: spd.Block}})
	if h.DB.Defaults.Out != spd.Block || len(h.DB.Policies) != 0 {
		t.Errorf("defaults %+v with %d policies", h.DB.Defaults, len(h.DB.Policies))
	}
	s.apply(&Daemon{Listeners: []Listener{{Via: "pfkey", Name: "racoon"}}})
	if d := h.Daemons(); len(d) != 1 || d[0].Name != "racoon" {
		t.Errorf("daemons %v", d)
	}
}

func TestANeighboursStateHasItsAge(t *testing.T) {
	s := newStream(t)
	s.apply(kernel())
	h := s.glass()
	put := func(state string, dev int) {
		s.apply(&NeighborChange{Change: Updated, Neighbor: Neighbor{Addr: teapot, IfIndex: dev, State: state}})
	}
	put("STALE", 2)
	stale := s.state.Now
	put("STALE", 2)
	if n, since, ok := h.Neighbor(teapot); !ok || n.State != "STALE" || since != stale {
		t.Errorf("%s since %v, want STALE since the first", n.State, since.Mono)
	}
	put("FAILED", 2)
	if n, since, _ := h.Neighbor(teapot); n.State != "FAILED" || since != s.state.Now {
		t.Errorf("%s since %v, want FAILED since now", n.State, since.Mono)
	}
	put("REACHABLE", 1)
	if n, _, _ := h.Neighbor(teapot); n.IfIndex != 1 {
		t.Errorf("on interface %d, want that with the smallest index", n.IfIndex)
	}
	if n, _, _ := h.Neighbor(teapot.WithZone("eth0")); n.IfIndex != 2 {
		t.Errorf("on interface %d, want that of the zone, 2", n.IfIndex)
	}
	s.apply(&NeighborChange{Change: Deleted, Neighbor: Neighbor{Addr: teapot, IfIndex: 1}})
	if n, _, ok := h.Neighbor(teapot); !ok || n.IfIndex != 2 {
		t.Errorf("the other interface's entry was deleted: %+v", n)
	}
	s.apply(&NeighborChange{Change: Deleted, Neighbor: Neighbor{Addr: teapot, IfIndex: 2}})
	if _, _, ok := h.Neighbor(teapot); ok || len(h.neighbors) != 0 {
		t.Error("it is still there")
	}
}

func TestANeighbourChangeBringsThePairUnderJudgement(t *testing.T) {
	for _, peer := range []netip.Addr{teapot, netip.MustParseAddr("fe80::2")} {
		s := newStream(t)
		s.apply(kernel())
		src := glass
		if peer.IsLinkLocalUnicast() {
			src = glassLL
		}
		s.frame(solicitation(t, src, SolicitedNode(peer), peer))
		s.pass(activeTime + 2*time.Second)
		if len(s.state.Active()) != 0 {
			t.Fatal("still under judgement")
		}
		s.apply(&NeighborChange{Change: Updated, Neighbor: Neighbor{Addr: peer, IfIndex: 2, State: "FAILED"}})
		if len(s.state.Active()) != 1 {
			t.Errorf("%s: its pair is not under judgement", peer)
		}
	}
}

func TestAnACQUIREBeginsANeed(t *testing.T) {
	p := protect(toTeapot, 100, 7, 9)
	na := toTeapot
	na.Proto, na.SrcPort, na.SrcPortMask = spd.ProtoICMPv6, spd.NeighborAdvertisement, 0xffff
	s := newStream(t)
	s.apply(kernel(p))
	s.apply(acquire(p, na))
	since := s.state.Now
	n := s.need()
	if !n.Open() || n.Since != since || n.Count != 1 || n.Larval || n.Flow != spd.ICMPv6Flow(glass, teapot, spd.NeighborAdvertisement) {
		t.Errorf("%+v", n)
	}
	s.apply(acquire(p, toTeapot))
	if s.need() != n || n.Count != 2 || len(n.Acquires) != 2 || n.Since != since || n.Acquires[0].Selector != na || n.Acquires[0].Priority != 100 {
		t.Errorf("a second ACQUIRE: %+v", n)
	}
	for range 2 * maxAcquires {
		s.apply(acquire(p, toTeapot))
	}
	if n.Count != 2+2*maxAcquires || len(n.Acquires) != maxAcquires {
		t.Errorf("%d counted, %d kept", n.Count, len(n.Acquires))
	}
	if v := s.onlyView(); v.Local != glass || v.Peer != teapot || !v.Involved() {
		t.Errorf("view of %s with %s", v.Local, v.Peer)
	}
}

func TestAnACQUIREForOptionalTemplatesIsNoNeed(t *testing.T) {
	p := protect(toTeapot, 100, 7, 9)
	p.Templates[0].Optional = true
	s := newStream(t)
	s.apply(kernel(p))
	s.apply(acquire(p, toTeapot))
	if v := s.views(); len(v) != 0 {
		t.Errorf("the packet went out in the clear, yet %+v waits", v[0].Need)
	}
}

func TestAnACQUIREForASolicitationIsForItsTarget(t *testing.T) {
	all := protect(selector("::/0", "::/0"), 100, 7, 9)
	ns := selector("fd00::1/128", "ff02::1:ff00:2/128")
	ns.Proto, ns.SrcPort, ns.SrcPortMask, ns.IfIndex = spd.ProtoICMPv6, spd.NeighborSolicitation, 0xffff, 2
	s := newStream(t)
	snap := kernel(all)
	snap.Neighbors = []Neighbor{
		{Addr: netip.MustParseAddr("fd00:9::2"), IfIndex: 2, State: "FAILED"},
		{Addr: teapot, IfIndex: 2, State: "INCOMPLETE"},
		{Addr: netip.MustParseAddr("fd00::3"), IfIndex: 2, State: "INCOMPLETE"},
	}
	s.apply(snap)
	s.apply(acquire(all, ns))
	if n := s.need(); n.Flow.Dst != ns.Dst.Addr() || n.Peer != teapot {
		t.Errorf("for %s, by a packet to %s", n.Peer, n.Flow.Dst)
	}
	link := selector("fe80::1/128", "fe80::2/128")
	link.IfIndex = 2
	s.apply(acquire(all, link))
	if s.state.Pair(glassLL.WithZone("eth0"), netip.MustParseAddr("fe80::2%eth0")) == nil {
		t.Error("link-local addresses have no zone")
	}
}

func TestALarvalSABeginsANeedWhereNothingElseCarriesItsPacket(t *testing.T) {
	p := protect(toTeapot, 100, 7, 9)
	t.Run("found again and again", func(t *testing.T) {
		s := newStream(t)
		snap := kernel(p)
		snap.SAs = []spd.SA{larvalSA(toTeapot, 7, 42)}
		s.apply(snap)
		n, since := s.need(), s.state.Now
		again := kernel()
		again.KernelState = snap.KernelState
		s.apply(again)
		if !n.Larval || !n.Open() || s.need() != n || n.Since != since || len(s.glass().needs) != 1 {
			t.Errorf("%+v", n)
		}
	})
	t.Run("lingering beside a live SA (KERNEL.md section 5)", func(t *testing.T) {
		s := newStream(t)
		snap := kernel(p)
		snap.SAs = []spd.SA{larvalSA(toTeapot, 0, 42), usable(glass, teapot, 0x1000, 7)}
		s.apply(snap)
		if v := s.views(); len(v) != 0 {
			t.Errorf("it is taken for a need: %+v", v[0].Need)
		}
	})
	t.Run("reserved by ALLOCSPI", func(t *testing.T) {
		s := newStream(t)
		snap := kernel(p)
		reserved := usable(teapot, glass, 0x2000, 7)
		reserved.AEAD = nil
		snap.SAs = []spd.SA{reserved}
		s.apply(snap)
		if len(s.views()) != 0 {
			t.Error("a reserved SPI is taken for a need")
		}
	})
	t.Run("under a marked policy", func(t *testing.T) {
		s := newStream(t)
		marked := p
		marked.Mark = spd.Mark{Value: 5, Mask: 0xff}
		snap := kernel(marked)
		larval := larvalSA(toTeapot, 7, 42)
		larval.Mark = marked.Mark
		snap.SAs = []spd.SA{larval}
		s.apply(snap)
		if !s.need().Open() {
			t.Error("its packet's mark was lost")
		}
	})
}

// TestWhatEndsANeed follows the need of teapot's caught advertisement through
// what may happen to the databases.
func TestWhatEndsANeed(t *testing.T) {
	p := protect(toTeapot, 100, 7, 9)
	na := toTeapot
	na.Proto, na.SrcPort, na.SrcPortMask = spd.ProtoICMPv6, spd.NeighborAdvertisement, 0xffff
	all := selector("::/0", "::/0")
	ndOnly := all
	ndOnly.Proto, ndOnly.SrcPort, ndOnly.SrcPortMask = spd.ProtoICMPv6, spd.NeighborAdvertisement, 0xffff
	add := func(sa spd.SA) Event { return &SAChange{Change: Added, SA: sa} }
	put := func(p spd.Policy) Event { return &PolicyChange{Change: Added, Policy: p} }
	tests := []struct {
		name   string
		events []Event
		want   string
	}{
		{"nothing happens", nil, "open"},
		{"an SA that fits", []Event{add(usable(glass, teapot, 0x1000, 7))}, "satisfied"},
		{"a snapshot with an SA that fits", []Event{func() Event {
			s := kernel(p)
			s.SAs = []spd.SA{usable(glass, teapot, 0x1000, 7)}
			return s
		}()}, "satisfied"},
		{"the inbound SA", []Event{add(usable(teapot, glass, 0x1000, 7))}, "open"},
		{"an SA of another reqid", []Event{add(usable(glass, teapot, 0x1000, 8))}, "open"},
		{"a reserved SPI", []Event{add(spd.SA{Src: glass, Dst: teapot, SPI: 1, Proto: spd.ProtoESP, ReqID: 7})}, "open"},
		{"the policy is deleted", []Event{&PolicyChange{Change: Deleted, Policy: p}}, "withdrawn"},
		{"the policies are flushed", []Event{&PolicyChange{Change: Flushed}}, "withdrawn"},
		{"the policy expires", []Event{&Expire{Hard: true, Policy: &p}}, "withdrawn"},
		{"a worse policy remains", []Event{put(protect(all, 200, 9, 17)), &PolicyChange{Change: Deleted, Policy: p}}, "open"},
		{"neighbour discovery is let pass, the rest not", []Event{put(bypass(ndOnly, 1, 17))}, "open"},
		{"neighbour discovery is let pass, and the rest has its SA",
			[]Event{put(bypass(ndOnly, 1, 17)), add(usable(glass, teapot, 0x1000, 7))}, "satisfied"},
		{"everything is let pass at a better priority", []Event{put(bypass(toTeapotAll(), 1, 17))}, "withdrawn"},
		{"everything is let pass, but for what a still better policy wants",
			[]Event{put(protect(tcpToTeapot(), 0, 7, 25)), put(bypass(toTeapotAll(), 1, 17))}, "open"},
		{"everything is let pass at a worse priority", []Event{put(bypass(all, 200, 17))}, "open"},
		{"everything is blocked", []Event{put(spd.Policy{Direction: spd.Out, Selector: all, Action: spd.Block, Index: 17})}, "withdrawn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.apply(kernel(p))
			s.apply(acquire(p, na))
			n := s.need()
			for _, e := range tt.events {
				s.apply(e)
			}
			got := "open"
			if !n.Satisfied.IsZero() {
				got = "satisfied"
			}
			if !n.Withdrawn.IsZero() {
				got = "withdrawn"
			}
			if got != tt.want || n.Open() != (got == "open") || (len(s.glass().needs) == 1) != n.Open() {
				t.Fatalf("%s (%d open needs), want %s", got, len(s.glass().needs), tt.want)
			}
			if got == "satisfied" && n.Satisfied != s.state.Now || got == "withdrawn" && n.Withdrawn != s.state.Now {
				t.Error("dated wrongly")
			}
			if got != "open" {
				s.apply(acquire(p, na))
				if s.need() == n || !s.need().Open() || s.need().Since != s.state.Now {
					t.Error("the next ACQUIRE began no new need")
				}
			}
		})
	}
}

// toTeapotAll is another selector than toTeapot that takes the same packets.
func toTeapotAll() spd.Selector { return selector("fd00::/64", "fd00::2/128") }

func tcpToTeapot() spd.Selector {
	s := toTeapot
	s.Proto = spd.ProtoTCP
	return s
}

func TestANeedOfATunnelIsSatisfiedByTheGatewaysSA(t *testing.T) {
	p := spd.Policy{
		Direction: spd.Out, Selector: selector("10.1.0.0/16", "10.2.0.0/16"), Index: 9,
		Templates: []spd.Template{{Src: glass4, Dst: teapot4, Proto: spd.ProtoESP, Mode: spd.Tunnel, ReqID: 7}},
	}
	packet := selector("10.1.0.5/32", "10.2.0.5/32")
	a := acquire(p, packet)
	a.Src, a.Dst = glass4, teapot4
	s := newStream(t)
	s.apply(kernel(p))
	s.apply(a)
	v := s.onlyView()
	if v.Pair.Key != MakePairKey(glass4, teapot4) || !v.Need.Open() {
		t.Fatalf("pair %s, need %+v", v.Pair.Key, v.Need)
	}
	sa := usable(glass4, teapot4, 0x1000, 7)
	sa.Mode = spd.Tunnel
	s.apply(&SAChange{Change: Added, SA: sa})
	if v.Need.Satisfied.IsZero() {
		t.Error("not satisfied")
	}
}

func TestStarvationNamesThePoliciesWithoutAnSA(t *testing.T) {
	rise := func(n uint64) Event { return &Counters{Values: map[string]uint64{XfrmOutNoStates: n}} }
	other := protect(selector("fd00::1/128", "fd00::3/128"), 100, 8, 17)
	marked := protect(selector("fd00::1/128", "fd00::4/128"), 100, 9, 25)
	marked.Mark = spd.Mark{Value: 5, Mask: 0xff}
	s := newStream(t)
	snap := kernel(protect(toTeapot, 100, 7, 9), other, marked, bypass(selector("::/0", "::/0"), 200, 33))
	snap.SAs = []spd.SA{usable(glass, netip.MustParseAddr("fd00::3"), 0x1000, 8)}
	s.apply(snap)
	h := s.glass()
	if h.Starved != nil {
		t.Fatal("starved before anything was lost")
	}
	s.apply(rise(3))
	since := s.state.Now
	st := h.Starved
	if st == nil || st.Lost != 3 || st.Since != since || st.Total != 2 || len(st.Policies) != 2 || st.Policies[0].Index != 9 || st.Policies[1].Index != 25 {
		t.Fatalf("%+v, want the policies 9 and 25", st)
	}
	s.apply(rise(3))
	s.apply(rise(5))
	if h.Starved != st || st.Lost != 5 || st.Since != since || st.Last != s.state.Now || st.Total != 2 {
		t.Errorf("%+v", st)
	}
	s.apply(&SAChange{Change: Added, SA: usable(glass, teapot, 0x2000, 7)})
	if h.Starved == nil {
		t.Fatal("one policy still lacks its SA")
	}
	s.apply(rise(6))
	if h.Starved.Total != 1 || h.Starved.Policies[0].Index != 25 {
		t.Errorf("%+v, want policy 25 alone", h.Starved.Policies)
	}
	s.apply(&PolicyChange{Change: Deleted, Policy: marked})
	if h.Starved != nil {
		t.Errorf("still starved: %+v", h.Starved)
	}
}

func TestStarvationEndsWhereAnACQUIRETellsForWhom(t *testing.T) {
	p := protect(toTeapot, 100, 7, 9)
	s := newStream(t)
	s.apply(kernel(p))
	s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: 3}})
	if s.glass().Starved == nil {
		t.Fatal("not starved")
	}
	s.apply(acquire(p, toTeapot))
	s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: 6}})
	if s.glass().Starved != nil {
		t.Error("starved although the need is known")
	}
}

func TestStarvationListsABoundedNumberOfPolicies(t *testing.T) {
	var policies []spd.Policy
	for i := range 3 * maxStarved {
		policies = append(policies, protect(selector("fd00::1/128", fmt.Sprintf("fd00::1:%x/128", i)), 100, 7, uint32(i+1)))
	}
	s := newStream(t)
	s.apply(kernel(policies...))
	s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: 1}})
	if st := s.glass().Starved; len(st.Policies) != maxStarved || st.Total != 3*maxStarved {
		t.Errorf("%d named of %d", len(st.Policies), st.Total)
	}
}

func TestANetworksPolicyIsNotStarvedWhileSomeSACarriesIt(t *testing.T) {
	s := newStream(t)
	snap := kernel(protect(selector("::/0", "::/0"), 100, 7, 9))
	snap.SAs = []spd.SA{usable(glass, teapot, 0x1000, 7)}
	s.apply(snap)
	s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: 1}})
	if st := s.glass().Starved; st != nil && st.Total != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCountersRiseFromTheirFirstValue(t *testing.T) {
	s := newStream(t)
	snap := kernel()
	snap.Counters = map[string]uint64{XfrmOutNoStates: 100}
	s.apply(snap)
	h := s.glass()
	count := func(v uint64) Sighting {
		s.pass(time.Second)
		s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: v, XfrmInTmplMismatch: v}})
		return s.state.Now
	}
	a := count(103)
	count(103)
	b := count(110)
	if n, first, last := h.Rise(XfrmOutNoStates, 0); n != 10 || first != a || last != b {
		t.Errorf("rise %d from %v to %v, want 10 from %v to %v", n, first.Mono, last.Mono, a.Mono, b.Mono)
	}
	if n, _, _ := h.Rise(XfrmOutNoStates, a.Mono); n != 7 {
		t.Errorf("rise since %v is %d, want 7", a.Mono, n)
	}
	if n, last := h.RiseBetween(XfrmOutNoStates, 0, a.Mono); n != 3 || last != a {
		t.Errorf("rise until %v is %d, want 3", a.Mono, n)
	}
	if n, _, _ := h.Rise(XfrmInTmplMismatch, 0); n != 7 {
		t.Errorf("a counter first seen at 103 rose by %d, want 7: what was before is not known", n)
	}
	if n, _, _ := h.Rise("no such counter", 0); n != 0 || h.Counter("no such counter") != 0 {
		t.Error("an unknown counter has a value")
	}
	count(2)
	count(4)
	if n, _, _ := h.Rise(XfrmOutNoStates, b.Mono); n != 2 || h.Counter(XfrmOutNoStates) != 4 {
		t.Errorf("after it began anew it rose by %d, want 2", n)
	}
}

func TestTheHistoryOfACounterIsBounded(t *testing.T) {
	var c series
	for i := range 10 * maxCounterPoints {
		c.put(Sighting{Time: epoch, Mono: time.Duration(i) * time.Second}, uint64(i))
		if len(c.points) > maxCounterPoints || cap(c.points) > 2*maxCounterPoints {
			t.Fatalf("%d points in room for %d", len(c.points), cap(c.points))
		}
	}
	since := time.Duration(10*maxCounterPoints-500) * time.Second
	if n, _, _ := c.rise(since, 1<<62); n != 499 {
		t.Errorf("of the latest 500 s %d are left, want 499", n)
	}
}

// TestAClockThatJumpsLeavesAgesUnknown holds that it is noticed that a wall clock has
// jumped, that events which come late do not look so, and that it counts from the next
// look at the SAs.
func TestAClockThatJumpsLeavesAgesUnknown(t *testing.T) {
	s := NewState(Limits{})
	var ahead time.Duration
	take := func(at time.Duration, e Event) *Host {
		*e.Head() = Header{Time: time.Unix(1_700_000_000, 0).Add(at + ahead), Mono: at, Origin: Origin{Host: "glass"}}
		s.Apply(e)
		return s.Hosts[0]
	}
	take(0, &Snapshot{})
	ahead = -3 * time.Second
	take(10*time.Second, &Counters{}) // came late
	ahead = 0
	if h := take(11*time.Second, &Snapshot{}); !h.ClockJumped.IsZero() {
		t.Errorf("what comes late makes the clock jump: %+v", h.ClockJumped)
	}
	ahead = time.Hour
	if h := take(20*time.Second, &Counters{}); !h.ClockJumped.IsZero() {
		t.Errorf("the SAs were dated by the clock as it was: %+v", h.ClockJumped)
	}
	if h := take(25*time.Second, &Snapshot{}); h.ClockJumped.Mono != 20*time.Second {
		t.Errorf("the clock jumped after 20 s, not at %+v", h.ClockJumped)
	}
}
