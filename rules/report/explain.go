package report

import (
	"io"
	"strings"

	"ipsecdiag/rules"
)

// Rules writes the list of rules, one a line.
func Rules(w io.Writer, all []*rules.Rule, o Options) error {
	p := newPage(o)
	column := 0
	for _, r := range all {
		column = max(column, displayWidth(r.ID))
	}
	for _, r := range all {
		pad := strings.Repeat(" ", column-displayWidth(r.ID)+2)
		p.hang(r.ID+pad, bold, plain, r.Title+" ("+r.Severity.String()+")")
	}
	return p.flush(w)
}

// Rule writes what there is to know of one rule.
func Rule(w io.Writer, r *rules.Rule, o Options) error {
	p := newPage(o)
	p.hang(r.ID+": ", bold, bold, r.Title)
	p.para(0, plain, "Severity: "+r.Severity.String())
	p.section("Symptom", r.Doc.Symptom)
	p.section("Cause", r.Doc.Cause)
	p.section("How it is recognised", r.Doc.Recognised)
	p.section("What to do", r.Doc.Remedy)
	if len(r.Doc.Sources) > 0 {
		p.heading("Sources")
		for _, s := range r.Doc.Sources {
			p.hang("    - ", plain, plain, s)
		}
	}
	return p.flush(w)
}

func (p *page) section(heading, text string) {
	if text == "" {
		return
	}
	p.heading(heading)
	p.prose(4, text)
}

// prose writes text as its author broke it into paragraphs: lines follow each
// other until an empty one; lines that are indented (commands, tables) stay as
// they are, and list items ("- ") begin anew.
func (p *page) prose(indent int, text string) {
	var paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			p.paragraph(indent, strings.Join(paragraph, " "))
		}
		paragraph = nil
	}
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "":
			end()
			p.gap()
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "\t"):
			end()
			p.line(span{plain, strings.Repeat(" ", indent+2)}, span{command, strings.TrimSpace(line)})
		case strings.HasPrefix(line, "- "):
			end()
			paragraph = []string{line}
		default:
			paragraph = append(paragraph, line)
		}
	}
	end()
}

func (p *page) paragraph(indent int, text string) {
	if item, ok := strings.CutPrefix(text, "- "); ok {
		p.hang(strings.Repeat(" ", indent)+"- ", plain, plain, item)
		return
	}
	p.para(indent, plain, text)
}

// Prose writes paragraphs of text, parted by empty lines.
func Prose(w io.Writer, text string, o Options) error {
	p := newPage(o)
	p.prose(0, text)
	return p.flush(w)
}
