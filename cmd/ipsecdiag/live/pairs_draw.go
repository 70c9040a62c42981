package live

import (
	"fmt"
	"net/netip"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/rules"
)

// wide is from how many columns on a finding has room on its pair's own line.
const wide = 120

// column is one column of the list.
type column struct {
	title string
	width int
	right bool // numbers are set at the right
	cell  func(*Row) Cell
}

// columns are what every terminal has room for.
func columns(m *Model) []column {
	out, in := "→ /s", "← /s"
	if m.options.Still {
		out, in = "→ pkt", "← pkt"
	}
	list := []column{
		{"neighbour", 10, false, func(r *Row) Cell { return r.Neighbor }},
		{"IKE", 15, false, func(r *Row) Cell { return r.IKE }},
		{"SAs", 6, false, func(r *Row) Cell { return r.SAs }},
		{out, 5, true, func(r *Row) Cell { return m.traffic(r.Out) }},
		{in, 5, true, func(r *Row) Cell { return m.traffic(r.In) }},
		{"lost", 5, true, func(r *Row) Cell { return r.Lost }},
	}
	if m.width >= wide {
		list[1].width = 20
	}
	return list
}

// traffic tells the rate of what is going on, or the sum of what is over.
func (m *Model) traffic(t Traffic) Cell {
	switch {
	case t.Packets == 0:
		return Cell{}
	case m.options.Still:
		return Cell{Text: short(float64(t.Packets))}
	}
	return Cell{Text: short(t.PacketRate)}
}

// pairWidth is what the other columns leave for the addresses, and in a wide
// terminal what they need at most.
func (p *pairs) pairWidth(m *Model, list []column) int {
	left := m.width - len(cursor) - 2
	for _, c := range list {
		left -= c.width + 1
	}
	if m.width < wide {
		return max(left, 7)
	}
	need := len("pair")
	for _, r := range p.shown {
		need = max(need, ansi.StringWidth(r.name()))
	}
	return max(min(need, left-40), 7)
}

// cursor stands before the selected row, so that it is seen without reverse
// video too.
const cursor = ">"

// lines draws the list and, where there is room, the ladder of the selected pair
// below it.
func (p *pairs) lines(m *Model, width, height int) []string {
	if p.preview == nil {
		return p.list(m, width, height)
	}
	p.rows(m.snap)
	above := min(height/2, p.wanted(m, height)+2)
	lines := p.list(m, width, above)
	for len(lines) < above {
		lines = append(lines, "")
	}
	name := " " + clean(p.preview.subject) + " "
	lines = append(lines, faint.Render("──"+name+strings.Repeat("─", max(width-2-ansi.StringWidth(name), 0))))
	return append(lines, p.preview.glimpse(m, width, height-above-1)...)
}

func (p *pairs) list(m *Model, width, height int) []string {
	rows := p.rows(m.snap)
	list := columns(m)
	pair := p.pairWidth(m, list)
	lines := []string{faint.Render(titles(list, pair, m))}
	if len(rows) == 0 {
		return append(lines, p.nothing(m)...)
	}
	if p.typing {
		height-- // the filter goes below
	}
	if size := [2]int{width, height}; p.size != size {
		p.size, p.offset = size, 0
	}
	p.scroll(m, height-1)
	for i := p.offset; i < len(rows) && len(lines) < height; i++ {
		lines = append(lines, p.rowLines(m, rows[i], list, pair, i == p.place)...)
	}
	return p.withFilter(lines[:min(len(lines), height)], height)
}

// withFilter sets the line in which the filter is being written below the list.
func (p *pairs) withFilter(lines []string, height int) []string {
	if !p.typing {
		return lines
	}
	for len(lines) < height {
		lines = append(lines, "")
	}
	return append(lines, p.filter.View())
}

func (p *pairs) nothing(m *Model) []string {
	text := " no hosts seen yet that speak IKE, ESP, AH or neighbour discovery"
	switch {
	case p.words != "":
		text = " nothing matches; Esc shows all"
	case m.options.Still:
		text = " no hosts in it that speak IKE, ESP, AH or neighbour discovery"
	}
	lines := []string{"", text}
	if p.typing {
		lines = append(lines, "", p.filter.View())
	}
	return lines
}

// scroll moves the list as little as is needed to show the selected row.
func (p *pairs) scroll(m *Model, height int) {
	p.offset = max(min(p.offset, len(p.shown)-1), 0)
	if p.place < p.offset {
		p.offset = p.place
	}
	for used, i := 0, p.place; i >= p.offset; i-- {
		if used += p.height(m, p.shown[i]); used > height {
			p.offset = min(i+1, p.place)
		}
	}
}

// height is how many lines a row takes.
func (p *pairs) height(m *Model, r *Row) int {
	if m.width < wide && m.snap.worst(r) != nil {
		return 2
	}
	return 1
}

// wanted is how many lines all rows take, as far as it matters.
func (p *pairs) wanted(m *Model, enough int) (lines int) {
	for _, r := range p.shown {
		if lines += p.height(m, r); lines >= enough {
			break
		}
	}
	return lines
}

func titles(list []column, pair int, m *Model) string {
	line := strings.Repeat(" ", len(cursor)+2) + fit("pair", pair)
	for _, c := range list {
		line += " " + c.set(c.title)
	}
	if m.width >= wide {
		line += "  finding"
	}
	return line
}

func (c *column) set(text string) string {
	if c.right {
		return right(text, c.width)
	}
	return fit(text, c.width)
}

// rowLines draws a row: its finding beside it where there is room, else below.
func (p *pairs) rowLines(m *Model, r *Row, list []column, pair int, selected bool) []string {
	paint := painter(selected)
	mark, style := r.standing.mark()
	lead := " "
	if selected {
		lead = cursor
	}
	line := paint(ordinary, lead) + paint(style, mark) + paint(ordinary, " "+fit(r.names(pair), pair))
	for _, c := range list {
		cell := c.cell(r)
		if cell.Text == "" {
			cell.Text = "-"
		}
		line += paint(ordinary, " ") + paint(cell.Tone.style(), c.set(clean(cell.Text)))
	}
	f := m.snap.worst(r)
	room := m.width - ansi.StringWidth(line) - 2
	switch {
	case m.width >= wide && f != nil:
		return []string{line + paint(ordinary, "  ") + found(f, len(r.Findings)-1, room, paint)}
	case m.width >= wide:
		return []string{line + paint(ordinary, strings.Repeat(" ", max(room+2, 0)))}
	case f != nil:
		return []string{line, paint(ordinary, "    ") + found(f, len(r.Findings)-1, m.width-4, paint)}
	}
	return []string{line}
}

// painter returns how a span of a row is drawn: the selected row is in reverse
// video throughout.
func painter(selected bool) func(lipgloss.Style, string) string {
	return func(s lipgloss.Style, text string) string {
		if selected {
			s = reverse
		}
		return s.Render(text)
	}
}

// found tells the worst finding of a row, and how many more there are.
func found(f *rules.Finding, more, width int, paint func(lipgloss.Style, string) string) string {
	label := strings.ToUpper(f.Severity.String())
	rest := " " + f.Rule + ", " + f.Confidence.String() + ": " + f.Title
	if f.State != rules.Open {
		label, rest = "("+f.Severity.String(), ", "+f.State.String()+")"+rest
	}
	end := ""
	if more > 0 {
		end = fmt.Sprintf(" +%d", more)
	}
	text := cut(clean(rest), max(width-len(label)-len(end), 0)) + end
	return paint(findingStyle(f), label) + paint(ordinary, fit(text, width-len(label)))
}

// name names the row in full.
func (r *Row) name() string {
	if !r.From.IsValid() {
		return clean(r.Subject)
	}
	return clean(r.From.String() + " ↔ " + r.To.String())
}

// names names the row in that many columns: where both addresses have not
// enough room, each loses its middle.
func (r *Row) names(width int) string {
	if name := r.name(); ansi.StringWidth(name) <= width || !r.From.IsValid() {
		return cut(name, width)
	}
	each := (width - 3) / 2
	from, to := clean(r.From.String()), clean(r.To.String())
	if spare := each - len(from); spare > 0 {
		return from + " ↔ " + shorten(r.To, width-3-len(from))
	}
	if spare := each - len(to); spare > 0 {
		return shorten(r.From, width-3-len(to)) + " ↔ " + to
	}
	return shorten(r.From, each) + " ↔ " + shorten(r.To, width-3-each)
}

// shorten leaves out the middle of an address: the network is told by its
// beginning, the host by its end, which matters more.
func shorten(a netip.Addr, width int) string {
	s := clean(a.String())
	if len(s) <= width {
		return s
	}
	head := max((width-1)/3, 0)
	return s[:head] + "…" + s[len(s)-(width-1-head):]
}

// word names a standing for the filter.
func (s standing) word() string {
	return [...]string{"quiet", "works", "info", "over", "warning", "error"}[s]
}
