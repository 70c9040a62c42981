package spd

import "net/netip"

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
		n := Need{Policy: p, Template: t, SA: sa}
		if sa == nil && dir == Out {
			n.Stray = db.findFor(p, t, dir, netip.Addr{}, d, f)
		}
		src, dst = s, d
		v.Decision = Protect
		v.Needs = append(v.Needs, n)
	}
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
	candidates := db.sasBetween(src, dst)
	if dir != Out && open(dst) {
		candidates = db.allSAs()
	}
	var best *SA
	for i := range candidates {
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
