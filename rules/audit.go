package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// When audits are asked, in event time. A daemon installs policies and SAs one
// by one, and what stands half done is no fault: they wait until nothing has
// changed for a while, and in a kernel that is never quiet as long as patience
// lasts. Between two audits of a large database lies a second for each thousand
// of its entries, so that they cost a small part of the time.
const (
	auditQuiet    = 2 * time.Second
	auditPatience = 30 * time.Second
	auditPace     = time.Millisecond // for each policy and SA
)

// maxAudited bounds the findings of one rule on one host at a time.
const maxAudited = 100

// auditor is what the engine remembers of a host's audits.
type auditor struct {
	generation uint64        // that was audited last
	asked      time.Duration // when that was
	unquiet    time.Duration // since when there are changes to audit
	again      time.Duration // when a rule wants to be asked again; 0: not
	claimed    map[*track]*Rule
	pending    map[string]time.Duration // since when what a rule found has stood, by the finding's id
}

// auditDue asks the audits of every host on which something is to be audited.
func (e *Engine) auditDue() {
	for _, h := range e.State.Hosts {
		if h.Generation > 0 && e.auditor(h).due(h, e.State.NowAt(h).Mono) {
			e.audit(h, false)
		}
	}
}

// auditPending reports whether a host has changed since it was audited.
func (e *Engine) auditPending() bool {
	return slices.ContainsFunc(e.State.Hosts, func(h *analyze.Host) bool {
		return h.Generation > 0 && e.auditor(h).generation != h.Generation
	})
}

// Audit asks the audits of every host now, as at the end of an input, and
// returns what changed as Apply does.
func (e *Engine) Audit() []Finding {
	for _, h := range e.State.Hosts {
		if h.Generation > 0 {
			e.audit(h, true)
		}
	}
	return e.changed()
}

func (e *Engine) auditor(h *analyze.Host) *auditor {
	a := e.audits[h]
	if a == nil {
		a = &auditor{claimed: map[*track]*Rule{}, pending: map[string]time.Duration{}}
		e.audits[h] = a
	}
	return a
}

// due reports whether it is time to ask.
func (a *auditor) due(h *analyze.Host, now time.Duration) bool {
	pace := time.Duration(len(h.DB.Policies)+len(h.DB.SAs)) * auditPace
	if a.generation > 0 && now-a.asked < pace {
		return false
	}
	if a.generation == h.Generation {
		return a.again > 0 && now >= a.again
	}
	if a.unquiet == 0 {
		a.unquiet = h.Changed.Mono
	}
	return now-h.Changed.Mono >= auditQuiet || now-a.unquiet >= auditPatience
}

// audit asks every rule that audits of one host.
func (e *Engine) audit(h *analyze.Host, atOnce bool) {
	a := e.auditor(h)
	a.generation, a.asked, a.unquiet, a.again = h.Generation, e.State.NowAt(h).Mono, 0, 0
	notes := new(auditNotes)
	for _, r := range e.rules {
		if r.Audit == nil {
			continue
		}
		if slices.ContainsFunc(r.Needs, h.Lacks) {
			e.unconfirm(a, r)
			continue
		}
		p := &Pass{State: e.State, Host: h, voice: onAudit, atOnce: atOnce, notes: notes}
		e.ask(r, a.lasting(r), p)
		e.settleAudit(a, p)
	}
}

// auditNotes hold what the rules that audit one host at one time share, made by
// the first that wants it.
type auditNotes struct {
	nd     []ndAudit
	judged bool
}

// settleAudit remembers what a rule claims of a host, and ends what it claimed
// before and does not claim any more.
func (e *Engine) settleAudit(a *auditor, p *Pass) {
	if p.again > 0 && (a.again == 0 || p.Now+p.again < a.again) {
		a.again = p.Now + p.again
	}
	now := map[*track]bool{}
	for i := range p.reports {
		if t := e.tracks[p.reports[i].ID]; t != nil {
			now[t] = true
		}
	}
	for t, r := range a.claimed {
		if r == p.Rule && !now[t] {
			delete(a.claimed, t)
			e.resolve(p, resolution{strings.TrimPrefix(t.id, r.ID+":"), p.over()})
		}
	}
	for t := range now {
		a.claimed[t] = p.Rule
	}
}

// over is the evidence for the end of a finding where the rule gives none.
func (p *Pass) over() []Evidence {
	if p.others != nil {
		return p.others
	}
	return []Evidence{Saw(p.Looked(), "it is not so any more")}
}

// unconfirm says of a rule's findings that nobody can tell any more.
func (e *Engine) unconfirm(a *auditor, r *Rule) {
	for t, by := range a.claimed {
		if by != r {
			continue
		}
		delete(a.claimed, t)
		for _, q := range t.parts {
			if q.voice == onAudit && q.state == Open {
				q.state = Stale
				e.enliven(t)
			}
		}
	}
}

// AskAgain has Audit asked again after that much event time even if nothing
// changes, as when a lifetime ends. The soonest counts.
func (p *Pass) AskAgain(after time.Duration) {
	if after = max(after, time.Second); p.again == 0 || after < p.again {
		p.again = after
	}
}

// Looked is when what is audited was last seen to change: the moment of which
// an audit's evidence speaks.
func (p *Pass) Looked() analyze.Sighting {
	return p.Host.Changed.In(p.Host.Origin)
}

// PolicyFinding returns a finding on one policy, with it as evidence. Where it
// is for the traffic or the tunnel of two hosts, they are the finding's pair.
func (p *Pass) PolicyFinding(q *spd.Policy) Finding {
	f := p.Finding()
	f.Subject = fmt.Sprintf("%s on %s", policyID(p.Host, q), p.Host.Origin)
	if a, b, ok := policyEnds(q); ok {
		k := analyze.MakePairKey(a, b)
		f.Pair = []netip.Addr{k.A, k.B}
	}
	f.Evidence = []Evidence{p.SawPolicy(q)}
	return f
}

// policyID names a policy by what makes it unique in the kernel.
func policyID(h *analyze.Host, q *spd.Policy) string {
	s := fmt.Sprintf("policy dir %s %s", q.Direction, selectorWords(h, q.Selector))
	if q.Type != spd.Main {
		s += " ptype " + q.Type.String()
	}
	if q.Mark.Mask != 0 {
		s += fmt.Sprintf(" mark %#x/%#x", q.Mark.Value, q.Mark.Mask)
	}
	if q.IfID != 0 {
		s += fmt.Sprintf(" if_id %#x", q.IfID)
	}
	return s
}

// SawPolicy is the evidence that a policy stands, with its priority and index.
func (p *Pass) SawPolicy(q *spd.Policy) Evidence {
	c := *q
	c.Selector.IfIndex = 0
	text := c.String()
	if name := p.Host.InterfaceName(q.Selector.IfIndex); name != "" {
		text += " dev " + name
	}
	if q.Index != 0 {
		text += fmt.Sprintf(" (index %d)", q.Index)
	}
	return Saw(p.Looked(), "%s", text)
}

// SAFinding returns a finding on one SA, with it as evidence. The SA's ends are
// its pair.
func (p *Pass) SAFinding(s *spd.SA) Finding {
	f := p.Finding()
	f.Subject = fmt.Sprintf("SA %s → %s %s spi %#08x on %s", s.Src, s.Dst, spd.ProtocolName(s.Proto), s.SPI, p.Host.Origin)
	k := analyze.MakePairKey(s.Src, s.Dst)
	f.Pair = []netip.Addr{k.A, k.B}
	f.Evidence = []Evidence{Saw(p.Looked(), "%s", s)}
	return f
}

// PairFinding returns a finding on two hosts, without evidence.
func (p *Pass) PairFinding(a, b netip.Addr) Finding {
	f := p.Finding()
	k := analyze.MakePairKey(a, b)
	f.Subject, f.Pair = k.String(), []netip.Addr{k.A, k.B}
	return f
}
