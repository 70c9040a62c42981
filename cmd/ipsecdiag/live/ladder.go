package live

import (
	"bytes"
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
	"ipsecdiag/rules/report/ladder"
)

// steps shows the ladder of a pair, with what is known of the selected arrow.
type steps struct {
	pair     analyze.PairKey
	subject  string
	selected string // id of the step
	place    int    // of that step
	offset   int    // first line on the screen, of those below the head
	size     [2]int // that it was drawn at last
	last     bool   // the latest step is selected, and stays so as more come
	began    bool   // a step was selected
	drawn    drawing
}

// drawing is a ladder as lines; it is made anew when the ladder or the width
// changes.
type drawing struct {
	of    *ladder.Ladder
	width int
	head  []ladder.Line
	body  []ladder.Line
}

func newSteps(r *Row) *steps { return &steps{pair: r.Pair, subject: r.Subject} }

func (x *steps) focus() analyze.PairKey { return x.pair }

func (x *steps) title(m *Model) string {
	text := clean(x.pair.String())
	if l := m.ladder(x.pair); l != nil && len(l.Steps) > 0 {
		text = fmt.Sprintf("%s, step %d of %d", text, x.place+1, len(l.Steps))
	}
	return text
}

func (x *steps) hints(m *Model) []hint {
	h := []hint{{"↑↓", "move"}, {"Enter", "message"}}
	if r := m.snap.row(x.subject); r != nil && len(r.Findings) > 0 {
		h = append(h, hint{"f", "finding"}, hint{"Tab", "next evidence"})
	}
	return append(h, hint{"w", "record"}, hint{"?", "keys"}, hint{"Esc", "back"})
}

func (x *steps) press(m *Model, k tea.KeyPressMsg) tea.Cmd {
	l := m.ladder(x.pair)
	if l == nil || len(l.Steps) == 0 {
		return nil
	}
	x.follow(m, l)
	page := max(m.height/3, 1)
	switch {
	case key.Matches(k, keys.up):
		x.choose(l, x.place-1)
	case key.Matches(k, keys.down):
		x.choose(l, x.place+1)
	case key.Matches(k, keys.pageUp):
		x.choose(l, x.place-page)
	case key.Matches(k, keys.pageDown):
		x.choose(l, x.place+page)
	case key.Matches(k, keys.top):
		x.choose(l, 0)
	case key.Matches(k, keys.bottom):
		x.choose(l, len(l.Steps)-1)
	case key.Matches(k, keys.next):
		x.choose(l, nextEvidence(l, x.place))
	case key.Matches(k, keys.open):
		m.push(newMessage(l, &l.Steps[x.place]))
	case key.Matches(k, keys.finding):
		openFinding(m, m.snap.row(x.subject))
	}
	return nil
}

// nextEvidence returns the next step after that place that is evidence of a
// finding, going round; the place itself where there is none.
func nextEvidence(l *ladder.Ladder, place int) int {
	for i := range l.Steps {
		if n := (place + 1 + i) % len(l.Steps); len(l.Steps[n].Marks) > 0 {
			return n
		}
	}
	return place
}

// follow finds the selected step again after the ladder has grown; at first it
// selects the step that tells most.
func (x *steps) follow(m *Model, l *ladder.Ladder) {
	if !x.began {
		x.began = true
		x.choose(l, telling(l, m.options.Still))
		return
	}
	if x.last {
		x.choose(l, len(l.Steps)-1)
		return
	}
	for i := range l.Steps {
		if l.Steps[i].ID == x.selected {
			x.place = i
			return
		}
	}
	x.choose(l, x.place)
}

// telling is the first step that did not get to the other host: one of which
// that is certain, if there is one. Else it is the latest step, or the first one
// where nothing more comes.
func telling(l *ladder.Ladder, still bool) int {
	best := -1
	for i := range l.Steps {
		s := &l.Steps[i]
		switch {
		case !s.Fate.Dead() || s.From.Host == s.To.Host:
		case s.Confidence == rules.Certain:
			return i
		case best < 0:
			best = i
		}
	}
	switch {
	case best >= 0:
		return best
	case still:
		return 0
	}
	return len(l.Steps) - 1
}

func (x *steps) choose(l *ladder.Ladder, place int) {
	x.place = max(min(place, len(l.Steps)-1), 0)
	x.last = x.place == len(l.Steps)-1
	x.selected = l.Steps[x.place].ID
}

// beside is from how many columns on there is room for a message beside the
// ladder; else what is known of a step goes below.
const beside = 160

// A ladder is drawn no wider than it is easily read, and no narrower than it can
// be drawn at all: a smaller terminal shows its left part.
const (
	ladderWidth = 110
	leastLadder = 60
)

func (x *steps) lines(m *Model, width, height int) []string {
	l := m.ladder(x.pair)
	switch {
	case l == nil && m.snap.row(x.subject) == nil:
		return []string{"", " This pair is forgotten."}
	case l == nil:
		return []string{"", " …"} // it comes with the next picture
	case len(l.Steps) == 0:
		return []string{"", " Of this pair nothing was kept."}
	}
	x.follow(m, l)
	if width >= beside {
		left := min(ladderWidth, width*3/5)
		text := stepText(l, &l.Steps[x.place], width-left-2)
		return sideBySide(x.draw(l, left, height, true), text, left, height)
	}
	below := min(max(height/4, 3), 12)
	if height < 10 {
		below = 0
	}
	lines := x.draw(l, width, height-below, true)
	for len(lines) < height-below {
		lines = append(lines, "")
	}
	if below == 0 {
		return lines
	}
	return append(lines, x.about(l, width, below)...)
}

// glimpse draws the ladder as it is shown below the list: with what is found
// beside it, where there is room.
func (x *steps) glimpse(m *Model, width, height int) []string {
	l := m.ladder(x.pair)
	if l == nil || len(l.Steps) == 0 {
		return nil
	}
	x.follow(m, l)
	r := m.snap.row(x.subject)
	if width < beside || r == nil || len(r.Findings) == 0 {
		return x.draw(l, min(width, ladderWidth), height, false)
	}
	left := min(ladderWidth, width*3/5)
	var b bytes.Buffer
	_ = report.One(&b, *m.snap.worst(r), m.snap.Findings, prose(width-left-2)) // a buffer takes all
	return sideBySide(x.draw(l, left, height, false), b.String(), left, height)
}

// about is what is known of the selected step, in a few lines.
func (x *steps) about(l *ladder.Ladder, width, height int) []string {
	s := &l.Steps[x.place]
	var b bytes.Buffer
	text := strings.Join(append([]string{s.Label + dash(s.Why)}, s.Detail...), "\n")
	_ = report.Prose(&b, strings.ReplaceAll(text, "\n", "\n\n"), report.Options{Width: prose(width).Width}) // a buffer takes all
	lines := []string{faint.Render(strings.Repeat("─", width))}
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimRight(line, "\n"); line != "" && len(lines) < height {
			lines = append(lines, " "+line)
		}
	}
	return lines
}

func dash(s string) string {
	if s == "" {
		return ""
	}
	return " – " + s
}

// stepText is all that is known of a step.
func stepText(l *ladder.Ladder, s *ladder.Step, width int) string {
	var b bytes.Buffer
	_ = report.Step(&b, l, s, prose(width)) // a buffer takes all
	return b.String()
}

// sideBySide sets lines and text beside one another.
func sideBySide(left []string, text string, width, height int) []string {
	right := strings.Split(text, "\n")
	lines := make([]string, 0, height)
	for i := range height {
		line := ""
		if i < len(left) {
			line = left[i]
		}
		line = fit(line, width) + " " + faint.Render("│") + " "
		if i < len(right) {
			line += right[i]
		}
		lines = append(lines, line)
	}
	return lines
}

// draw returns the ladder around the selected step, which is shown as such where
// keys can move it.
func (x *steps) draw(l *ladder.Ladder, width, height int, movable bool) []string {
	width = max(width, leastLadder)
	if size := [2]int{width, height}; x.size != size {
		x.size, x.offset = size, 0
	}
	x.drawn.make(l, width)
	room := max(height-len(x.drawn.head), 1)
	x.scroll(room)
	lines := make([]string, 0, height)
	for i := range x.drawn.head {
		lines = append(lines, bold.Render(x.drawn.head[i].Text))
	}
	for i := x.offset; i < len(x.drawn.body) && len(lines) < height; i++ {
		line := &x.drawn.body[i]
		lines = append(lines, ladderLine(line, width, movable && line.Step == x.place))
	}
	return lines
}

func (d *drawing) make(l *ladder.Ladder, width int) {
	if d.of == l && d.width == width {
		return
	}
	*d = drawing{of: l, width: width}
	for _, line := range ladder.Text(l, ladder.TextOptions{
		Width: width, Indent: 1, Clean: clean, Columns: ansi.StringWidth,
	}) {
		if line.Step < 0 && len(d.body) == 0 {
			d.head = append(d.head, line)
		} else {
			d.body = append(d.body, line)
		}
	}
}

// scroll moves the ladder as little as is needed to show the selected step, and
// a line on either side of it.
func (x *steps) scroll(room int) {
	first, last := -1, 0
	for i := range x.drawn.body {
		if x.drawn.body[i].Step == x.place {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	x.offset = min(x.offset, max(first-1, 0))
	x.offset = max(x.offset, last+2-room)
	x.offset = max(min(x.offset, len(x.drawn.body)-room), 0)
}

func ladderLine(line *ladder.Line, width int, selected bool) string {
	style := ordinary
	if line.Dead {
		style = red
	}
	switch {
	case selected && line.Time > 0:
		return style.Reverse(true).Render(cursor + strings.TrimPrefix(fit(line.Text, width), " "))
	case selected:
		return style.Reverse(true).Render(fit(line.Text, width))
	}
	return faint.Render(line.Text[:line.Time]) + style.Render(line.Text[line.Time:])
}

// message shows one step in full, as it was when it was opened.
type message struct {
	l    *ladder.Ladder
	step *ladder.Step
	pane pane
}

func newMessage(l *ladder.Ladder, s *ladder.Step) *message { return &message{l: l, step: s} }

func (x *message) focus() analyze.PairKey { return x.l.Pair }

func (x *message) title(*Model) string { return "message" + x.pane.place() }

func (x *message) hints(*Model) []hint {
	return []hint{{"↑↓", "scroll"}, {"w", "record"}, {"?", "keys"}, {"Esc", "back"}}
}

func (x *message) press(_ *Model, k tea.KeyPressMsg) tea.Cmd {
	x.pane.press(k)
	return nil
}

func (x *message) lines(_ *Model, width, height int) []string {
	return x.pane.lines(stepText(x.l, x.step, width), width, height)
}

// decisive returns the ladders to draw under findings.
func (m *Model) decisive(f *rules.Finding) *ladder.Ladder { return m.snap.Decisive[f.ID] }
