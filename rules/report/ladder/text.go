package ladder

import (
	"fmt"
	"strings"
)

// TextOptions say how a ladder is drawn as text.
type TextOptions struct {
	Width  int  // columns, 80 where zero; where the hosts find no room, lines are longer
	Indent int  // columns left free before the times
	ASCII  bool // for terminals that know no other characters
	// Clean makes captured strings safe to show. It must be given.
	Clean func(string) string
	// Columns counts the columns that clean text takes. It must be given.
	Columns func(string) int
}

// Line is one line of a drawn ladder.
type Line struct {
	Text string
	// Step is the index of the step that the line belongs to, -1 for the head.
	Step int
	// Time is how many bytes of Text the time takes, its indent included.
	Time int
	Dead bool // tells of what does not arrive
}

// Text draws a ladder for a terminal.
func Text(l *Ladder, o TextOptions) []Line {
	if o.Width <= 0 {
		o.Width = 80
	}
	d := newDrawing(l, o)
	d.head()
	for n := range l.Steps {
		d.step(n)
	}
	return d.lines
}

// timeWidth is the width of a time and of the mark of evidence behind it.
const timeWidth = len("15:04:05.000") + 2

// signs are the characters of a drawing.
type signs struct{ line, wire, dash, right, left, dead, dot, ask rune }

var (
	boxSigns   = signs{'│', '─', '┄', '▶', '◀', '✗', '●', '?'}
	asciiSigns = signs{'|', '-', '.', '>', '<', 'x', 'o', '?'}
)

// drawing is a ladder on its way to text.
type drawing struct {
	signs
	TextOptions
	l     *Ladder
	cols  [2][Kernel + 1]int // column of each line
	lanes []int              // columns of all lines
	lines []Line
}

// laneGap is how far apart the lines of one host are, leastRoom the least space
// between the hosts.
const (
	laneGap   = 6
	leastRoom = 8
)

func newDrawing(l *Ladder, o TextOptions) *drawing {
	o.Width = max(o.Width, leastWidth(l, o.Indent))
	d := &drawing{signs: boxSigns, TextOptions: o, l: l}
	if o.ASCII {
		d.signs = asciiSigns
	}
	x := o.Indent + timeWidth + 1
	for _, r := range l.Hosts[0].Roles {
		d.cols[0][r] = x
		d.lanes = append(d.lanes, x)
		x += laneGap
	}
	x = o.Width - 3
	for _, r := range l.Hosts[1].Roles {
		d.cols[1][r] = x
		d.lanes = append(d.lanes, x)
		x -= laneGap
	}
	return d
}

// leastWidth is the width below which the hosts would change sides, and with them
// every arrow its direction.
func leastWidth(l *Ladder, indent int) int {
	lanes := len(l.Hosts[0].Roles) + len(l.Hosts[1].Roles)
	return indent + timeWidth + 1 + laneGap*(lanes-2) + 3 + leastRoom + 3
}

func (d *drawing) col(p Place) int { return d.cols[p.Host][p.Role] }

// inner is the line of a host next to the wire.
func (d *drawing) inner(host int) int {
	roles := d.l.Hosts[host].Roles
	return d.cols[host][roles[len(roles)-1]]
}

// room is the space between the hosts: its first column, and its width.
func (d *drawing) room() (first, width int) {
	first = d.inner(0) + 2
	return first, max(leastRoom, d.inner(1)-1-first)
}

// row is one line of characters, cleaned ones only.
type row []rune

func (d *drawing) row() row {
	r := row(strings.Repeat(" ", d.Width))
	for _, x := range d.lanes {
		r.put(x, d.line)
	}
	return r
}

func (r row) put(x int, c rune) {
	if x >= 0 && x < len(r) {
		r[x] = c
	}
}

func (r row) write(x int, s string) {
	for _, c := range s {
		r.put(x, c)
		x++
	}
}

// head writes the names of the hosts and of their lines.
func (d *drawing) head() {
	left, right := d.name(0), d.name(1)
	r := row(strings.Repeat(" ", d.Width))
	start := d.lanes[0] - 1
	space := d.Width - start - 1
	half := space/2 - 1
	left, right = d.fit(left, half), d.fit(right, half)
	r.write(start, left)
	r.write(d.Width-1-len([]rune(right)), right)
	d.emit(r, Line{Step: -1})
	if !d.l.Hosts[0].Kernel && !d.l.Hosts[1].Kernel {
		return
	}
	r = row(strings.Repeat(" ", d.Width))
	for host := range d.l.Hosts {
		for _, role := range d.l.Hosts[host].Roles {
			name := role.String()
			if role == Wire {
				name = string(d.line)
			}
			x := d.cols[host][role] - (len([]rune(name))-1)/2
			r.write(min(x, d.Width-len([]rune(name))), name)
		}
	}
	d.emit(r, Line{Step: -1})
}

// name is a host's name and address.
func (d *drawing) name(host int) string {
	h := &d.l.Hosts[host]
	if h.Name == "" {
		return h.Addr.String()
	}
	return h.Name + " " + h.Addr.String()
}

// fit cleans text, replaces what takes other than one column, and shortens it.
func (d *drawing) fit(s string, width int) string {
	s = d.plain(s)
	if r := []rune(s); len(r) > width && width > 1 {
		end := "…"
		if d.ASCII {
			end = "~"
		}
		return string(r[:width-1]) + end
	}
	return s
}

// plain cleans text, and makes every character of it one column wide.
func (d *drawing) plain(s string) string {
	s = d.Clean(s)
	if d.ASCII {
		s = strings.NewReplacer("→", "->", "↔", "<->", "×", "x", "…", "~").Replace(s)
	}
	if d.Columns(s) == len([]rune(s)) && !d.ASCII {
		return s
	}
	return strings.Map(func(r rune) rune {
		if (d.ASCII && r > 126) || d.Columns(string(r)) != 1 {
			return '?'
		}
		return r
	}, s)
}

// emit appends a row without the spaces at its end.
func (d *drawing) emit(r row, l Line) {
	l.Text = strings.TrimRight(string(r), " ")
	l.Time = min(l.Time, len(l.Text))
	d.lines = append(d.lines, l)
}

// words returns what to say of a step, the shorter form where the longer one
// does not fit into one line.
func (d *drawing) words(s *Step, width int) string {
	long := d.plain(s.say(s.Label))
	if s.Brief == "" || len([]rune(long)) <= width {
		return long
	}
	return d.plain(s.say(s.Brief))
}

// say puts a step into words, under that label.
func (s *Step) say(label string) string {
	words := label
	if s.Count > 1 {
		words += fmt.Sprintf(" ×%d", s.Count)
	}
	switch {
	case s.Why == "":
		return words
	case s.Fate == Held:
		words += " " + s.Why
	case strings.Contains(label, ":"):
		words += ", " + s.Why
	default:
		words += ": " + s.Why
	}
	if (s.Fate == Held || s.Fate == Lost || s.Fate == Refused) && s.Confidence == 0 {
		words += " (likely)"
	}
	return words
}

// Words says a step in one line, as the drawings do. They are not cleaned.
func (s *Step) Words() string { return s.say(s.Label) }
