package text

import (
	"fmt"
	"strings"

	"ipsecdiag/analyze/spd"
)

// policies compares the policies of both ends: out of one with in of the other.
// Priorities and reqids are each host's own matter, and so is forwarding.
func (m *mirror) policies() {
	local, peer := index(m.local), index(m.peer)
	for i := range m.local.DB.Policies {
		p := &m.local.DB.Policies[i]
		if !m.concerns(p) {
			continue
		}
		if q := peer[mirrored(p)]; q != nil {
			m.policy(p, q)
		} else if p.Action != spd.Block { // what a host blocks is its own matter
			at, there := m.local.PolicyAt(p), m.peer.whole()
			m.add(at, there, "the policy %s at %s has no counterpart, dir %s, in %s", short(p), at, opposite(p), there)
		}
	}
	for i := range m.peer.DB.Policies {
		q := &m.peer.DB.Policies[i]
		if m.concerns(q) && q.Action != spd.Block && local[mirrored(q)] == nil {
			here, at := m.local.whole(), m.peer.PolicyAt(q)
			m.add(here, at, "the policy %s at %s has no counterpart, dir %s, in %s", short(q), at, opposite(q), here)
		}
	}
}

// side is what makes a policy the counterpart of another: the same packets, the
// other direction.
type side struct {
	selector spd.Selector
	dir      spd.Direction
	kind     spd.PolicyType
}

func index(r *Result) map[side]*spd.Policy {
	out := map[side]*spd.Policy{}
	for i := range r.DB.Policies {
		p := &r.DB.Policies[i]
		if p.Socket || p.Direction == spd.Fwd {
			continue
		}
		k := side{selector: plain(p.Selector), dir: p.Direction, kind: p.Type}
		if old := out[k]; old == nil || p.Priority < old.Priority { // marks and if_ids may tell several apart
			out[k] = p
		}
	}
	return out
}

func mirrored(p *spd.Policy) side {
	return side{selector: plain(p.Selector), dir: opposite(p), kind: p.Type}
}

// plain is a selector without what only this host knows.
func plain(s spd.Selector) spd.Selector {
	s.IfIndex = 0
	s.Src, s.Dst = s.Src.Masked(), s.Dst.Masked()
	return s
}

func opposite(p *spd.Policy) spd.Direction {
	if p.Direction == spd.In {
		return spd.Out
	}
	return spd.In
}

// concerns reports whether p bears on a pair that both ends know.
func (m *mirror) concerns(p *spd.Policy) bool {
	if p.Socket || p.Direction == spd.Fwd {
		return false
	}
	if all := policyPairs(p); len(all) > 0 {
		for _, x := range all {
			if m.common[x] {
				return true
			}
		}
		return false
	}
	for x := range m.common {
		s := &p.Selector
		if (s.Src.Contains(x.a) && s.Dst.Contains(x.b)) || (s.Src.Contains(x.b) && s.Dst.Contains(x.a)) {
			return true
		}
	}
	return false
}

// policy compares what two counterparts do with their packets.
func (m *mirror) policy(a, b *spd.Policy) {
	if x, y := does(a), does(b); x != y {
		l, r := m.local.PolicyAt(a), m.peer.PolicyAt(b)
		m.add(l, r, "the policy %s asks for %s at %s, and its counterpart for %s at %s", short(a), x, l, y, r)
	}
}

// does says what a policy does, without what only this host knows.
func does(p *spd.Policy) string {
	switch {
	case p.Action == spd.Block:
		return "discarding"
	case p.Bypass():
		return "no protection"
	}
	var s []string
	for _, t := range p.Templates {
		t.ReqID, t.SPI = 0, 0
		if t.Mode != spd.Tunnel {
			t.Src, t.Dst = unspecified(t.Family), unspecified(t.Family)
		}
		s = append(s, t.String())
	}
	return strings.Join(s, " and ")
}

// short names a policy.
func short(p *spd.Policy) string { return fmt.Sprintf("dir %s %s", p.Direction, p.Selector) }
