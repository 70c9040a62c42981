package report

import (
	"fmt"
	"io"
	"strings"

	"ipsecdiag/rules"
)

// Text writes a report for people: the verdict, then each finding with its
// evidence, what it explains and what to do, then what was looked at. The
// findings come in the order of rules.Engine.Findings.
func Text(w io.Writer, findings []rules.Finding, sum Summary, o Options) error {
	p := newPage(o)
	p.still = sum.Audited != nil
	tops, effects := group(findings)
	p.verdict(tops, &sum)
	for i := range tops {
		p.gap()
		p.finding(&tops[i], effects)
	}
	p.gap()
	p.between(&sum)
	p.lookedAt(&sum)
	return p.flush(w)
}

// One writes one finding in full, with what it explains of all the others.
func One(w io.Writer, f rules.Finding, all []rules.Finding, o Options) error {
	p := newPage(o)
	_, effects := group(all)
	p.finding(&f, effects)
	return p.flush(w)
}

// Change writes what a finding says now that it is new or changed: in full
// while it is open, in short once it is over.
func Change(w io.Writer, f rules.Finding, o Options) error {
	p := newPage(o)
	if f.State == rules.Open {
		p.finding(&f, nil)
	} else {
		p.title(0, &f)
		p.para(2, plain, p.standing(&f))
		if n := len(f.Evidence); n > 0 {
			latest := f.Evidence[n-1]
			p.rows(4, []row{{latest.Time, []string{where(&latest)}, latest.Text}})
		}
	}
	p.gap()
	return p.flush(w)
}

// group parts the findings that stand by themselves from those that another
// one explains.
func group(findings []rules.Finding) (tops []rules.Finding, effects map[string][]rules.Finding) {
	known := map[string]bool{}
	for i := range findings {
		known[findings[i].ID] = true
	}
	effects = map[string][]rules.Finding{}
	for _, f := range findings {
		if f.ExplainedBy != "" && known[f.ExplainedBy] {
			effects[f.ExplainedBy] = append(effects[f.ExplainedBy], f)
		} else {
			tops = append(tops, f)
		}
	}
	return tops, effects
}

// lossLabel heads what a recording lacks. While a clock is set nothing is missed.
func lossLabel(what string) string {
	if strings.HasPrefix(what, "clock stepped") {
		return "Clock     "
	}
	return "Not seen  "
}

func (p *page) lookedAt(sum *Summary) {
	if sum.Audited != nil {
		p.auditedLines(sum)
	} else {
		p.hang("Looked at ", bold, plain, sum.String())
	}
	for i, l := range sum.Losses {
		if i == maxListed {
			p.para(10, plain, "… and "+count(uint64(len(sum.Losses)-i), "more gap")+".")
			break
		}
		text := l.Time.Format(clock) + " " + l.Origin + ": " + l.What
		if l.Count > 0 {
			text += fmt.Sprintf(" (%d)", l.Count)
		}
		p.hang(lossLabel(l.What), yellow, plain, text)
	}
	if sum.Evicted > 0 {
		p.hang("Forgotten ", yellow, plain, count(sum.Evicted, "thing")+" for lack of room: pairs, IKE SAs, hosts or findings.")
	}
}
