package remedy

import (
	"fmt"
	"maps"

	"ipsecdiag/analyze/spd"
)

// Mirror returns what the peer needs for its part of the plan: the same SAs, and
// for out what this host has for in. What concerns this host alone, such as a
// worse number for a policy that stands here, is left out.
func Mirror(p *Plan) (Plan, error) {
	m := Plan{Action: p.Action, Title: p.Title, Params: maps.Clone(p.Params), Steps: []Step{}}
	if local, ok := p.Params["local"]; ok {
		m.Params["local"], m.Params["peer"] = p.Params["peer"], local
	} else {
		delete(m.Params, "peer")
	}
	for _, s := range p.Steps {
		switch s.Op {
		case AddSA:
			m.Steps = append(m.Steps, s)
		case AddPolicy, ReplacePolicy:
			if q, ok := mirrorPolicy(s.Policy, s.Op); ok {
				m.Steps = append(m.Steps, Step{Op: AddPolicy, Policy: q, Why: s.Why})
			}
		case SetNeighbour:
			r := refuse(Inexpressive, "the name of the peer's interface is not known here")
			r.Instead = fmt.Sprintf("ipsecdiag fix neighbour --peer %s --lladdr %s", p.Params["local"], p.Params["local-lladdr"])
			return m, r
		case SetSysctl:
			return m, refuse(Inexpressive, "%s is each host's own matter", s.Sysctl.Name)
		}
	}
	return m, nil
}

// mirrorPolicy turns a policy round. The packets are the same, so that the
// selector is; what is forwarded here comes from the other end.
func mirrorPolicy(p *spd.Policy, op Op) (*spd.Policy, bool) {
	q := *p
	switch {
	case op == ReplacePolicy && !p.Bypass(), p.Bypass() && p.Direction == spd.Fwd, p.Type == spd.Sub:
		return nil, false
	case p.Direction == spd.Out:
		q.Direction = spd.In
	case p.Direction == spd.In:
		q.Direction = spd.Out
	default:
		q.Selector.Src, q.Selector.Dst = p.Selector.Dst, p.Selector.Src
		q.Templates = append([]spd.Template(nil), p.Templates...)
		for i := range q.Templates {
			t := &q.Templates[i]
			t.Src, t.Dst = t.Dst, t.Src
		}
	}
	return &q, true
}
