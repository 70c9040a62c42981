package report

import (
	"io"
	"slices"

	"ipsecdiag/rules"
)

// maxLeft bounds the findings that Leave writes in full.
const maxLeft = 3

// Leave writes what a person needs who closes the full-screen view: the verdict
// over all, the findings that are open in full with what to do as long as they
// are few, and what was looked at.
func Leave(w io.Writer, findings []rules.Finding, sum Summary, o Options) error {
	p := newPage(o)
	tops, effects := group(findings)
	p.verdict(tops, &sum)
	open := slices.DeleteFunc(tops, func(f rules.Finding) bool { return f.State != rules.Open })
	if len(open) <= maxLeft {
		for i := range open {
			p.gap()
			p.finding(&open[i], effects)
		}
	}
	p.gap()
	p.lookedAt(&sum)
	return p.flush(w)
}
