package timeline

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// Apply takes down an event that the state has just folded.
func (t *Timeline) Apply(s *analyze.State, e analyze.Event) {
	switch e := e.(type) {
	case *analyze.Frame:
		t.frame(s, e)
	case *analyze.Flow:
		t.flow(s, e)
	case *analyze.Acquire:
		h := s.Host(e.Origin)
		t.views(s, Item{Kind: Acquire, Event: e, Heard: h != nil && len(h.Daemons()) > 0}, nil, nil)
	case *analyze.SAChange:
		t.sa(s, e, &e.SA, saKind(&e.SA))
	case *analyze.Expire:
		t.expire(s, e)
	case *analyze.NeighborChange:
		t.neighbor(s, e)
	case *analyze.Counters:
		t.counters(s, e)
	case *analyze.PolicyChange:
		t.host(s, Item{Kind: Policy, Event: e})
	case *analyze.Daemon:
		t.daemon(s, e)
	case *analyze.Lost:
		t.host(s, Item{Kind: Lost, Event: e})
	case *analyze.Snapshot:
		t.host(s, Item{Kind: Snapshot, Event: brief(e)})
	}
}

// brief is what is kept of a snapshot: large ones would not fit.
func brief(e *analyze.Snapshot) *analyze.Snapshot { return &analyze.Snapshot{Header: e.Header} }

// daemon takes down who listens for ACQUIREs, and what an IKE daemon says: of
// the pair where it is known, else of its host. That it is heard, or not any
// more, concerns the host; the SAs that it holds are told of by the kernel.
func (t *Timeline) daemon(s *analyze.State, e *analyze.Daemon) {
	switch w := e.Word; {
	case w == nil:
		t.host(s, Item{Kind: Daemon, Event: e})
	case w.Saying != nil && len(s.Trace().Views) > 0:
		t.views(s, Item{Kind: Said, Event: e}, nil, nil)
	case w.Saying != nil:
		t.host(s, Item{Kind: Said, Event: e})
	case w.Whole, w.Silent != "":
		w := *w
		w.Connections, w.SAs = nil, nil // large ones would not fit
		t.host(s, Item{Kind: Said, Event: &analyze.Daemon{Header: e.Header, Word: &w}})
	}
}

// host takes down what concerns a host as a whole.
func (t *Timeline) host(s *analyze.State, i Item) {
	i.At = s.Now
	t.putHost(s.Now.Origin(), i)
}

// views takes down an item for every pair that the event touched. Where they are
// given, ends says between whom it went, and fate what the policies do with it.
func (t *Timeline) views(s *analyze.State, i Item, ends func(*analyze.View) (from, to netip.Addr), fate func(Item) *Fate) {
	i.At = s.Now
	for _, v := range s.Trace().Views {
		i.From, i.To = v.Local, v.Peer
		if ends != nil {
			i.From, i.To = ends(v)
		}
		if fate != nil {
			i.Fate = fate(i)
		}
		t.put(v.Pair.Key, i)
	}
}

// neighbor takes down a neighbour entry, and what becomes of the solicitations with
// which the kernel looks for it.
func (t *Timeline) neighbor(s *analyze.State, e *analyze.NeighborChange) {
	var fate func(Item) *Fate
	if h := s.Host(e.Origin); h != nil && h.KernelSeen && searching(e.Neighbor.State) {
		fate = func(i Item) *Fate { return fateOfAsking(h, i.From, &e.Neighbor) }
	}
	t.views(s, Item{Kind: Neighbor, Event: e}, nil, fate)
}

func (t *Timeline) frame(s *analyze.State, f *analyze.Frame) {
	trace := s.Trace()
	p := trace.Packet
	switch {
	case p == nil:
	case trace.IKE != nil:
		t.ike(s, f, p, trace.IKE)
	case p.IsARP():
		t.arp(s, f, p)
	case isDiscovery(p) && len(trace.Views) > 0:
		t.discovery(s, f, p)
	case p.Proto == spd.ProtoICMP || p.Proto == spd.ProtoICMPv6:
		t.icmpError(s, f, p)
	}
}

func isDiscovery(p *analyze.Packet) bool {
	typ, ok := p.ICMPv6Type()
	return ok && (typ == spd.NeighborSolicitation || typ == spd.NeighborAdvertisement)
}

// ike takes down an IKE message. Behind a NAT, and after the peer has moved, its
// addresses are not those of the pair: the one that is tells the other.
func (t *Timeline) ike(s *analyze.State, f *analyze.Frame, p *analyze.Packet, message []byte) {
	i := Item{Kind: IKE, Event: f, IKE: message, Same: analyze.Fingerprint(message)}
	if h := s.Host(f.Origin); h != nil && h.KernelSeen && h.Owns(p.Dst) {
		if n, _, ok := h.Neighbor(zoned(p.Src, f)); ok {
			i.Neighbor = n.State
		}
	}
	t.views(s, i, func(v *analyze.View) (from, to netip.Addr) {
		k := v.Pair.Key
		switch src, dst := zoned(p.Src, f), zoned(p.Dst, f); {
		case src == k.A || src == k.B:
			return src, other(k, src)
		case dst == k.A || dst == k.B:
			return other(k, dst), dst
		}
		return k.A, k.B
	}, nil)
}

// zoned is the address under which the state knows a link-local one.
func zoned(a netip.Addr, f *analyze.Frame) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() && f.Origin.Interface != "" {
		return a.WithZone(f.Origin.Interface)
	}
	return a
}

func (t *Timeline) arp(s *analyze.State, f *analyze.Frame, p *analyze.Packet) {
	kind := ARPRequest
	if len(p.Payload) >= 8 && binary.BigEndian.Uint16(p.Payload[6:]) == 2 {
		kind = ARPReply
	}
	i := Item{Kind: kind, Event: f, Same: analyze.Fingerprint(p.Payload)}
	t.views(s, i, func(v *analyze.View) (from, to netip.Addr) {
		from = senderOfARP(p.Payload)
		return from, other(v.Pair.Key, from)
	}, nil)
}

// senderOfARP returns the sender's protocol address. The state has checked the
// lengths.
func senderOfARP(b []byte) netip.Addr {
	if len(b) < 8 || len(b) < 12+int(b[4]) {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b[8+int(b[4]):]))
}

// discovery takes down a solicitation or an advertisement, and what the
// observer's policies do with the answer.
func (t *Timeline) discovery(s *analyze.State, f *analyze.Frame, p *analyze.Packet) {
	typ, _ := p.ICMPv6Type()
	h := s.Host(f.Origin)
	i := Item{Kind: NS, Event: f, Same: analyze.Fingerprint(p.Upper)}
	if typ == spd.NeighborAdvertisement {
		i.Kind = NA
	}
	var fate func(Item) *Fate
	if h != nil && h.KernelSeen {
		fate = func(i Item) *Fate { return fateOf(h, &i) }
	}
	t.views(s, i, func(v *analyze.View) (from, to netip.Addr) {
		if i.Kind == NS {
			from = zoned(p.Src, f)
			return from, other(v.Pair.Key, from)
		}
		to = zoned(p.Dst, f)
		return other(v.Pair.Key, to), to
	}, fate)
}

// fateOf asks the observer's policies what becomes of the answer to an NS, or
// of an NA that came in the clear; nil where it passes or that is another's
// matter.
func fateOf(h *analyze.Host, i *Item) *Fate {
	var f spd.Flow
	var dir spd.Direction
	switch {
	case i.Kind == NS && h.Owns(i.To):
		dir, f = spd.Out, spd.ICMPv6Flow(i.To, i.From, spd.NeighborAdvertisement)
		f.IfIndex = h.InterfaceIndex(i.At.Origin().Interface)
	case i.Kind == NA && h.Owns(i.To):
		dir, f = spd.In, spd.ICMPv6Flow(i.From, i.To, spd.NeighborAdvertisement)
	default:
		return nil
	}
	v := h.DB.Lookup(dir, f)
	if dies := v.Dies() || (dir == spd.In && v.Decision == spd.Protect); !dies {
		return nil
	}
	return makeFate(dir, &v)
}

func makeFate(dir spd.Direction, v *spd.Verdict) *Fate {
	fate := &Fate{Direction: dir, Sure: v.Tied == nil}
	if n := len(v.Policies); n > 0 {
		p := *v.Policies[n-1]
		if need := v.MissingSA(); need != nil {
			p = *need.Policy
		}
		fate.Policy = &p
	}
	return fate
}

// searching reports whether the kernel solicits, or did so in vain.
func searching(state string) bool { return state == "INCOMPLETE" || state == "FAILED" }

// fateOfAsking asks the policies what becomes of the solicitations with which
// the kernel looks for a neighbour (ndisc_send_ns).
func fateOfAsking(h *analyze.Host, from netip.Addr, n *analyze.Neighbor) *Fate {
	group := analyze.SolicitedNode(n.Addr)
	if !from.IsValid() || !group.IsValid() {
		return nil
	}
	f := spd.ICMPv6Flow(from, group, spd.NeighborSolicitation)
	f.IfIndex = n.IfIndex
	v := h.DB.Lookup(spd.Out, f)
	if !v.Dies() {
		return nil
	}
	return makeFate(spd.Out, &v)
}

// icmpError takes down an ICMP error about a packet of IPsec or of neighbour
// discovery.
func (t *Timeline) icmpError(s *analyze.State, f *analyze.Frame, p *analyze.Packet) {
	if !p.Interesting() {
		return
	}
	q, ok := p.Quoted()
	if !ok {
		return
	}
	k := analyze.MakePairKey(zoned(q.Src, f), zoned(q.Dst, f))
	to := zoned(p.Dst, f)
	if to != k.A && to != k.B {
		return
	}
	t.put(k, Item{Kind: ICMPError, At: s.Now, Event: f, From: other(k, to), To: to, Same: analyze.Fingerprint(p.Upper)})
}

// flow takes down an interval of ESP.
func (t *Timeline) flow(s *analyze.State, e *analyze.Flow) {
	t.rates.flow(s.Now, e)
	for _, v := range s.Trace().Views {
		from := e.Key.Src
		if k := v.Pair.Key; from != k.A && from != k.B { // with its zone
			from = k.A
			if k.B.WithZone("") == e.Key.Src {
				from = k.B
			}
		}
		t.put(v.Pair.Key, Item{Kind: ESP, At: s.Now, Event: e, From: from, To: other(v.Pair.Key, from)})
	}
}

// extend adds an interval to a run of ESP.
func (i *Item) extend(e *analyze.Flow) {
	sum := i.Event.(*analyze.Flow)
	sum.Packets += e.Packets
	sum.Bytes += e.Bytes
	sum.MinSeq, sum.MaxSeq, sum.LastSeq = min(sum.MinSeq, e.MinSeq), max(sum.MaxSeq, e.MaxSeq), e.LastSeq
	if e.End.After(sum.End) {
		sum.End = e.End
	}
}

func saKind(sa *spd.SA) Kind {
	if sa.Larval() {
		return Larval
	}
	return SA
}

// sa takes down what became of an SA between two hosts.
func (t *Timeline) sa(s *analyze.State, e analyze.Event, sa *spd.SA, kind Kind) {
	if !sa.Src.IsValid() || !sa.Dst.IsValid() || sa.Src == sa.Dst {
		t.host(s, Item{Kind: kind, Event: e})
		return
	}
	t.put(analyze.MakePairKey(sa.Src, sa.Dst), Item{Kind: kind, At: s.Now, Event: e, From: sa.Src, To: sa.Dst})
}

func (t *Timeline) expire(s *analyze.State, e *analyze.Expire) {
	if e.SA != nil {
		t.sa(s, e, e.SA, Expire)
		return
	}
	t.host(s, Item{Kind: Expire, Event: e})
}

// counters takes down by how much the counters of lost packets rose: those of
// /proc/net/xfrm_stat, which are zero while all is well.
func (t *Timeline) counters(s *analyze.State, e *analyze.Counters) {
	h := s.Host(e.Origin)
	if h == nil {
		return
	}
	var rises []Rise
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		if !strings.HasPrefix(name, "Xfrm") {
			continue
		}
		if by := h.RiseAt(name, s.Now); by > 0 {
			rises = append(rises, Rise{name, by})
			t.rates.counter(s.Now, name, by)
		}
	}
	if rises != nil {
		t.host(s, Item{Kind: Counter, Event: &analyze.Counters{Header: e.Header}, Rises: rises})
	}
}

// Message decodes the IKE message of an item, nil where it is none.
func (i *Item) Message() *ike.Message {
	if i.IKE == nil {
		return nil
	}
	m, _ := ike.Parse(i.IKE)
	return m
}
