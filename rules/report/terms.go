package report

import (
	"io"
	"strings"

	"ipsecdiag/rules"
	"ipsecdiag/rules/terms"
)

// Explained writes the list of what can be explained, one a line: the rules, and
// the words that their findings use.
func Explained(w io.Writer, all []*rules.Rule, words []*terms.Term, o Options) error {
	p := newPage(o)
	p.para(0, bold, "What can be found")
	var list [][2]string
	for _, r := range all {
		list = append(list, [2]string{r.ID, r.Title + " (" + r.Severity.String() + ")"})
	}
	p.table(list)
	p.gap()
	p.para(0, bold, "Words that findings use")
	list = nil
	for _, t := range words {
		list = append(list, [2]string{t.Name, t.Short})
	}
	p.table(list)
	return p.flush(w)
}

// table writes names and what they mean in two columns.
func (p *page) table(list [][2]string) {
	column := 0
	for _, row := range list {
		column = max(column, displayWidth(row[0]))
	}
	for _, row := range list {
		pad := strings.Repeat(" ", column-displayWidth(row[0])+2)
		p.hang("  "+row[0]+pad, command, plain, row[1])
	}
}

// Term writes what a word means.
func Term(w io.Writer, t *terms.Term, o Options) error {
	p := newPage(o)
	p.hang(t.Name+": ", bold, bold, t.Short)
	if len(t.Also) > 0 {
		p.hang("Also: ", faint, plain, strings.Join(t.Also, ", "))
	}
	if t.Text != "" {
		p.gap()
		p.prose(2, t.Text)
	}
	if len(t.See) > 0 {
		p.gap()
		p.hang("See also: ", bold, plain, strings.Join(t.See, ", "))
	}
	p.hang("Sources:  ", bold, plain, strings.Join(t.Sources, "; "))
	return p.flush(w)
}
