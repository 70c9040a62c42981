package report

import (
	"fmt"
	"strings"

	"ipsecdiag/rules"
)

// maxVerdicts bounds the lines of the verdict.
const maxVerdicts = 10

// verdict writes the answer before its reasons: how many things are wrong, and
// which.
func (p *page) verdict(tops []rules.Finding, sum *Summary) {
	wrong := counting(tops)
	switch {
	case len(wrong) == 1:
		p.hang("1 "+wrong[0].Severity.String()+": ", tone(&wrong[0]), bold, oneLine(&wrong[0]))
	case len(wrong) > 1:
		p.verdicts(wrong)
	default:
		p.para(0, bold, unblamed(tops, sum)+".")
	}
}

// unblamed is the verdict where nothing is to blame: that nothing was seen is not
// that nothing is wrong.
func unblamed(tops []rules.Finding, sum *Summary) string {
	switch {
	case sum.Empty():
		return "Nothing to judge: no IKE, ESP, AH or neighbour discovery in it"
	case len(tops) > 0:
		return "Nothing wrong found; " + count(uint64(len(tops)), "thing") + " worth knowing"
	case sum.Audited != nil && !sum.judged():
		return "Nothing to judge: policies and SAs could not be read"
	}
	return "Nothing wrong found"
}

func (p *page) verdicts(wrong []rules.Finding) {
	p.para(0, tone(&wrong[0]), tally(wrong))
	for i := range wrong {
		if i == maxVerdicts {
			p.para(2, plain, fmt.Sprintf("… and %d more, below", len(wrong)-i))
			return
		}
		p.hang(fmt.Sprintf("  %-7s  ", wrong[i].Severity), tone(&wrong[i]), plain, oneLine(&wrong[i]))
	}
}

// counting returns the findings that are to blame: what the exit status counts.
func counting(tops []rules.Finding) []rules.Finding {
	var wrong []rules.Finding
	for _, f := range tops {
		if f.Counts() {
			wrong = append(wrong, f)
		}
	}
	return wrong
}

// tally counts findings by severity: "1 error, 2 warnings".
func tally(findings []rules.Finding) string {
	var parts []string
	for _, s := range []rules.Severity{rules.Error, rules.Warning, rules.Info} {
		n := uint64(0)
		for _, f := range findings {
			if f.Severity == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, count(n, s.String()))
		}
	}
	return strings.Join(parts, ", ")
}

func oneLine(f *rules.Finding) string {
	s := f.Title + " (" + f.Subject + "), " + f.Confidence.String()
	switch f.State {
	case rules.Resolved:
		s += ", resolved since"
	case rules.Stale:
		s += ", not confirmed lately"
	}
	return s
}

// tone is the colour of a finding: its severity's while it stands.
func tone(f *rules.Finding) style {
	switch {
	case f.State == rules.Resolved:
		return green
	case f.Severity == rules.Error:
		return red
	case f.Severity == rules.Warning:
		return yellow
	}
	return cyan
}
