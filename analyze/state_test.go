package analyze

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// flow makes an interval of a flow that began and ended so long before now.
func (s *stream) flow(key FlowKey, began, ended time.Duration, packets uint64, low, high uint32) {
	now := epoch.Add(s.mono + 100*time.Millisecond)
	s.apply(&Flow{
		Key: key, Start: now.Add(-began), End: now.Add(-ended), Packets: packets, Bytes: 100 * packets,
		FirstSeq: low, LastSeq: high, MinSeq: low, MaxSeq: high,
	})
}

var espFlow = FlowKey{Src: glass, Dst: teapot, Proto: spd.ProtoESP, SPI: 0xc0ffee}

func TestFlowsAddUpBySPI(t *testing.T) {
	s := newStream(t)
	s.pass(10 * time.Second)
	s.flow(espFlow, 900*time.Millisecond, 300*time.Millisecond, 5, 11, 15)
	began := s.state.Now.Mono - 900*time.Millisecond
	s.pass(time.Second)
	s.flow(espFlow, 500*time.Millisecond, 200*time.Millisecond, 3, 9, 18)
	ended := s.state.Now.Mono - 200*time.Millisecond
	rekeyed, back := espFlow, FlowKey{Src: teapot, Dst: glass, Proto: spd.ProtoESP, SPI: 0xbeef}
	rekeyed.SPI = 0xc0ffef
	s.flow(rekeyed, 0, 0, 1, 1, 1)
	s.flow(back, 0, 0, 1, 1, 1)
	v := s.onlyView()
	if len(v.Flows) != 3 || s.state.Packets != 10 {
		t.Fatalf("%d flows with %d packets, want 3 with 10", len(v.Flows), s.state.Packets)
	}
	f := v.Flows[0]
	if f.Key != espFlow || f.Packets != 8 || f.Bytes != 800 || f.MinSeq != 9 || f.MaxSeq != 18 {
		t.Errorf("%+v", f)
	}
	if f.First.Mono != began || f.Last.Mono != ended || !f.Last.Time.Equal(epoch.Add(ended)) {
		t.Errorf("from %v to %v, want %v to %v", f.First.Mono, f.Last.Mono, began, ended)
	}
	if v.LastUnicast(glass).Mono < ended || v.LastUnicast(teapot) != s.state.Now {
		t.Error("its packets are not noted as unicast")
	}
}

// TestAFlowsLastPacketIsNotTheEndOfItsInterval: what an asker sent before it
// began to ask must not look like sent after.
func TestAFlowsLastPacketIsNotTheEndOfItsInterval(t *testing.T) {
	s := newStream(t)
	s.pass(10 * time.Second)
	s.frame(ask(t))
	s.pass(500 * time.Millisecond)
	s.flow(espFlow, time.Second, 800*time.Millisecond, 1, 1, 1)
	if v := s.onlyView(); !v.LastUnicast(glass).Before(s.search().First) {
		t.Errorf("last unicast at %v, search since %v", v.LastUnicast(glass).Mono, s.search().First.Mono)
	}
}

func TestAFlowOfLinkLocalAddressesIsInTheirPair(t *testing.T) {
	s := newStream(t)
	peer := netip.MustParseAddr("fe80::2")
	s.frame(solicitation(t, glassLL, SolicitedNode(peer), peer))
	s.flow(FlowKey{Src: glassLL, Dst: peer, Proto: spd.ProtoESP, SPI: 1}, 0, 0, 1, 1, 1)
	if v := s.onlyView(); len(v.Flows) != 1 || v.LastUnicast(glassLL.WithZone("eth0")).IsZero() {
		t.Errorf("%d flows in the pair", len(v.Flows))
	}
}

func TestFlowsOfAPairAreBounded(t *testing.T) {
	s := newStream(t)
	k := espFlow
	for i := range uint32(2 * maxFlows) {
		k.SPI = i + 1
		s.flow(k, 0, 0, 1, 1, 1)
	}
	if v := s.onlyView(); len(v.Flows) != maxFlows || v.Flows[maxFlows-1].Key != k {
		t.Errorf("%d flows", len(v.Flows))
	}
}

func TestBothEndsViewsAreOfOnePair(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	s.apply(&Frame{Header: Header{Origin: Origin{Host: "teapot", Interface: "eth0"}}, Link: LinkEthernet, Data: ask(t)})
	if p := s.state.Pair(teapot, glass); p == nil || len(p.Views) != 2 || p.Views[0].Host == p.Views[1].Host {
		t.Errorf("%+v", p)
	}
}

func TestAViewKnowsItsOwnEnd(t *testing.T) {
	elsewhere := kernel()
	elsewhere.Addresses = []Address{{Prefix: prefix("fd00::2/64"), IfIndex: 2}}
	both := kernel()
	both.Addresses = []Address{{Prefix: prefix("fd00::1/64")}, {Prefix: prefix("fd00::2/64")}}
	neither := kernel()
	neither.Addresses = nil
	s := newStream(t)
	s.frame(ask(t))
	v := s.onlyView()
	check := func(when string, local, peer netip.Addr) {
		t.Helper()
		if v.Local != local || v.Peer != peer {
			t.Errorf("%s: local %s, peer %s; want %s, %s", when, v.Local, v.Peer, local, peer)
		}
	}
	check("nothing is known", netip.Addr{}, netip.Addr{})
	s.apply(kernel())
	check("a snapshot came", glass, teapot)
	s.apply(elsewhere)
	check("the address is now the other's", teapot, glass)
	s.apply(both)
	check("both are its own", netip.Addr{}, netip.Addr{})
	s.pass(activeTime + 2*time.Second)
	s.apply(kernel())
	s.frame(ask(t))
	check("a snapshot came while nobody spoke", glass, teapot)
	s.apply(neither)
	check("the address is gone", netip.Addr{}, netip.Addr{})
}

func TestAPairIsUnderJudgementFor120Seconds(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	s.pass(activeTime)
	if len(s.state.Active()) != 1 {
		t.Fatal("retired early")
	}
	s.pass(2 * time.Second)
	if len(s.state.Active()) != 0 {
		t.Fatal("not retired")
	}
	s.frame(ask(t))
	s.frame(ask(t))
	if len(s.state.Active()) != 1 || s.search().Count != 2 {
		t.Error("not taken up again, or the pause did not begin a new round")
	}
}

func TestOfPairsTheLongestUntouchedIsForgotten(t *testing.T) {
	s := newStream(t)
	s.state = NewState(Limits{Pairs: 10})
	s.apply(kernel(protect(toTeapot, 100, 7, 9)))
	s.ike(init2(1))
	s.apply(acquire(protect(toTeapot, 100, 7, 9), toTeapot))
	scan := func(n int, keep bool) {
		for i := range n {
			s.frame(arp(t, arpRequest, broadcast, glass4, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})))
			if keep && i%5 == 0 {
				s.ike(init2(1))
			}
		}
	}
	scan(100, true)
	if s.state.Pair(glass, teapot) == nil || s.state.Evicted != 91 || len(s.views()) != 10 {
		t.Fatalf("a scan pushed the pair out that speaks: %d evicted, %d left", s.state.Evicted, len(s.views()))
	}
	old := s.state.Pair(glass, teapot).Views[0]
	scan(10, false)
	if s.state.Pair(glass, teapot) == nil {
		t.Fatal("strangers pushed the pair out that the kernel's policies are about")
	}
	s.state.forget(s.state.pairs[MakePairKey(glass, teapot)])
	s.pass(time.Second)
	for _, v := range s.state.Active() {
		if v == old {
			t.Error("a forgotten pair is still under judgement")
		}
	}
	s.apply(&SAChange{Change: Added, SA: usable(glass, teapot, 0x1000, 7)})
	if len(s.glass().needs) != 0 || s.state.Pair(glass, teapot) != nil {
		t.Error("its need is still followed")
	}
	s.ike(init2(1))
	p := s.state.Pair(glass, teapot)
	if p == nil || p.Views[0] == old || len(p.Views[0].IKE) != 1 || p.Views[0].IKE[0].FromInitiator.Messages != 1 {
		t.Fatal("the IKE SA lives on in the forgotten pair")
	}
	if len(s.state.spis) != 1 || len(s.state.spiLog) != 1 {
		t.Errorf("%d SPIs, %d in order", len(s.state.spis), len(s.state.spiLog))
	}
}

func TestEventsOfHostsBeyondTheLimitAreCountedAndLeftOut(t *testing.T) {
	s := newStream(t)
	s.state = NewState(Limits{Hosts: 2})
	for i := range 100 {
		o := Origin{Host: fmt.Sprintf("host%d", i%10), Interface: "eth0"}
		s.apply(&Frame{Header: Header{Origin: o}, Link: LinkEthernet, Data: ask(t)})
		s.apply(&Counters{Header: Header{Origin: o}})
	}
	if len(s.state.Hosts) != 2 || s.state.Hosts[0].Origin.Host != "host0" {
		t.Errorf("%d hosts", len(s.state.Hosts))
	}
	if n := len(s.views()); n != 2 || len(s.state.Active()) != 2 {
		t.Errorf("%d views, %d of them active; want 2", n, len(s.state.Active()))
	}
	if s.state.Evicted != 160 {
		t.Errorf("%d counted, want the 160 events of the other eight", s.state.Evicted)
	}
}

func TestWhatAHostTellsIsBounded(t *testing.T) {
	s := newStream(t)
	snap := kernel()
	for i := range 2 * maxCounters {
		snap.Counters[fmt.Sprintf("Counter%d", i)] = 1
	}
	for i := range maxNeighbors + 100 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		snap.Neighbors = append(snap.Neighbors, Neighbor{Addr: a, State: "STALE"})
	}
	s.apply(snap)
	h := s.glass()
	if len(h.counters) != maxCounters || len(h.neighbors) != maxNeighbors {
		t.Errorf("%d counters, %d neighbours", len(h.counters), len(h.neighbors))
	}
	for i := range 2 * maxNeighborLinks {
		s.apply(&NeighborChange{Change: Added, Neighbor: Neighbor{Addr: netip.AddrFrom4([4]byte{10, 0, 0, 1}), IfIndex: i + 1, State: "STALE"}})
	}
	if n := len(h.neighbors[netip.AddrFrom4([4]byte{10, 0, 0, 1})]); n != maxNeighborLinks {
		t.Errorf("one address is a neighbour on %d links", n)
	}
	all := protect(selector("::/0", "::/0"), 100, 7, 9)
	for i := range maxNeeds + 10 {
		a := teapot.As16()
		binary.BigEndian.PutUint32(a[4:], uint32(i))
		sel := toTeapot
		sel.Dst = netip.PrefixFrom(netip.AddrFrom16(a), 128)
		s.apply(acquire(all, sel))
	}
	if len(h.needs) != maxNeeds || s.state.Evicted != 10 {
		t.Errorf("%d needs, %d evicted", len(h.needs), s.state.Evicted)
	}
	if v := s.views()[0]; v.Need != nil {
		t.Error("a forgotten need stands open for ever")
	}
	for range 3 {
		s.apply(&Lost{What: "frames", Count: 2})
	}
	if l := s.state.Losses; len(l) != 1 || l[0].Count != 6 {
		t.Errorf("losses %+v, want what was lost in the same words added up", l)
	}
	for i := range 2 * maxLosses {
		s.apply(&Lost{What: fmt.Sprint("frames of ", i), Count: 1})
	}
	if n := len(s.state.Losses); n != maxLosses {
		t.Errorf("%d losses", n)
	}
}

// TestAFloodCostsBoundedMemory gives the state a flow between ever new hosts,
// as forged ESP makes it.
func TestAFloodCostsBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 300,000 pairs")
	}
	s := NewState(Limits{})
	before := heap()
	e := &Flow{Header: Header{Origin: here}, Key: espFlow, Packets: 1}
	for i := range 300_000 {
		a := glass.As16()
		binary.BigEndian.PutUint32(a[4:], uint32(i))
		e.Key.Src = netip.AddrFrom16(a)
		e.Time, e.Mono = epoch.Add(time.Duration(i)), time.Duration(i)
		s.Apply(e)
	}
	s.Apply(&Tick{Header: Header{Time: epoch, Mono: 300_000}})
	if len(s.pairs) != 100_000 || s.crowd[stranger].Len() != 100_000 || len(s.judged.all) != 100_000 || s.Evicted != 200_000 {
		t.Errorf("%d pairs, %d active, %d evicted", len(s.pairs), len(s.judged.all), s.Evicted)
	}
	if used := heap() - before; used > 200<<20 {
		t.Errorf("%d MB for 100,000 pairs", used>>20)
	} else {
		t.Logf("%d MB for 100,000 pairs", used>>20)
	}
	runtime.KeepAlive(s)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestOnlyTiedToIPsecIsInvolved(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	v := s.onlyView()
	if v.Involved() {
		t.Error("a search alone involves IPsec")
	}
	s.apply(kernel(protect(selector("fd00::/64", "fd00::/64"), 100, 7, 9)))
	if v.Involved() {
		t.Error("a policy for a network says nothing of one host in it")
	}
	s.apply(kernel(protect(toTeapot, 100, 7, 9)))
	if !v.Involved() {
		t.Error("a policy between just these two")
	}
	s.apply(kernel(spd.Policy{Direction: spd.Out, Selector: selector("10.1.0.0/16", "10.2.0.0/16"), Templates: []spd.Template{
		{Src: glass, Dst: teapot, Proto: spd.ProtoESP, Mode: spd.Tunnel}}}))
	if !v.Involved() {
		t.Error("a tunnel between just these two")
	}
	s.apply(kernel())
	s.flow(espFlow, 0, 0, 1, 1, 1)
	if !v.Involved() {
		t.Error("ESP between them")
	}
}

// story is a stream with something of everything.
func story(t testing.TB) *stream {
	s := newStream(t)
	p, q := protect(toTeapot, 100, 7, 9), protect(selector("::/0", "::/0"), 100, 8, 17)
	snap := kernel(p, q)
	for i := range 50 {
		snap.Counters[fmt.Sprintf("Counter%d", i)] = 1
		a := teapot.As16()
		a[9] = byte(i) // all have one solicited-node address
		snap.Neighbors = append(snap.Neighbors, Neighbor{Addr: netip.AddrFrom16(a), IfIndex: 2, State: "STALE"})
	}
	ns := selector("fd00::1/128", "ff02::1:ff00:2/128")
	ns.Proto = spd.ProtoICMPv6
	snap.SAs = []spd.SA{larvalSA(ns, 8, 1), usable(teapot, glass, 5, 7), usable(teapot, glass, 6, 7)}
	s.apply(snap)
	s.frame(ask(t))
	s.ike(init2(1), init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer))
	s.apply(acquire(q, ns))
	s.apply(&Counters{Values: map[string]uint64{XfrmOutNoStates: 3, "B": 1, "A": 2}})
	s.frame(arp(t, arpRequest, broadcast, glass4, teapot4))
	s.pass(3 * time.Second)
	s.apply(acquire(p, toTeapot))
	s.frame(tell(t))
	s.apply(&SAChange{Change: Added, SA: usable(glass, teapot, 7, 7)})
	s.flow(espFlow, 500*time.Millisecond, 0, 4, 1, 4)
	s.apply(&Lost{What: "frames", Count: 2})
	s.apply(&NeighborChange{Change: Updated, Neighbor: Neighbor{Addr: teapot, IfIndex: 2, State: "REACHABLE"}})
	s.apply(&PolicyChange{Change: Deleted, Policy: q})
	s.apply(&Daemon{Listeners: []Listener{{Via: "netlink"}}})
	s.pass(2 * time.Second)
	return s
}

// TestTheSameEventsGiveTheSameState also catches what depends on the order of a
// map, by trying often, and a receiver that changes an event.
func TestTheSameEventsGiveTheSameState(t *testing.T) {
	first := story(t)
	for range 20 {
		if again := story(t); !reflect.DeepEqual(first.state, again.state) {
			t.Fatal("two runs differ")
		}
	}
	replay := NewState(Limits{})
	for _, e := range first.log {
		replay.Apply(e)
	}
	if !reflect.DeepEqual(first.state, replay) {
		t.Error("the same event values applied again give another state: one was changed")
	}
}

// TestARecordedStreamGivesTheSameState holds that live and replayed are one way.
func TestARecordedStreamGivesTheSameState(t *testing.T) {
	live := story(t)
	replay := NewState(Limits{})
	for _, e := range live.log {
		b, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		replay.Apply(got)
	}
	if !reflect.DeepEqual(live.state, replay) {
		t.Error("the replayed state differs")
	}
}

func TestSightingsAreOrderedAndNeverIsFirst(t *testing.T) {
	never, a, b := Sighting{}, Sighting{Time: epoch, Mono: 1}, Sighting{Time: epoch, Mono: 2}
	for _, tt := range []struct {
		x, y Sighting
		want bool
	}{{a, b, true}, {b, a, false}, {a, a, false}, {never, a, true}, {a, never, false}, {never, never, false}} {
		if got := tt.x.Before(tt.y); got != tt.want {
			t.Errorf("%v before %v: %t", tt.x.Mono, tt.y.Mono, got)
		}
	}
}

func BenchmarkApplyFlow(b *testing.B) {
	s := NewState(Limits{})
	e := &Flow{Header: Header{Origin: here, Time: epoch}, Key: espFlow, Packets: 1}
	b.ReportAllocs()
	for b.Loop() {
		e.Mono++
		s.Apply(e)
	}
}

func BenchmarkApplyIKE(b *testing.B) {
	s := NewState(Limits{})
	data := init2(1).frame()
	e := &Frame{Header: Header{Origin: here, Time: epoch}, Link: LinkEthernet, Data: data}
	b.ReportAllocs()
	for b.Loop() {
		e.Mono++
		s.Apply(e)
	}
}
