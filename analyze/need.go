package analyze

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

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
	Sign     Sighting      // the last ACQUIRE or larval SA for it
	// Satisfied is when an SA came that carries Flow; Withdrawn when no policy
	// wanted one any more. One of them at most is set.
	Satisfied Sighting
	Withdrawn Sighting

	view *View
}

// maxNeeds bounds the open needs of one host.
const maxNeeds = 4096

// forget takes a need that is evicted out of its view: nobody would close it.
func (n *Need) forget() {
	if n.view.Need == n {
		n.view.Need = nil
	}
}

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
// for; the kernel fills it from the packet itself (xfrm_init_tempstate). Mark
// and if_id are those of the policy: the packet had what it asks for.
func flowOf(s spd.Selector, mark spd.Mark, ifID uint32) spd.Flow {
	return spd.Flow{
		Src: s.Src.Addr(), Dst: s.Dst.Addr(), Proto: s.Proto,
		SrcPort: s.SrcPort, DstPort: s.DstPort, IfIndex: s.IfIndex,
		Mark: mark.Value, IfID: ifID,
	}
}

// idle reports whether nothing has asked for the SA any more for longer than a
// larval SA lives (net.core.xfrm_acq_expires): traffic that still needed it
// would have given another ACQUIRE.
func (h *Host) idle(n *Need, now time.Duration) bool {
	life, err := strconv.Atoi(h.Sysctl("net.core.xfrm_acq_expires", "30"))
	if err != nil || life < 0 || life > 3600 {
		life = 3600
	}
	return now-n.Sign.Mono > time.Duration(life)*time.Second+needMargin
}

// needMargin is how much later than the larval SA's end the next ACQUIRE may
// come from traffic that retries at its own pace, such as TCP.
const needMargin = 60 * time.Second

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
		if n.view.Pair.forgotten {
			continue
		}
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

// judge closes a need whose packet an SA carries now. Where that packet is not
// to be protected any more (a bypass was added), the pair's other traffic
// decides: carried by an SA, or nothing left to be protected.
func (h *Host) judge(n *Need, at Sighting) {
	v := h.DB.Lookup(spd.Out, n.Flow)
	if v.Decision != spd.Protect {
		v = h.demand(n.Local, n.Peer)
	}
	switch {
	case v.Decision != spd.Protect:
		n.Withdrawn = at
	case v.MissingSA() == nil:
		n.Satisfied = at
	}
}

// demand returns the verdict on what the policies want protected between two
// hosts: that of the first such policy whose packets lack an SA, else of any,
// else one that asks for none.
func (h *Host) demand(local, peer netip.Addr) (found spd.Verdict) {
	local, peer = local.WithZone(""), peer.WithZone("")
	for p := range h.DB.Between(local, peer) {
		if !demands(p, local, peer) {
			continue
		}
		v := h.DB.Lookup(spd.Out, sampleFlow(p, local, peer))
		if v.Decision != spd.Protect {
			continue // a better policy takes its packets
		}
		if found = v; v.MissingSA() != nil {
			break
		}
	}
	return found
}

// sampleFlow returns a packet that p selects.
func sampleFlow(p *spd.Policy, local, peer netip.Addr) spd.Flow {
	s := p.Selector
	f := flowOf(s, p.Mark, p.IfID)
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

	changes uint64 // Host.changes when Policies was made
}

// maxStarved bounds the policies named in a Starvation.
const maxStarved = 8

// starve notes a rise of XfrmOutNoStates that no open need accounts for.
func (h *Host) starve(at Sighting, lost uint64) {
	if lost == 0 || slices.ContainsFunc(h.needs, func(n *Need) bool { return !h.idle(n, at.Mono) }) {
		return
	}
	if h.Starved == nil {
		h.Starved = &Starvation{Since: at}
	}
	s := h.Starved
	s.Last, s.Lost = at, s.Lost+lost
	if s.Policies != nil && s.changes == h.changes {
		return
	}
	s.Policies, s.Total, s.changes = []spd.Policy{}, 0, h.changes
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
