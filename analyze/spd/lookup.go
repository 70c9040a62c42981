package spd

import (
	"net/netip"
	"slices"
)

// Flow is a packet as the policy lookup sees it (struct flowi). For ICMP and
// ICMPv6 SrcPort is the type and DstPort the code.
type Flow struct {
	Src, Dst         netip.Addr
	Proto            uint8
	SrcPort, DstPort uint16
	IfIndex          int    // outgoing (or route's) device; 0: unknown, matches only selectors without one
	Mark             uint32 // firewall mark
	IfID             uint32 // of the xfrm interface it goes through; 0: none
}

// ICMPv6 neighbour discovery types (RFC 4861 section 4).
const (
	RouterSolicitation    = 133
	RouterAdvertisement   = 134
	NeighborSolicitation  = 135
	NeighborAdvertisement = 136
	Redirect              = 137
)

// ICMPv6Flow returns the flow of an ICMPv6 message of that type, code 0, as
// icmpv6_flow_init makes it for neighbour discovery.
func ICMPv6Flow(src, dst netip.Addr, typ uint8) Flow {
	return Flow{Src: src, Dst: dst, Proto: ProtoICMPv6, SrcPort: uint16(typ)}
}

// Decision is what happens to a packet.
type Decision uint8

// The decisions, in the words of RFC 4301 section 4.4.1.
const (
	Clear   Decision = iota // BYPASS: no policy, or one without a required template
	Protect                 // PROTECT: an SA is required
	Discard                 // DISCARD: a policy or the default blocks it
)

var decisionNames = names[Decision]{Clear: "clear", Protect: "protect", Discard: "block"}

// String returns "clear", "protect" or "block".
func (d Decision) String() string { return decisionNames.name(d) }

// Need is one required template with the SA that satisfies it, nil where none
// does.
type Need struct {
	Policy   *Policy
	Template *Template
	SA       *SA
}

// Verdict is the answer to a lookup.
type Verdict struct {
	Decision Decision
	// Policies that decided: the sub policy first where there is one, then the
	// main policy. Empty where the default decided.
	Policies []*Policy
	// Needs are the templates that the packet must go through, on the way out
	// optional ones too where an SA for them exists.
	Needs []Need
	// Tied is a policy of equal priority that would have won on a kernel that
	// orders exact and inexact selectors differently, with another result.
	Tied *Policy
}

// MissingSA returns the first required template that no SA satisfies, or nil.
func (v *Verdict) MissingSA() *Need {
	for i := range v.Needs {
		if v.Needs[i].SA == nil {
			return &v.Needs[i]
		}
	}
	return nil
}

// Dies reports whether a packet with this verdict is lost: blocked, or to be
// protected by an SA that does not exist.
func (v *Verdict) Dies() bool {
	return v.Decision == Discard || (v.Decision == Protect && v.MissingSA() != nil)
}

// Lookup says what the kernel does with a packet that needs an answer in that
// direction (xfrm_lookup for out, __xfrm_policy_check for in and fwd, where
// Protect means that a packet arriving in the clear is dropped). Socket
// policies are not consulted: they concern single sockets.
func (db *Database) Lookup(dir Direction, f Flow) Verdict {
	var v Verdict
	first, tied := db.winner(dir, f, Sub)
	if first == nil {
		first, tied = db.winner(dir, f, Main)
	}
	if first == nil {
		if db.Defaults.Action(dir) == Block {
			v.Decision = Discard
		}
		return v
	}
	v.Tied = tied
	v.Policies = append(v.Policies, first)
	if first.Type == Sub && first.Action == Allow {
		if second, tied := db.winner(afterSub(dir), f, Main); second != nil {
			v.Policies = append(v.Policies, second)
			if v.Tied == nil {
				v.Tied = tied
			}
		}
	}
	db.decide(&v, dir, f)
	return v
}

// afterSub returns the direction in which the main policies are asked after a
// sub policy: for forwarded packets it is In, not Fwd (__xfrm_policy_check; on
// 6.18 a main `in` block stops what a sub `fwd` policy let pass, a main `fwd`
// block does not).
func afterSub(dir Direction) Direction {
	if dir == Out {
		return Out
	}
	return In
}

func (db *Database) decide(v *Verdict, dir Direction, f Flow) {
	for _, p := range v.Policies {
		if p.Action == Block {
			v.Decision, v.Needs = Discard, nil
			return
		}
		db.resolve(v, p, dir, f)
	}
}

// resolve finds the SAs for a policy's templates. What a tunnel has wrapped has
// the tunnel's addresses for the templates that follow (xfrm_tmpl_resolve_one).
// On the way in an optional template asks for nothing (xfrm_policy_ok).
func (db *Database) resolve(v *Verdict, p *Policy, dir Direction, f Flow) {
	src, dst := f.Src.WithZone(""), f.Dst.WithZone("")
	for i := range p.Templates {
		t := &p.Templates[i]
		if t.Optional && dir != Out {
			continue
		}
		s, d := src, dst
		if t.Mode.outer() {
			s, d = t.Src, t.Dst
		}
		sa := db.findFor(p, t, dir, s, d, f)
		if sa == nil && t.Optional {
			continue
		}
		src, dst = s, d
		v.Decision = Protect
		v.Needs = append(v.Needs, Need{Policy: p, Template: t, SA: sa})
	}
}

// winner returns the policy of one type that wins for f, and a policy of equal
// priority that would give another result, if there is one.
func (db *Database) winner(dir Direction, f Flow, t PolicyType) (best, tied *Policy) {
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Type != t || p.Direction != dir || p.Socket || !p.Matches(f) {
			continue
		}
		switch {
		case best == nil || p.Priority < best.Priority:
			best, tied = p, nil
		case p.Priority == best.Priority && tied == nil && !sameEffect(best, p):
			tied = p
		}
	}
	return best, tied
}

func sameEffect(a, b *Policy) bool {
	return a.Action == b.Action && slices.Equal(a.Templates, b.Templates)
}

// Matches reports whether p selects f: family, addresses, protocol, ports,
// interface, mark and if_id (xfrm_policy_match).
func (p *Policy) Matches(f Flow) bool {
	return p.IfID == f.IfID && f.Mark&p.Mark.Mask == p.Mark.Value && p.Selector.Matches(f)
}

// Matches reports whether s selects f (__xfrm4_selector_match,
// __xfrm6_selector_match).
func (s *Selector) Matches(f Flow) bool {
	return s.matchesFamily(f.Dst) &&
		containsAddr(s.Dst, f.Dst) && containsAddr(s.Src, f.Src) &&
		(s.Proto == ProtoAny || s.Proto == f.Proto) &&
		(f.SrcPort^s.SrcPort)&s.SrcPortMask == 0 &&
		(f.DstPort^s.DstPort)&s.DstPortMask == 0 &&
		(s.IfIndex == 0 || s.IfIndex == f.IfIndex)
}

func (s *Selector) matchesFamily(a netip.Addr) bool {
	switch s.Family {
	case IPv4:
		return a.Is4()
	case IPv6:
		return a.Is6()
	}
	return true
}

// containsAddr ignores zones, which the kernel keeps in the device instead, and
// takes the zero prefix of an open selector as "any".
func containsAddr(p netip.Prefix, a netip.Addr) bool {
	return !p.IsValid() || p.Contains(a.WithZone(""))
}

// findFor returns the SA that satisfies t between those addresses, the youngest
// of several, nil if there is none (xfrm_state_find and xfrm_state_look_at for
// out; for in and fwd the SA through which such a packet would have come,
// xfrm_state_ok).
func (db *Database) findFor(p *Policy, t *Template, dir Direction, src, dst netip.Addr, f Flow) *SA {
	mark := f.Mark // of the packet that came under the SA (xfrm_state_lookup)
	if dir == Out {
		mark = p.Mark.Value & p.Mark.Mask // the packet's own mark only chose the policy
	}
	var best *SA
	for i := range db.SAs {
		s := &db.SAs[i]
		if s.satisfies(t, dir, f) && s.between(src, dst, dir) && mark&s.Mark.Mask == s.Mark.Value &&
			(best == nil || best.Used.AddTime < s.Used.AddTime) {
			best = s
		}
	}
	return best
}

func (s *SA) satisfies(t *Template, dir Direction, f Flow) bool {
	if !s.Usable() || s.Proto != t.Proto || s.Mode != t.Mode || (t.SPI != 0 && t.SPI != s.SPI) {
		return false
	}
	switch {
	case dir == Out && (s.ReqID != t.ReqID || s.IfID != f.IfID || s.Dir == DirIn || s.Flags&StateWildRecv != 0):
		return false
	case dir != Out && ((t.ReqID != 0 && s.ReqID != t.ReqID) || (f.IfID != 0 && s.IfID != f.IfID) || s.Dir == DirOut):
		return false
	}
	return s.Selector.Family == Unspecified || s.Selector.Matches(f)
}

// between reports whether s runs between two addresses (xfrm_state_addr_check):
// an open source on either side fits; so does an open destination of a
// template, inbound only (xfrm_state_addr_cmp).
func (s *SA) between(src, dst netip.Addr, dir Direction) bool {
	return (s.Dst == dst || (dir != Out && open(dst))) && (s.Src == src || open(s.Src) || open(src))
}

func open(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
