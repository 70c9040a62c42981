package spd

// Admission is what the policies of one direction make of packets that have come
// under one SA and were decrypted (__xfrm_policy_check).
type Admission struct {
	// Taking are the policies that want such an SA.
	Taking []*Policy
	// Refusing are those that select packets that can have come under it, and
	// want another SA.
	Refusing []*Policy
}

// Admit asks the policies of a direction, In or Fwd, what becomes of packets
// that came under s. Those of single sockets are not asked. A policy that would
// take what comes under s is counted whatever it selects; what a tunnel held is
// not known, so that Refusing names of tunnels those whose template or selector
// has the tunnel's ends.
func (db *Database) Admit(s *SA, dir Direction) (a Admission) {
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Direction != dir || p.Socket || p.Action != Allow || (p.IfID != 0 && p.IfID != s.IfID) {
			continue
		}
		switch {
		case p.takes(s):
			a.Taking = append(a.Taking, p)
		case p.Requires() && p.concerns(s):
			a.Refusing = append(a.Refusing, p)
		}
	}
	return a
}

// takes reports whether s satisfies one of p's templates.
func (p *Policy) takes(s *SA) bool {
	for i := range p.Templates {
		if len(p.Templates[i].Misfits(s)) == 0 {
			return true
		}
	}
	return false
}

// concerns reports whether packets that p selects can have come under s.
func (p *Policy) concerns(s *SA) bool {
	if s.Mode == Transport {
		return p.Selector.selectsBetween(s)
	}
	for i := range p.Templates {
		if t := &p.Templates[i]; t.Mode.outer() && t.Src == s.Src && t.Dst == s.Dst {
			return true
		}
	}
	return p.Selector.Src.IsSingleIP() && p.Selector.Dst.IsSingleIP() && p.Selector.selectsBetween(s)
}

// selectsBetween reports whether a selector holds the ends of an SA.
func (sel Selector) selectsBetween(s *SA) bool {
	return sel.Src.IsValid() && sel.Dst.IsValid() && sel.Dst.Contains(s.Dst) && (open(s.Src) || sel.Src.Contains(s.Src))
}

// Misfit is a property in which an SA is not what a template asks for.
type Misfit string

// The misfits, in the order in which Misfits names them.
const (
	MisfitProto Misfit = "protocol"
	MisfitMode  Misfit = "mode"
	MisfitReqID Misfit = "reqid"
	MisfitSPI   Misfit = "SPI"
	MisfitEnds  Misfit = "ends"
)

// Misfits returns in what s, under which a packet came, is not what the inbound
// template t asks for; nothing where it satisfies it (xfrm_state_ok).
func (t *Template) Misfits(s *SA) (m []Misfit) {
	if s.Proto != t.Proto {
		m = append(m, MisfitProto)
	}
	if s.Mode != t.Mode {
		m = append(m, MisfitMode)
	}
	if t.ReqID != 0 && s.ReqID != t.ReqID {
		m = append(m, MisfitReqID)
	}
	if t.SPI != 0 && s.SPI != t.SPI {
		m = append(m, MisfitSPI)
	}
	if s.Mode.outer() && t.Mode.outer() && ((!open(t.Src) && !open(s.Src) && t.Src != s.Src) || (!open(t.Dst) && t.Dst != s.Dst)) {
		m = append(m, MisfitEnds)
	}
	return m
}
