package analyze

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze/spd"
)

// XfrmOutNoStates counts packets that a policy caught and no SA carried
// (LINUX_MIB_XFRMOUTNOSTATES, net/xfrm/xfrm_policy.c: xfrm_lookup_with_ifid).
const XfrmOutNoStates = "XfrmOutNoStates"

// XfrmInTmplMismatch counts packets that an inbound policy wanted protected and
// that came in the clear or under another SA (__xfrm_policy_check).
const XfrmInTmplMismatch = "XfrmInTmplMismatch"

// XfrmInNoPols counts packets that came out of a tunnel and that no inbound
// policy selects, and those that the default action drops (__xfrm_policy_check).
const XfrmInNoPols = "XfrmInNoPols"

// Counters of packets that came and were dropped (xfrm_input): for lack of an SA;
// because the SA could not verify or decrypt them; by the replay check; because
// they came with an encapsulation that the SA has not, or without (a selector of
// the SA counts here too: __xfrm_policy_check).
const (
	XfrmInNoStates        = "XfrmInNoStates"
	XfrmInStateProtoError = "XfrmInStateProtoError"
	XfrmInStateSeqError   = "XfrmInStateSeqError"
	XfrmInStateMismatch   = "XfrmInStateMismatch"
)

// applyKernel folds what a kernel told.
func (s *State) applyKernel(h *Host, e Event) {
	switch e := e.(type) {
	case *Snapshot:
		h.applySnapshot(e)
		s.reorient(h)
		s.larval(h)
	case *Acquire:
		s.applyAcquire(h, e)
	case *PolicyChange:
		h.applyPolicy(e)
	case *SAChange:
		if !h.applySA(e) {
			return
		}
		if e.Change == Added {
			s.larvalSA(h, &e.SA)
		}
	case *Expire:
		s.expired(h, e)
		h.applyExpire(e)
	case *NeighborChange:
		h.applyNeighbor(e)
		s.touchNeighbor(h, e.Neighbor)
	case *Counters:
		before := h.Counter(XfrmOutNoStates)
		h.applyCounters(s.Now, e.Values)
		if after := h.Counter(XfrmOutNoStates); after > before {
			h.starve(s.Now, after-before)
		}
	case *Daemon:
		if e.Word != nil {
			s.applyWord(h, e.Word)
			return
		}
		h.Listeners = slices.Clone(e.Listeners)
	}
	switch e.(type) {
	case *Snapshot, *PolicyChange, *SAChange, *Expire:
		h.changes++
		s.settle(h)
		h.changed(s.Now, e)
	case *Daemon:
		h.changed(s.Now, e)
	}
}

// changed notes a change of what can be audited. Changes without a snapshot
// before them are not the whole picture.
func (h *Host) changed(at Sighting, e Event) {
	if _, whole := e.(*Snapshot); whole || h.Generation > 0 {
		h.Generation++
		h.Changed, h.ClockJumped = at, h.jumped
	}
}

// settle closes needs, and brings their pairs under judgement again.
func (s *State) settle(h *Host) {
	for _, n := range h.settle(s.Now) {
		s.view(h, n.Local, n.Peer)
	}
	h.fed()
}

// reorient tells every view of a host anew which end is its own, after its
// addresses became known.
func (s *State) reorient(h *Host) {
	for _, v := range s.judged.all {
		if v.Host == h {
			v.orient()
		}
	}
}

// touchNeighbor brings the pairs with that neighbour under judgement.
func (s *State) touchNeighbor(h *Host, n Neighbor) {
	peer := h.zoned(n.Addr, n.IfIndex)
	for _, x := range h.Addresses {
		if p := s.Pair(h.zoned(x.Prefix.Addr(), x.IfIndex), peer); p != nil {
			s.view(h, p.Key.A, p.Key.B)
		}
	}
}

// applyAcquire folds an ACQUIRE. One for templates that are all optional stands
// for no need: the packet has gone out in the clear (xfrm_tmpl_resolve_one).
func (s *State) applyAcquire(h *Host, e *Acquire) {
	if !e.Src.IsValid() || !e.Dst.IsValid() || (len(e.Policy.Templates) > 0 && !e.Policy.Requires()) {
		return
	}
	dev := e.Selector.IfIndex
	peer := h.discovered(e.Dst, e.Selector)
	f := flowOf(e.Selector, e.Policy.Mark, e.Policy.IfID)
	s.need(h, h.zoned(e.Src, dev), h.zoned(peer, dev), f).acquired(e)
}

// need returns the open need of a pair, beginning one where there is none.
func (s *State) need(h *Host, local, peer netip.Addr, f spd.Flow) *Need {
	v := s.view(h, local, peer)
	if n := v.Need; n != nil && n.Open() && h.idle(n, s.Now.Mono) {
		n.Withdrawn = s.Now // given up long ago; settle takes it off the list
	}
	if v.Need == nil || !v.Need.Open() {
		if len(h.needs) >= maxNeeds {
			h.needs[0].forget()
			s.evicted("needs")
		}
		v.Need = &Need{Local: local, Peer: peer, Since: s.Now, Flow: f, view: v}
		h.needs = appendBounded(h.needs, v.Need, maxNeeds)
		h.Starved = nil // from here on it is known for whom
	}
	v.Need.Sign = s.Now
	return v.Need
}

// larval begins a need for every larval SA of a snapshot.
func (s *State) larval(h *Host) {
	for i := range h.DB.SAs {
		s.larvalSA(h, &h.DB.SAs[i])
	}
}

// larvalSA begins a need for a larval SA, unless it lingers beside live SAs
// that carry what it was made for.
func (s *State) larvalSA(h *Host, sa *spd.SA) {
	if !sa.Larval() || !sa.Src.IsValid() || !sa.Selector.Src.IsValid() || !sa.Selector.Dst.IsValid() {
		return
	}
	f := flowOf(sa.Selector, sa.Mark, sa.IfID)
	if v := h.DB.Lookup(spd.Out, f); v.Decision != spd.Protect || v.MissingSA() == nil {
		return
	}
	peer := h.discovered(sa.Dst, sa.Selector)
	dev := sa.Selector.IfIndex
	s.need(h, h.zoned(sa.Src, dev), h.zoned(peer, dev), f).Larval = true
}

// zoned gives a link-local address the zone under which the wire knows it: the
// name of its interface.
func (h *Host) zoned(a netip.Addr, ifindex int) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" {
		return a.WithZone(h.InterfaceName(ifindex))
	}
	return a
}

// discovered returns the neighbour that a solicitation caught by a policy was
// for: such a packet goes to the solicited-node address of its target (RFC 4291
// section 2.7.1), which holds the target's last 24 bits. Other destinations are
// returned unchanged.
func (h *Host) discovered(dst netip.Addr, sel spd.Selector) netip.Addr {
	if !IsSolicitedNode(dst) || sel.Proto != spd.ProtoICMPv6 {
		return dst
	}
	var best netip.Addr
	for a := range h.neighbors {
		if SolicitedNode(a) == dst && (!best.IsValid() || a.Less(best)) {
			best = a
		}
	}
	if !best.IsValid() {
		return dst
	}
	return best
}

// SolicitedNode returns the solicited-node multicast address of an IPv6
// address, the zero Addr for others.
func SolicitedNode(a netip.Addr) netip.Addr {
	if !a.Is6() || a.IsMulticast() {
		return netip.Addr{}
	}
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// IsSolicitedNode reports whether a is in ff02::1:ff00:0/104.
func IsSolicitedNode(a netip.Addr) bool {
	return a.Is6() && netip.MustParsePrefix("ff02::1:ff00:0/104").Contains(a.WithZone(""))
}
