package analyze

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze/spd"
)

// Need is an outbound SA that a host's traffic waits for.
type Need struct {
	Local, Peer netip.Addr // ends of the SA
	Since       Sighting
	// Flow is the packet that first needed it, as the ACQUIRE or the larval
	// SA's selector tells.
	Flow     spd.Flow
	Acquires []SeenAcquire // the latest, bounded
	Count    int           // of ACQUIREs, all of them
	Larval   bool          // found as a larval SA in a snapshot
	// Satisfied is when an SA came that carries Flow; Withdrawn when no policy
	// wanted one any more. One of them at most is set.
	Satisfied Sighting
	Withdrawn Sighting
}

// maxNeeds bounds the open needs of one host.
const maxNeeds = 4096

// SeenAcquire is one ACQUIRE.
type SeenAcquire struct {
	At       Sighting
	Selector spd.Selector
	Priority uint32 // of the policy
	Proto    uint8
}

// Open reports whether the need still stands.
func (n *Need) Open() bool { return n.Satisfied.IsZero() && n.Withdrawn.IsZero() }

// flowOf returns the packet that a larval SA's or an ACQUIRE's selector stands
// for; the kernel fills it from the packet itself (xfrm_init_tempstate).
func flowOf(s spd.Selector) spd.Flow {
	return spd.Flow{
		Src: s.Src.Addr(), Dst: s.Dst.Addr(), Proto: s.Proto,
		SrcPort: s.SrcPort, DstPort: s.DstPort, IfIndex: s.IfIndex,
	}
}

func (n *Need) acquired(e *Acquire) {
	n.Count++
	n.Acquires = appendBounded(n.Acquires, SeenAcquire{
		At: Seen(e), Selector: e.Selector, Priority: e.Policy.Priority, Proto: e.Proto,
	}, maxAcquires)
}

// settle closes the open needs that the databases now satisfy or no longer
// have, and returns them.
func (h *Host) settle(at Sighting) []*Need {
	var closed []*Need
	open := h.needs[:0]
	for _, n := range h.needs {
		h.judge(n, at)
		if n.Open() {
			open = append(open, n)
		} else {
			closed = append(closed, n)
		}
	}
	clear(h.needs[len(open):])
	h.needs = open
	return closed
}

func (h *Host) judge(n *Need, at Sighting) {
	v := h.DB.Lookup(spd.Out, n.Flow)
	switch {
	case v.Decision == spd.Protect && v.MissingSA() == nil:
		n.Satisfied = at
	case v.Decision != spd.Protect && h.PolicyFor(n.Local, n.Peer) == nil:
		n.Withdrawn = at
	case v.Decision == spd.Clear:
		// The packet that asked passes now (a bypass was added), but other
		// traffic of the pair is still to be protected: judge by that.
		h.judgeAny(n, at)
	}
}

// judgeAny judges a need by the pair's policy instead of by its first packet.
func (h *Host) judgeAny(n *Need, at Sighting) {
	p := h.PolicyFor(n.Local, n.Peer)
	v := h.DB.Lookup(spd.Out, sampleFlow(p, n.Local, n.Peer))
	if v.Decision == spd.Protect && v.MissingSA() == nil {
		n.Satisfied = at
	}
}

// sampleFlow returns a packet that p selects.
func sampleFlow(p *spd.Policy, local, peer netip.Addr) spd.Flow {
	s := p.Selector
	f := spd.Flow{Src: s.Src.Addr(), Dst: s.Dst.Addr(), Proto: s.Proto, SrcPort: s.SrcPort, DstPort: s.DstPort, IfIndex: s.IfIndex}
	if s.Src.Contains(local) && s.Dst.Contains(peer) {
		f.Src, f.Dst = local, peer
	}
	if f.Proto == spd.ProtoAny {
		f.Proto = spd.ProtoUDP
	}
	return f
}

// Starvation is a stretch of time in which XfrmOutNoStates rises and no ACQUIRE
// says for whom: nobody listens, or the observer does not.
type Starvation struct {
	Since    Sighting
	Last     Sighting
	Lost     uint64
	Policies []spd.Policy // outbound ones without a usable SA, bounded
	Total    int          // how many there are in all
}

// maxStarved bounds the policies named in a Starvation.
const maxStarved = 8

// starve notes a rise of XfrmOutNoStates that no open need accounts for.
func (h *Host) starve(at Sighting, lost uint64) {
	if lost == 0 || len(h.needs) > 0 {
		return
	}
	if h.Starved == nil {
		h.Starved = &Starvation{Since: at}
	}
	s := h.Starved
	s.Last, s.Lost = at, s.Lost+lost
	s.Policies, s.Total = s.Policies[:0], 0
	for i := range h.DB.Policies {
		p := &h.DB.Policies[i]
		if !h.starved(p) {
			continue
		}
		if s.Total++; len(s.Policies) < maxStarved {
			s.Policies = append(s.Policies, *p)
		}
	}
}

// starved reports whether packets that p selects die for lack of an SA.
func (h *Host) starved(p *spd.Policy) bool {
	if p.Direction != spd.Out || p.Socket || !p.Requires() {
		return false
	}
	if t := &p.Templates[0]; t.Mode == spd.Transport && !hostToHost(p.Selector) {
		return !h.carried(t)
	}
	v := h.DB.Lookup(spd.Out, sampleFlow(p, netip.Addr{}, netip.Addr{}))
	return v.Decision == spd.Protect && v.MissingSA() != nil
}

func hostToHost(s spd.Selector) bool { return s.Src.IsSingleIP() && s.Dst.IsSingleIP() }

// carried reports whether any SA fits a template whose policy selects many
// hosts: which of them a packet was for is not known.
func (h *Host) carried(t *spd.Template) bool {
	return slices.ContainsFunc(h.DB.SAs, func(s spd.SA) bool {
		return s.Usable() && s.Proto == t.Proto && s.Mode == t.Mode && s.ReqID == t.ReqID
	})
}

// fed ends the starvation where none of its policies lacks an SA any more.
func (h *Host) fed() {
	if h.Starved == nil {
		return
	}
	for i := range h.Starved.Policies {
		p := &h.Starved.Policies[i]
		for j := range h.DB.Policies {
			if h.DB.Policies[j].Identity() == p.Identity() && h.starved(&h.DB.Policies[j]) {
				return
			}
		}
	}
	h.Starved = nil
}
