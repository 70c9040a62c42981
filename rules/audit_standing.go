package rules

import (
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// lasting returns a rule's Audit without the findings that have not stood for as long
// as the rule wants them to. It asks again when they will have.
func (a *auditor) lasting(r *Rule) func(*Pass) {
	if r.Stands == 0 {
		return r.Audit
	}
	return func(p *Pass) {
		r.Audit(p)
		if !p.atOnce {
			p.reports = a.stood(p)
		}
	}
}

// stood returns those of a pass's findings that have stood long enough.
func (a *auditor) stood(p *Pass) []Finding {
	kept, now := p.reports[:0], map[string]bool{}
	for _, f := range p.reports {
		now[f.ID] = true
		since, known := a.pending[f.ID]
		if !known {
			since = p.unchangedSince()
			a.pending[f.ID] = since
		}
		if left := since + p.Rule.Stands - p.Now; left > 0 {
			p.AskAgain(left)
			continue
		}
		kept = append(kept, f)
	}
	for id := range a.pending {
		if strings.HasPrefix(id, p.Rule.ID+":") && !now[id] {
			delete(a.pending, id)
		}
	}
	return kept
}

// unchangedSince is since when what is audited now is known to have stood: since the
// last change that was seen, or before the first look since the youngest policy was
// made, where the kernel's clock tells.
func (p *Pass) unchangedSince() time.Duration {
	h, at := p.Host, p.Looked()
	if !h.PoliciesChanged.IsZero() || h.Lacks(analyze.PartClock) || len(h.DB.Policies) == 0 {
		return at.Mono
	}
	youngest := uint64(0)
	for i := range h.DB.Policies {
		if h.DB.Policies[i].AddTime == 0 {
			return at.Mono
		}
		youngest = max(youngest, h.DB.Policies[i].AddTime)
	}
	// AddTime has whole seconds: it was made before the next one at the latest.
	return min(at.Mono, at.Mono-at.Time.Sub(time.Unix(int64(youngest)+1, 0)))
}
