package report

import (
	"fmt"
	"io"
	"strings"

	"ipsecdiag/rules"
	"ipsecdiag/rules/remedy"
)

// Plan writes what would be done: the commands, one on each line so that they
// can be copied, with the keys masked; what each is for; and what to know.
func Plan(w io.Writer, plan *remedy.Plan, o Options) error {
	p := newPage(o)
	p.hang(capital(plan.Title)+"  ", bold, plain, "["+string(plan.Action)+"]")
	if !plan.Empty() {
		p.gap()
		p.steps(plan.Steps)
	}
	if len(plan.Notes) > 0 {
		p.gap()
	}
	for _, n := range plan.Notes {
		p.hang("  - ", plain, plain, n)
	}
	return p.flush(w)
}

// steps writes the commands; what several in a row are for is said once.
func (p *page) steps(steps []remedy.Step) {
	why := ""
	for i := range steps {
		if s := &steps[i]; s.Why != "" && s.Why != why {
			why = s.Why
			p.hang("  # ", faint, faint, why)
		}
		p.line(span{plain, "  "}, span{command, steps[i].Command()})
	}
}

// Applied is one line of what `fix list` prints.
type Applied struct {
	ID     int
	When   string
	Status string
	Title  string
}

// AppliedList writes what was applied, and beneath each what became of it.
func AppliedList(w io.Writer, all []Applied, o Options) error {
	p := newPage(o)
	for _, a := range all {
		p.hang(fmt.Sprintf("%4d  %s  ", a.ID, a.When), plain, bold, a.Title)
		p.para(6, plain, a.Status)
	}
	return p.flush(w)
}

// Say writes sentences, each a paragraph, wrapped behind an indent.
func Say(w io.Writer, indent int, o Options, sentences ...string) error {
	p := newPage(o)
	for _, s := range sentences {
		p.para(indent, plain, s)
	}
	return p.flush(w)
}

// Verbatim writes lines as they are, cleaned, such as configuration to copy.
func Verbatim(w io.Writer, lines string, o Options) error {
	p := newPage(o)
	for line := range strings.Lines(lines) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		p.line(span{plain, strings.ReplaceAll(indent, "\t", "    ")}, span{command, strings.TrimRight(line[len(indent):], "\r\n")})
	}
	return p.flush(w)
}

// Proposal is a finding with what would be done about it.
type Proposal struct {
	Finding *rules.Finding
	Would   []string // phrases
}

// Proposals writes findings in short, each with what would be done.
func Proposals(w io.Writer, all []Proposal, o Options) error {
	p := newPage(o)
	for _, a := range all {
		p.title(0, a.Finding)
		p.para(2, plain, p.standing(a.Finding))
		for _, would := range a.Would {
			p.hang("  → ", plain, plain, would)
		}
		p.gap()
	}
	return p.flush(w)
}
