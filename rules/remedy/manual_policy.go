package remedy

import (
	"fmt"
	"math"
	"slices"

	"ipsecdiag/analyze/spd"
)

// manualPriority is the number of new policies where there is room: a bypass of
// neighbour discovery is better, what daemons and setkey choose is worse.
const manualPriority = 1000

// flows returns packets of the pair in a direction that must be protected. Their
// ports are such as nobody has a policy for.
func (m *manual) flows(s side) []spd.Flow {
	sel := m.selector(s)
	f := spd.Flow{Src: sel.Src.Addr(), Dst: sel.Dst.Addr(), Proto: spd.ProtoTCP, SrcPort: 50000, DstPort: 50001}
	u := f
	u.Proto = spd.ProtoUDP
	return []spd.Flow{f, u}
}

// protected reports whether SAs carry the pair's packets in that direction,
// with the SA that does.
func (m *manual) protected(s side) (*spd.SA, bool) {
	var last *spd.SA
	for _, f := range m.flows(s) {
		v := m.db.Lookup(s.dir, f)
		if v.Decision != spd.Protect || v.Dies() {
			return nil, false
		}
		last = v.Needs[0].SA
	}
	return last, true
}

// standing looks whether SAs carry the pair's packets already. Both ways there
// is nothing to do; one way, somebody's work is half done and must be cleared up
// first.
func (m *manual) standing() (done bool, err error) {
	var stand []*spd.SA
	for _, s := range m.sides() {
		sa, ok := m.protected(s)
		if !ok {
			continue
		}
		if s.spi != 0 && sa.SPI != s.spi {
			return false, refuse(PolicyExists, "%sbound packets of %s and %s are protected already, by %s", s.word, m.o.Local, m.o.Peer, sa)
		}
		stand = append(stand, sa)
	}
	switch len(stand) {
	case 1:
		return false, refuse(SPIInUse, "one direction of %s and %s is protected already, by %s, and the other is not: delete that SA first",
			m.o.Local, m.o.Peer, stand[0])
	case 2:
		m.plan.Notes = []string{fmt.Sprintf(nothing+"SAs protect %s and %s already: %s; %s", m.o.Local, m.o.Peer, stand[0], stand[1])}
	}
	return len(stand) == 2, nil
}

// policies returns the steps that add the policies of a direction, and the
// templates that the SAs have to fit: those of a policy that stands already, as
// one selector stands only once, or of the new one.
func (m *manual) policies(s side) (steps []Step, templates []spd.Template, err error) {
	p := spd.Policy{Selector: m.selector(s), Direction: s.dir, Priority: m.priority, Templates: m.templates(s)}
	if old := findPolicy(&m.db, p.Identity()); old != nil {
		if err := m.fits(s, old); err != nil {
			return nil, nil, err
		}
		m.note("this policy stands already, and the SAs are made to fit it: %s", old)
		return nil, slices.Clone(old.Templates), nil
	}
	steps = append(steps, Step{Op: AddPolicy, Policy: &p, Why: map[spd.Direction]string{
		spd.In: "what comes from the peer must be protected", spd.Out: "what goes to the peer is protected"}[s.dir]})
	if fwd := p; s.dir == spd.In && m.o.LocalNet.IsValid() {
		fwd.Direction = spd.Fwd
		if findPolicy(&m.db, fwd.Identity()) == nil {
			steps = append(steps, Step{Op: AddPolicy, Policy: &fwd, Why: "so must what is forwarded from the peer's network"})
		}
	}
	return steps, p.Templates, nil
}

// fits refuses a policy whose templates are not what was asked for.
func (m *manual) fits(s side, p *spd.Policy) error {
	misfit := func(format string, args ...any) error {
		return refuse(PolicyExists, "a policy with this selector stands already, and one selector stands only once: %s; %s", p, fmt.Sprintf(format, args...))
	}
	want := m.templates(s)
	switch {
	case p.Action == spd.Block:
		return misfit("it blocks")
	case p.Bypass():
		return misfit("it lets pass in the clear")
	case len(p.Templates) != len(want):
		return misfit("it asks for %d SAs, not for %d", len(p.Templates), len(want))
	}
	for i := range want {
		t := &p.Templates[i]
		switch {
		case t.Proto != want[i].Proto:
			return misfit("it asks for %s, not for %s", spd.ProtocolName(t.Proto), spd.ProtocolName(want[i].Proto))
		case t.Mode != want[i].Mode:
			return misfit("it asks for %s mode, not for %s mode", t.Mode, want[i].Mode)
		case t.Mode == spd.Tunnel && (t.Src != want[i].Src || t.Dst != want[i].Dst):
			return misfit("its tunnel runs from %s to %s", t.Src, t.Dst)
		case t.SPI != 0 && t.SPI != s.spi:
			return misfit("it asks for SPI %#x", t.SPI)
		}
	}
	return nil
}

// choosePriority returns the number of new policies: better than all that catch
// the whole pair, worse than a bypass of neighbour discovery.
func (m *manual) choosePriority() (uint32, error) {
	worse, better := uint32(0), uint32(math.MaxUint32) // it must lie between
	var rival *spd.Policy
	for _, p := range m.rivals() {
		switch {
		case m.whole(p) && p.Priority < better:
			better, rival = p.Priority, p
		case p.Bypass() && p.Selector.Proto == spd.ProtoICMPv6:
			worse = max(worse, p.Priority)
		}
	}
	if worse >= better || better-worse < 2*bypassMargin {
		return 0, refuse(NoRoom, "a new policy for %s and %s would not win, or not leave neighbour discovery alone: %s comes first",
			m.o.Local, m.o.Peer, rival)
	}
	priority := worse + (better-worse)/2
	if worse+bypassMargin <= manualPriority && manualPriority < better {
		priority = manualPriority
	}
	for _, p := range m.rivals() {
		if !m.whole(p) && p.Priority <= priority && !discovery(p) {
			m.note("a part of the traffic is decided by another policy as before: %s", p)
		}
	}
	return priority, nil
}

// rivals returns the policies that some of the pair's packets match, other than
// the pair's own.
func (m *manual) rivals() []*spd.Policy {
	var out []*spd.Policy
	for i := range m.db.Policies {
		p := &m.db.Policies[i]
		if p.Socket || p.Type != spd.Main || p.IfID != 0 || p.Mark.Value != 0 {
			continue
		}
		for _, s := range m.sides() {
			if sel := m.selector(s); p.Direction == s.dir && p.Selector != sel && overlap(&p.Selector, &sel) {
				out = append(out, p)
			}
		}
	}
	return out
}

// whole reports whether all of the pair's packets match a policy.
func (m *manual) whole(p *spd.Policy) bool {
	for _, s := range m.sides() {
		if sel := m.selector(s); p.Direction == s.dir && covers(&p.Selector, &sel) {
			return true
		}
	}
	return false
}

// discovery reports whether a policy is a bypass of neighbour discovery alone.
func discovery(p *spd.Policy) bool {
	return p.Bypass() && p.Selector.Proto == spd.ProtoICMPv6 && typeNames[p.Selector.SrcPort] != "" && p.Selector.SrcPortMask == 0xffff
}

// works tries the plan on the model: SAs of the plan must carry the pair's
// packets in both directions.
func (m *manual) works() error {
	for _, s := range m.sides() {
		for _, f := range m.flows(s) {
			v := m.db.Lookup(s.dir, f)
			if v.Decision == spd.Protect && !v.Dies() && v.Tied == nil && m.own(v.Needs) {
				continue
			}
			if len(v.Policies) == 0 {
				return refuse(NoRoom, "%s → %s would not be protected", f.Src, f.Dst)
			}
			return refuse(NoRoom, "%s → %s would not use the new SAs: %s comes first", f.Src, f.Dst, v.Policies[0])
		}
	}
	return nil
}

// own reports whether all SAs are the plan's.
func (m *manual) own(needs []spd.Need) bool {
	for _, n := range needs {
		if !slices.ContainsFunc(m.plan.Steps, func(s Step) bool { return s.Op == AddSA && s.SA.Key() == n.SA.Key() }) {
			return false
		}
	}
	return true
}
