package ladder

import (
	"fmt"
	"strings"
)

// Layout is a ladder laid out on a plane, in CSS pixels: what a drawing as SVG
// needs to know. Its texts are cleaned, and not escaped.
type Layout struct {
	Width, Height int
	Heads         []LayoutHead
	Lanes         []LayoutLane
	Rows          []LayoutRow
}

// LayoutHead is the name of a host above its lines.
type LayoutHead struct {
	X      int
	Anchor string // of the text, in SVG's words
	Text   string
}

// LayoutLane is one line of a host.
type LayoutLane struct {
	X    int
	Name string
}

// LayoutRow is one step.
type LayoutRow struct {
	Step   *Step
	Y      int // of its upper edge
	Height int
	Line   int // of its arrow or dot
	Time   string
	// X1 and X2 are the ends of the arrow; equal for what happens on one line.
	X1, X2 int
	// Tip is the path of the arrow's head or of the cross, empty for a dot.
	Tip string
	// Way is the path of the line, in parts where it ends before its aim.
	Way string
	// Text is broken into lines; TextX and Anchor place it.
	Text   []string
	TextX  int
	Anchor string
	Gap    uint64 // how many things before it were not kept
}

// Measures of a layout.
const (
	layoutWidth  = 1040
	layoutTop    = 62
	layoutLeft   = 200 // of the first line: times and marks stand before it
	layoutLane   = 68
	layoutEdge   = 44
	layoutLine   = 17 // from one line of text to the next
	layoutPad    = 9
	layoutColumn = 7.4 // width that a column of text takes at most
	gapHeight    = 26
)

// Place lays a ladder out. clean and columns are those of TextOptions.
func (l *Ladder) Place(clean func(string) string, columns func(string) int) *Layout {
	p := placing{l: l, clean: clean, columns: columns, Layout: &Layout{Width: layoutWidth}}
	p.lanes()
	y := layoutTop
	for n := range l.Steps {
		y = p.row(&l.Steps[n], y)
	}
	p.Height = y + layoutPad
	return p.Layout
}

type placing struct {
	*Layout
	l       *Ladder
	clean   func(string) string
	columns func(string) int
	x       [2][Kernel + 1]int
}

func (p *placing) lanes() {
	x := layoutLeft
	for _, r := range p.l.Hosts[0].Roles {
		p.lane(0, r, x)
		x += layoutLane
	}
	p.Heads = append(p.Heads, LayoutHead{layoutLeft - layoutLane/2, "start", p.name(0)})
	x = layoutWidth - layoutEdge
	for _, r := range p.l.Hosts[1].Roles {
		p.lane(1, r, x)
		x -= layoutLane
	}
	p.Heads = append(p.Heads, LayoutHead{layoutWidth - layoutEdge + layoutLane/2, "end", p.name(1)})
}

func (p *placing) lane(host int, r Role, x int) {
	p.x[host][r] = x
	p.Lanes = append(p.Lanes, LayoutLane{x, r.String()})
}

func (p *placing) name(host int) string {
	h := &p.l.Hosts[host]
	if h.Name == "" {
		return p.clean(h.Addr.String())
	}
	return p.clean(h.Name + " " + h.Addr.String())
}

func (p *placing) at(q Place) int { return p.x[q.Host][q.Role] }

// inner is the line of a host next to the wire.
func (p *placing) inner(host int) int {
	roles := p.l.Hosts[host].Roles
	return p.x[host][roles[len(roles)-1]]
}

// row places one step below y and returns its lower edge.
func (p *placing) row(s *Step, y int) int {
	r := LayoutRow{Step: s, Y: y, Time: s.At.Time.UTC().Format(clock), Gap: s.Before}
	if r.Gap > 0 {
		r.Y += gapHeight
	}
	r.X1, r.X2 = p.at(s.From), p.at(s.To)
	wall := p.inner(s.From.Host)
	crosses := s.From.Host != s.To.Host
	p.text(&r, s, crosses)
	below := layoutPad + layoutLine*len(r.Text)
	if crosses {
		r.Line = r.Y + below + 5
		r.Height = below + 5 + layoutPad
	} else {
		r.Line = r.Y + layoutPad + layoutLine/2
		r.Height = below + layoutPad
	}
	p.way(&r, s, wall)
	p.Rows = append(p.Rows, r)
	return r.Y + r.Height
}

// text breaks what there is to say into lines and places them: above an arrow
// that crosses from host to host, else beside the host's lines.
func (p *placing) text(r *LayoutRow, s *Step, crosses bool) {
	left, right := p.inner(0)+14, p.inner(1)-14
	words := p.clean(s.say(s.Label))
	columns := max(12, int(float64(right-left)/layoutColumn))
	if wide := p.columns(words); wide > len([]rune(words)) {
		columns = columns * len([]rune(words)) / wide
	}
	r.Text = wrapWords(words, columns)
	switch {
	case crosses:
		r.TextX, r.Anchor = (left+right)/2, "middle"
	case s.From.Host == 0:
		r.TextX, r.Anchor = left, "start"
	default:
		r.TextX, r.Anchor = right, "end"
	}
}

// way draws the line as far as the step got, and its tip.
func (p *placing) way(r *LayoutRow, s *Step, wall int) {
	const short = 26 // how far something gets that its own kernel stops
	y := r.Line
	end := r.X2
	switch {
	case s.Fate == Event:
		return
	case s.Fate == Held && s.From.Host != s.To.Host && r.X1 != wall:
		end = wall - sign(wall-r.X1)*7
	case s.Fate == Held && s.From.Host != s.To.Host:
		end = r.X1 + sign(r.X2-r.X1)*short
	case s.Fate == Held, s.Fate == Missing:
		end = r.X2 - sign(r.X2-r.X1)*9
	case s.Fate == Lost:
		end = r.X2 - sign(r.X2-r.X1)*short
	}
	r.Way = fmt.Sprintf("M%d %dH%d", r.X1, y, end)
	switch {
	case s.Fate.Dead() && s.Fate != Refused:
		r.Tip = cross(end, y)
	case s.Fate == Refused:
		r.Tip = cross(r.X2-sign(r.X2-r.X1)*9, y)
	default:
		r.Tip = head(r.X2, y, sign(r.X2-r.X1))
	}
}

// Rest is the path of the way that a step did not get, empty where it got all.
func (r *LayoutRow) Rest() string {
	if r.Step.Fate != Held || r.Step.From.Host == r.Step.To.Host {
		return ""
	}
	start := strings.TrimPrefix(r.Way[strings.Index(r.Way, "H"):], "H")
	return fmt.Sprintf("M%s %dH%d", start, r.Line, r.X2)
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

// head is an arrow's head whose point is at x.
func head(x, y, direction int) string {
	return fmt.Sprintf("M%d %dl%d -5v10z", x, y, -9*direction)
}

// cross is a cross around a point.
func cross(x, y int) string {
	return fmt.Sprintf("M%d %dl10 10m0 -10l-10 10", x-5, y-5)
}

// Baseline is where line n of the text stands.
func (r *LayoutRow) Baseline(n int) int { return r.Y + layoutPad + layoutLine*(n+1) - 4 }

// MarkX is where the mark n of evidence ends, left of the lines.
func (r *LayoutRow) MarkX(n int) int { return layoutLeft - 56 + n*42 }
