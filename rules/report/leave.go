package report

import (
	"fmt"
	"io"

	"ipsecdiag/rules"
)

// maxLeft bounds the findings that Leave writes in full.
const maxLeft = 5

// Leave writes what a person needs who closes the full-screen view: the verdict
// over all, the findings that are open in full with what to do, as long as they
// are few, and what was looked at.
func Leave(w io.Writer, findings []rules.Finding, sum Summary, o Options) error {
	p := newPage(o)
	tops, effects := group(findings)
	p.verdict(tops, &sum)
	written, open := 0, 0
	for i := range tops {
		if tops[i].State != rules.Open {
			continue
		}
		if open++; open <= maxLeft {
			written++
			p.gap()
			p.finding(&tops[i], effects)
		}
	}
	if more := open - written; more > 0 {
		p.gap()
		p.para(0, plain, fmt.Sprintf("… and %d more that are open.", more))
	}
	p.gap()
	p.lookedAt(&sum)
	return p.flush(w)
}
