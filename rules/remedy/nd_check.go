package remedy

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Caught is a packet of neighbour discovery that does not pass in the clear.
type Caught struct {
	Direction spd.Direction
	Flow      spd.Flow
	Verdict   spd.Verdict
}

// String says which packet, and what catches it.
func (c *Caught) String() string {
	s := fmt.Sprintf("%s %s → %s type %d", c.Direction, c.Flow.Src, c.Flow.Dst, c.Flow.SrcPort)
	switch {
	case c.Verdict.Tied != nil:
		return s + ": equal priorities decide, and kernels differ in that: " + c.Verdict.Tied.String()
	case len(c.Verdict.Policies) > 0:
		return s + ": caught by " + c.Verdict.Policies[len(c.Verdict.Policies)-1].String()
	}
	return s + ": the default action blocks it"
}

// NDCaught returns the packets that o wants to pass and that a policy catches,
// or might on some kernel: none where neighbour discovery passes. It asks for
// packets of every policy that has anything to say about them.
func NDCaught(k *analyze.KernelState, o NDOptions) []Caught {
	h := newHost(k)
	return h.caught(&h.db, o)
}

func (h *host) caught(db *spd.Database, o NDOptions) []Caught {
	type packet struct {
		dir spd.Direction
		spd.Flow
	}
	var out []Caught
	seen := map[packet]bool{}
	for _, w := range o.wants(h.proxies()) {
		for _, f := range h.samples(db, &w) {
			if p := (packet{w.dir, f}); seen[p] {
				continue
			} else {
				seen[p] = true
			}
			if v := db.Lookup(w.dir, f); v.Decision != spd.Clear || v.Tied != nil {
				out = append(out, Caught{w.dir, f, v})
			}
		}
	}
	return out
}

// samples returns packets that match w: one for every policy that could match
// it, in the common part of both selectors, and one for w alone.
func (h *host) samples(db *spd.Database, w *wanted) []spd.Flow {
	open := spd.Policy{Direction: w.dir, Selector: w.sel}
	out := []spd.Flow{h.sample(w, &open)}
	for i := range db.Policies {
		if p := &db.Policies[i]; !p.Socket && w.meets(p) && h.really(w, p) {
			out = append(out, h.sample(w, p))
		}
	}
	return out
}

func (h *host) sample(w *wanted, p *spd.Policy) spd.Flow {
	f := spd.Flow{
		Src: longer(w.sel.Src, p.Selector.Src).Addr(), Dst: longer(w.sel.Dst, p.Selector.Dst).Addr(),
		Proto: spd.ProtoICMPv6, SrcPort: w.sel.SrcPort, IfIndex: p.Selector.IfIndex,
	}
	if w.sel.SrcPortMask == 0 {
		f.SrcPort, f.DstPort = p.Selector.SrcPort&p.Selector.SrcPortMask, p.Selector.DstPort&p.Selector.DstPortMask
	}
	switch w.dir {
	case spd.Out:
		f.Src = h.own(longer(w.sel.Src, p.Selector.Src))
	case spd.In:
		f.Dst = h.own(longer(w.sel.Dst, p.Selector.Dst))
	}
	return f
}

// own returns an address of this host in p, or p's first address.
func (h *host) own(p netip.Prefix) netip.Addr {
	for _, a := range h.Addresses {
		if p.Contains(a.Prefix.Addr().WithZone("")) {
			return a.Prefix.Addr().WithZone("")
		}
	}
	return p.Addr()
}
