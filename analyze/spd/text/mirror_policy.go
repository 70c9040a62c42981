package text

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// policies compares the policies of both ends: out of one with in of the other.
// Priorities and reqids are each host's own matter, and so is forwarding.
func (m *mirror) policies() {
	local, peer := index(m.local, nil), index(m.peer, m.nat)
	for i := range m.local.DB.Policies {
		p := &m.local.DB.Policies[i]
		if !m.concerns(p, nil) {
			continue
		}
		if q := peer[mirrored(p, nil)]; q != nil {
			m.policy(p, q)
		} else if p.Action != spd.Block && !m.needless(p, m.peer) { // what a host blocks is its own matter
			at, there := m.local.PolicyAt(p), m.peer.whole()
			m.add(at, there, "the policy %s at %s has no counterpart, dir %s, in %s", short(p), at, opposite(p), there)
		}
	}
	for i := range m.peer.DB.Policies {
		q := &m.peer.DB.Policies[i]
		if m.concerns(q, m.nat) && q.Action != spd.Block && local[mirrored(q, m.nat)] == nil && !m.needless(q, m.local) {
			here, at := m.local.whole(), m.peer.PolicyAt(q)
			m.add(here, at, "the policy %s at %s has no counterpart, dir %s, in %s", short(q), at, opposite(q), here)
		}
	}
}

// needless reports whether p does without a counterpart of its own selector at
// the other end.
func (m *mirror) needless(p *spd.Policy, other *Result) bool {
	if len(m.nat) > 0 {
		return false
	}
	if !p.Bypass() {
		return p.Direction == spd.Out && waits(p, other)
	}
	for x := range m.common { // what passes here must pass there, by whatever policy
		for _, f := range []spd.Flow{{Src: x.a, Dst: x.b}, {Src: x.b, Dst: x.a}} {
			f.Proto, f.SrcPort, f.DstPort, f.Mark, f.IfID = p.Selector.Proto, p.Selector.SrcPort, p.Selector.DstPort, p.Mark.Value, p.IfID
			f.IfIndex = p.Selector.IfIndex
			if !p.Matches(f) {
				continue
			}
			f.Mark, f.IfID, f.IfIndex = 0, 0, 0
			if other.DB.Lookup(opposite(p), f).Decision != spd.Clear {
				return false
			}
		}
	}
	return true
}

// waits reports whether the other end has for p's hosts a policy that waits for
// its first packet, and gets its counterpart with the SA, as libreswan makes
// them. Those of setkey have no reqid either, and wait for nothing.
func waits(p *spd.Policy, other *Result) bool {
	back := plain(p.Selector.Reversed())
	return slices.ContainsFunc(other.DB.Policies, func(q spd.Policy) bool {
		return !q.Socket && q.Direction == spd.Out && q.Priority != priorityDefault && plain(q.Selector) == back && q.Requires() &&
			!slices.ContainsFunc(q.Templates, func(t spd.Template) bool { return t.ReqID != 0 })
	})
}

// side is what makes a policy the counterpart of another: the same packets, the
// other direction.
type side struct {
	selector spd.Selector
	dir      spd.Direction
	kind     spd.PolicyType
}

func index(r *Result, n nat) map[side]*spd.Policy {
	out := map[side]*spd.Policy{}
	for i := range r.DB.Policies {
		p := &r.DB.Policies[i]
		if p.Socket || p.Direction == spd.Fwd {
			continue
		}
		k := side{selector: plain(n.selector(p)), dir: p.Direction, kind: p.Type}
		if old := out[k]; old == nil || p.Priority < old.Priority { // marks and if_ids may tell several apart
			out[k] = p
		}
	}
	return out
}

func mirrored(p *spd.Policy, n nat) side {
	return side{selector: plain(n.selector(p)), dir: opposite(p), kind: p.Type}
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
func (m *mirror) concerns(p *spd.Policy, n nat) bool {
	if p.Socket || p.Direction == spd.Fwd {
		return false
	}
	if all := policyPairs(p, n); len(all) > 0 {
		for _, x := range all {
			if m.common[x] {
				return true
			}
		}
		return false
	}
	for x := range m.common {
		s := n.selector(p)
		if (s.Src.Contains(x.a) && s.Dst.Contains(x.b)) || (s.Src.Contains(x.b) && s.Dst.Contains(x.a)) {
			return true
		}
	}
	return false
}

// policy compares what two counterparts do with their packets.
func (m *mirror) policy(a, b *spd.Policy) {
	if x, y := does(a, nil), does(b, m.nat); x != y {
		l, r := m.local.PolicyAt(a), m.peer.PolicyAt(b)
		m.add(l, r, "the policy %s asks for %s at %s, and its counterpart for %s at %s", short(a), x, l, y, r)
	}
}

// does says what a policy does, without what only this host knows.
func does(p *spd.Policy, n nat) string {
	switch {
	case p.Action == spd.Block:
		return "discarding"
	case p.Bypass():
		return "no protection"
	}
	var s []string
	for _, t := range p.Templates {
		t.ReqID, t.SPI = 0, 0
		if t.Proto == spd.ProtoIPComp {
			// What is too short to gain by it goes uncompressed (RFC 3173 section 2.2), so
			// that a receiver must not insist on it: strongSwan has level use for in alone.
			t.Optional = false
		}
		if t.Mode != spd.Tunnel {
			t.Src, t.Dst = unspecified(t.Family), unspecified(t.Family)
		}
		t.Src, t.Dst = n.addr(t.Src), n.addr(t.Dst)
		s = append(s, t.String())
	}
	return strings.Join(s, " and ")
}

// short names a policy.
func short(p *spd.Policy) string { return fmt.Sprintf("dir %s %s", p.Direction, p.Selector) }
