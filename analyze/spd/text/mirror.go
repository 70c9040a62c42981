package text

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// Difference is a way in which the files of two ends do not mirror each other.
type Difference struct {
	Local Pos    `json:"local"` // the zero Pos where only the peer's side is concerned
	Peer  Pos    `json:"peer"`
	Text  string `json:"text"` // a sentence with both places; keys never
}

// String returns the sentence.
func (d Difference) String() string { return d.Text }

// Mirror compares the files of two ends. An SA is the same on both: what one
// end sends under, the other receives under, so that IN becomes OUT and SRC
// becomes DST. The policies that one end has for out, the other has for in.
// Objects of pairs of addresses that only one end knows are left alone, unless
// there is no common pair.
func Mirror(local, peer Result) []Difference {
	m := mirror{local: &local, peer: &peer, daemons: local.DB.Negotiated()}
	maps.Copy(m.daemons, peer.DB.Negotiated())
	m.nat = translation(&local, &peer)
	a, b := pairs(&local, nil), pairs(&peer, m.nat)
	m.common = map[pair]bool{}
	for p := range a {
		if b[p] {
			m.common[p] = true
		}
	}
	m.lengths()
	switch {
	case len(a) == 0 && len(b) == 0:
	case len(m.common) == 0:
		l, p := local.whole(), peer.whole()
		m.add(l, p, "%s is about %s, %s about %s: they have no pair of addresses in common", l, describe(a), p, describe(b))
	default:
		if m.both("SA", "SAs", m.lasting(&local, &peer), m.lasting(&peer, &local)) {
			m.sas()
		}
		if m.both("policy", "policies", len(local.DB.Policies), len(peer.DB.Policies)) {
			m.policies()
		}
	}
	return m.found
}

// both reports whether both ends have objects of a sort. Where only one has,
// that is the one difference.
func (m *mirror) both(one, many string, local, peer int) bool {
	l, p := m.local.whole(), m.peer.whole()
	number := func(n int) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	switch {
	case local > 0 && peer == 0:
		m.add(l, p, "%s has %s and %s none", l, number(local), p)
	case local == 0 && peer > 0:
		m.add(l, p, "%s has %s and %s none", p, number(peer), l)
	}
	return local > 0 && peer > 0
}

// mirror is one comparison.
type mirror struct {
	local, peer *Result
	common      map[pair]bool
	nat         nat               // the peer's addresses in the local end's words
	daemons     map[spd.Ends]bool // whose SAs IKE makes, on either end
	found       []Difference
}

// add appends a difference.
func (m *mirror) add(local, peer Pos, format string, args ...any) {
	m.found = append(m.found, Difference{Local: local, Peer: peer, Text: fmt.Sprintf(format, args...)})
}

// pair is two addresses between which SAs stand, the smaller first.
type pair struct{ a, b netip.Addr }

func pairOf(a, b netip.Addr) pair {
	if b.Less(a) {
		a, b = b, a
	}
	return pair{a, b}
}

func (p pair) String() string { return p.a.String() + " and " + p.b.String() }

// pairs returns the pairs that a result is about, in the local end's words.
func pairs(r *Result, n nat) map[pair]bool {
	out := map[pair]bool{}
	for i := range r.DB.SAs {
		if s := &r.DB.SAs[i]; s.SPI != 0 {
			out[n.pair(s.Src, s.Dst)] = true
		}
	}
	for i := range r.DB.Policies {
		for _, p := range policyPairs(&r.DB.Policies[i], n) {
			out[p] = true
		}
	}
	return out
}

// policyPairs returns the pairs of a policy that protects: the ends of its
// tunnels, or the two hosts of its selector.
func policyPairs(p *spd.Policy, n nat) (out []pair) {
	if p.Socket || p.Action != spd.Allow {
		return nil
	}
	for _, t := range p.Templates {
		switch {
		case t.Mode == spd.Tunnel:
			out = append(out, n.pair(t.Src, t.Dst))
		case p.Selector.Src.IsSingleIP() && p.Selector.Dst.IsSingleIP():
			out = append(out, n.pair(p.Selector.Src.Addr(), p.Selector.Dst.Addr()))
		}
	}
	return out
}

// describe names the pairs, the first few of many.
func describe(set map[pair]bool) string {
	const most = 3
	if len(set) == 0 {
		return "no pair of hosts"
	}
	var all []pair
	for p := range set {
		all = append(all, p)
	}
	slices.SortFunc(all, func(x, y pair) int { return cmp.Or(x.a.Compare(y.a), x.b.Compare(y.b)) })
	var s []string
	for _, p := range all[:min(most, len(all))] {
		s = append(s, p.String())
	}
	if len(all) > most {
		s = append(s, fmt.Sprintf("%d more", len(all)-most))
	}
	return strings.Join(s, "; ")
}
