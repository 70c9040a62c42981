package rules

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// protoTried is the protocol with which a policy for all protocols is tried: one
// for experiments (RFC 3692), so that policies for single protocols do not
// answer in its place.
const protoTried = 253

// sampleFlow returns a packet that q selects. Of networks it takes this host's
// own address on this host's side where one is in them, and on the other side
// the first that is another's.
func sampleFlow(h *analyze.Host, q *spd.Policy) spd.Flow {
	s := &q.Selector
	f := spd.Flow{
		Proto: s.Proto, SrcPort: s.SrcPort, DstPort: s.DstPort, IfIndex: s.IfIndex, Mark: q.Mark.Value, IfID: q.IfID,
		Src: foreignAddr(h, s.Src, s.Family), Dst: foreignAddr(h, s.Dst, s.Family),
	}
	switch q.Direction {
	case spd.Out:
		f.Src = ownAddr(h, s.Src, f.Src)
	case spd.In:
		f.Dst = ownAddr(h, s.Dst, f.Dst)
	}
	if f.Proto == spd.ProtoAny {
		f.Proto = protoTried
	}
	return f
}

// ownAddr returns an address of this host in a network, other where there is
// none.
func ownAddr(h *analyze.Host, p netip.Prefix, other netip.Addr) netip.Addr {
	for _, a := range h.Addresses {
		if x := a.Prefix.Addr(); p.IsValid() && p.Contains(x) && !x.IsLinkLocalUnicast() && !x.IsLoopback() {
			return x
		}
	}
	return other
}

// foreignAddr returns the first address in a network that is not this host's;
// of a single address that one.
func foreignAddr(h *analyze.Host, p netip.Prefix, family spd.Family) netip.Addr {
	switch {
	case !p.IsValid() && family == spd.IPv4:
		return netip.IPv4Unspecified()
	case !p.IsValid():
		return netip.IPv6Unspecified()
	}
	first := p.Masked().Addr()
	for a := first; p.Contains(a); a = a.Next() {
		if !h.Owns(a) {
			return a
		}
	}
	return first
}

// reversed returns the answer to a packet.
func reversed(f spd.Flow) spd.Flow {
	f.Src, f.Dst = f.Dst, f.Src
	if f.Proto != spd.ProtoICMP && f.Proto != spd.ProtoICMPv6 {
		f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
	}
	return f
}

// unmet is a policy whose packets lack an SA.
type unmet struct {
	policy   *spd.Policy
	template *spd.Template
}

// unmetPolicies returns the outbound policies that require an SA and have none,
// in the order of age. Policies that others win over are not among them.
func unmetPolicies(h *analyze.Host) []unmet {
	var out []unmet
	carried := map[templateKey]bool{}
	for i := range h.DB.SAs {
		if s := &h.DB.SAs[i]; s.Usable() {
			carried[templateKey{s.Proto, s.Mode, s.ReqID}] = true
		}
	}
	for i := range h.DB.Policies {
		q := &h.DB.Policies[i]
		if q.Direction != spd.Out || q.Socket || !q.Requires() {
			continue
		}
		v := h.DB.Lookup(spd.Out, sampleFlow(h, q))
		n := v.MissingSA()
		if v.Decision != spd.Protect || n == nil || n.Policy != q {
			continue
		}
		t := n.Template
		wide := t.Mode == spd.Transport && !(q.Selector.Src.IsSingleIP() && q.Selector.Dst.IsSingleIP())
		if wide && carried[templateKey{t.Proto, t.Mode, t.ReqID}] {
			continue // for some of its hosts there is one
		}
		out = append(out, unmet{q, t})
	}
	return out
}

type templateKey struct {
	proto uint8
	mode  spd.Mode
	reqid uint32
}

// policyList names the first few of many policies, as evidence.
func policyList(p *Pass, policies []*spd.Policy) []Evidence {
	var ev []Evidence
	for i, q := range policies {
		if i == maxEvidence/2 && len(policies) > i+1 {
			return append(ev, Saw(p.Looked(), "and %d policies more", len(policies)-i))
		}
		ev = append(ev, p.SawPolicy(q))
	}
	return ev
}

// monitors returns the listeners that are known to be no IKE daemons.
func monitors(h *analyze.Host) []analyze.Listener {
	return slices.DeleteFunc(slices.Clone(h.Listeners), func(l analyze.Listener) bool { return !l.Monitor })
}

// policies renders a number of policies.
func policies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return count(uint64(n)) + " policies"
}

// onlyPair returns the two hosts that all these policies are for, none where
// they differ.
func onlyPair(policies []*spd.Policy) []netip.Addr {
	pair := []netip.Addr{}
	for i, q := range policies {
		a, b, ok := policyEnds(q)
		k := analyze.MakePairKey(a, b)
		if !ok || (i > 0 && (pair[0] != k.A || pair[1] != k.B)) {
			return []netip.Addr{}
		}
		pair = []netip.Addr{k.A, k.B}
	}
	return pair
}
