package report

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"ipsecdiag/rules"
)

// clock is how times are shown to people, in UTC.
const clock = "15:04:05.000"

// row is one line of evidence: what one observer saw, or several at once.
type row struct {
	at    time.Time
	where []string
	text  string
}

// sameMoment is how far apart two observers may have seen one thing; their
// clocks agree, or else the evidence would not be in one order.
const sameMoment = 100 * time.Millisecond

// rows folds what several observers saw of one packet into one row. Where they
// all have one origin, it is left out and returned for the heading.
func rows(evidence []rules.Evidence) (list []row, origin string) {
	origin = evidence[0].Origin
	if slices.ContainsFunc(evidence, func(e rules.Evidence) bool { return e.Origin != origin }) {
		origin = ""
	}
	for _, e := range evidence {
		if origin != "" {
			e.Origin = ""
		}
		same := slices.IndexFunc(list, func(r row) bool {
			return r.text == e.Text && e.Time.Sub(r.at).Abs() <= sameMoment
		})
		if same < 0 {
			same = len(list)
			list = append(list, row{at: e.Time, text: e.Text})
		}
		if w := where(&e); !slices.Contains(list[same].where, w) {
			list[same].where = append(list[same].where, w)
		}
	}
	return list, origin
}

// where says who saw it and, where there is a file, in which frame.
func where(e *rules.Evidence) string {
	if e.Frame == 0 {
		return e.Origin
	}
	return strings.TrimSpace(e.Origin + " #" + strconv.FormatUint(e.Frame, 10))
}

// seen writes the evidence under its heading, in the order of time.
func (p *page) seen(evidence []rules.Evidence) {
	list, origin := rows(evidence)
	heading, by, end := "What was seen", " by ", " (times are UTC)"
	if p.still {
		by, end = " in ", ""
	}
	if origin != "" {
		heading += by + origin
	}
	p.heading(heading + end)
	p.rows(4, list)
}

// rows writes evidence with a column for its origins. What does not fit into
// three tenths of a line goes on a line of its own.
func (p *page) rows(indent int, list []row) {
	column, widest := 0, p.Width*3/10
	for i := range list {
		if w := displayWidth(list[i].origins()); w <= widest {
			column = max(column, w)
		}
	}
	for i := range list {
		p.row(indent, column, &list[i])
	}
}

func (r *row) origins() string { return Clean(strings.Join(r.where, ", ")) }

func (p *page) row(indent, column int, r *row) {
	at := strings.Repeat(" ", indent) + r.at.UTC().Format(clock) + "  "
	if p.still {
		at = strings.Repeat(" ", indent) + "- "
	}
	origins := r.origins()
	space := column - displayWidth(origins)
	if space < 0 {
		p.hang(at, faint, faint, origins)
		at, origins, space = strings.Repeat(" ", displayWidth(at)), "", column
	}
	if column > 0 {
		origins += strings.Repeat(" ", space+2)
	}
	p.hang(at+origins, faint, plain, r.text)
}
