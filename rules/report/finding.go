package report

import (
	"strings"
	"unicode/utf8"

	"ipsecdiag/rules"
	"ipsecdiag/rules/remedy"
)

// finding writes one finding and, beneath it, those it explains.
func (p *page) finding(f *rules.Finding, effects map[string][]rules.Finding) {
	p.title(0, f)
	p.para(2, plain, p.standing(f))
	p.gap()
	p.para(2, plain, f.Explanation)
	if len(f.Evidence) > 0 {
		p.seen(f.Evidence)
	}
	p.drawn(f)
	if under := effects[f.ID]; len(under) > 0 {
		p.heading("What follows from it")
		p.effects(4, under, effects)
	}
	if len(f.Remedies) > 0 && f.ExplainedBy == "" {
		p.heading(remedyHeading(f))
		for i := range f.Remedies {
			p.remedy(&f.Remedies[i])
		}
	}
}

func remedyHeading(f *rules.Finding) string {
	if f.State == rules.Resolved && f.Counts() {
		return "What to do should it come back"
	}
	return "What to do"
}

func (p *page) heading(text string) {
	p.gap()
	p.para(2, bold, text)
}

func (p *page) title(indent int, f *rules.Finding) {
	label := strings.ToUpper(f.Severity.String())
	p.hang(strings.Repeat(" ", indent)+label+"  ", tone(f), bold, f.Title+"  ["+f.Rule+"]")
}

// standing says whom a finding is about, how sure it is, whether it still
// holds, who saw it and what explains it.
func (p *page) standing(f *rules.Finding) string {
	s := f.Subject + ", " + f.Confidence.String()
	switch {
	case p.still:
	case f.State == rules.Open:
		s += ", open since " + f.FirstSeen.UTC().Format(clock)
	case f.State == rules.Resolved:
		s += ", resolved; it was first seen at " + f.FirstSeen.UTC().Format(clock)
	case f.State == rules.Stale:
		s += ", not confirmed since " + f.LastSeen.UTC().Format(clock)
	}
	switch {
	case len(f.Origins) == 0:
	case p.still:
		s += ", from " + list(f.Origins)
	default:
		s += ", seen by " + list(f.Origins)
	}
	if f.ExplainedBy != "" {
		s += "; it follows from " + f.ExplainedBy
	}
	return s
}

// effects writes the findings that another one explains, without evidence and
// remedies: what helps is what helps against the cause.
func (p *page) effects(indent int, under []rules.Finding, effects map[string][]rules.Finding) {
	for i := range under {
		f := &under[i]
		p.title(indent, f)
		if f.State != rules.Open {
			p.para(indent+2, plain, "Now "+f.State.String()+".")
		}
		p.para(indent+2, plain, f.Explanation)
		p.effects(indent+2, effects[f.ID], effects)
	}
}

// remedy writes what to do; commands stay on one line each, however long, so
// that they can be copied.
func (p *page) remedy(r *remedy.Remedy) {
	p.para(4, plain, capital(r.Title)+":")
	for line := range strings.Lines(r.Command) {
		p.line(span{plain, "      "}, span{command, strings.TrimRight(line, "\r\n")})
	}
}

// capital begins a sentence with a verb phrase.
func capital(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:size]) + s[size:]
}
