package ladder

import "strings"

// maxRows bounds the lines of text of one step.
const maxRows = 3

// step draws one step: its time, its arrow or its dot, and what it is.
func (d *drawing) step(n int) {
	s := &d.l.Steps[n]
	first, width := d.room()
	r := d.row()
	at := strings.Repeat(" ", d.Indent) + s.At.Time.UTC().Format(clock)
	r.write(0, at)
	if len(s.Marks) > 0 {
		r.put(len(at), '*')
	}
	line := Line{Step: n, Time: len(at) + 1, Dead: s.Fate.Dead()}
	text := d.words(s, width-2)
	crosses := s.From.Host != s.To.Host && !(s.Fate == Held && s.From.Role != d.nearWire(s.From.Host))
	d.arrow(r, s)
	if crosses && len([]rune(text)) <= width-2 {
		x := first + (width-len([]rune(text)))/2
		r.write(x-1, " "+text+" ")
		d.emit(r, line)
		return
	}
	d.beside(r, s, text, line, crosses)
}

// nearWire is the role of a host's line next to the wire.
func (d *drawing) nearWire(host int) Role {
	roles := d.l.Hosts[host].Roles
	return roles[len(roles)-1]
}

// beside writes text into the room between the hosts, at the side of the host
// that it is about; where there is an arrow across, above it.
func (d *drawing) beside(r row, s *Step, text string, line Line, crosses bool) {
	first, width := d.room()
	rows := wrapWords(text, width)
	if len(rows) > maxRows {
		rows = append(rows[:maxRows-1], d.fit(strings.Join(rows[maxRows-1:], " "), width))
	}
	if crosses {
		above := d.row()
		copy(above[:line.Time], r[:line.Time])
		copy(r[:line.Time], []rune(strings.Repeat(" ", line.Time)))
		for _, t := range rows {
			above.write(d.aside(s, first, width, t), t)
			d.emit(above, line)
			above, line.Time = d.row(), 0
		}
		d.emit(r, line)
		return
	}
	for _, t := range rows {
		r.write(d.aside(s, first, width, t), t)
		d.emit(r, line)
		r, line.Time = d.row(), 0
	}
}

// aside returns where text begins that belongs to the side of a step's host.
func (d *drawing) aside(s *Step, first, width int, text string) int {
	if s.From.Host == 0 {
		return first
	}
	return first + width - len([]rune(text))
}

// arrow draws a step's arrow, or the dot of what happens on one line.
func (d *drawing) arrow(r row, s *Step) {
	from, to := d.col(s.From), d.col(s.To)
	switch {
	case s.Fate == Event:
		r.put(from, d.dot)
	case s.Fate == Held:
		d.held(r, s)
	case s.Fate == Missing:
		d.span(r, from, to, d.dash)
		r.put(beside(to, from), d.ask)
	case s.Fate == Lost:
		d.span(r, from, to, d.wire)
		x := beside(beside(to, from), from)
		r.put(x, d.dead)
		r.put(beside(to, from), ' ')
	default:
		d.span(r, from, to, d.wire)
		r.put(beside(to, from), d.tip(s, from, to))
	}
}

func (d *drawing) tip(s *Step, from, to int) rune {
	switch {
	case s.Fate == Refused:
		return d.dead
	case to > from:
		return d.right
	}
	return d.left
}

// held draws what never left: up to the kernel of its host, from there on
// dashed if it was to go further and there is room.
func (d *drawing) held(r row, s *Step) {
	from, wall := d.col(s.From), d.inner(s.From.Host)
	if s.From.Host == s.To.Host {
		to := d.col(s.To)
		d.span(r, from, to, d.wire)
		r.put(beside(to, from), d.dead)
		return
	}
	to := d.col(s.To)
	if from == wall {
		d.span(r, from, to, d.dash)
		r.put(beside(from, to), d.dead)
		return
	}
	d.span(r, from, wall, d.wire)
	r.put(beside(wall, from), d.dead)
}

// span draws a line between two columns, without its ends.
func (d *drawing) span(r row, from, to int, c rune) {
	for x := min(from, to) + 1; x < max(from, to); x++ {
		r.put(x, c)
	}
}

// beside returns the column next to x on the side of y.
func beside(x, y int) int {
	if y < x {
		return x - 1
	}
	return x + 1
}

// wrapWords breaks text, one column for each character, at spaces.
func wrapWords(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for len([]rune(word)) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			r := []rune(word)
			lines, word = append(lines, string(r[:width])), string(r[width:])
		}
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
