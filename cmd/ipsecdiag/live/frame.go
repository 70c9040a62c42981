package live

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/rules"
)

// The lines above and below a screen.
const (
	headLines = 2
	footLines = 2
)

// draw returns exactly as many lines as the terminal has.
func (m *Model) draw() []string {
	body := max(m.height-headLines-footLines, 1)
	shown := m.top().lines(m, m.width, body) // before the head, which tells of it
	lines := append(m.head(), shown...)
	for len(lines) < headLines+body {
		lines = append(lines, "")
	}
	lines = append(lines[:headLines+body], m.note(), m.foot())
	if len(lines) > m.height { // a terminal of four lines or fewer
		lines = lines[len(lines)-m.height:]
	}
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], m.width, "…")
	}
	return lines
}

// head tells what is shown and what is wrong.
func (m *Model) head() []string {
	what := " ipsecdiag  " + clean(m.options.Title)
	clock := ""
	for _, clock = range m.clocks() {
		if ansi.StringWidth(what+clock)+2 <= m.width {
			break
		}
	}
	return []string{
		reverse.Render(between(what, clock+" ", m.width)),
		" " + m.verdict() + faint.Render("  "+m.top().title(m)),
	}
}

// clocks tell the event time, how long it has gone on, and what is being
// recorded; each is shorter than the one before.
func (m *Model) clocks() []string {
	s := m.snap
	if s.Now.IsZero() {
		return []string{"no events yet"}
	}
	elapsed, state, file := s.Elapsed.Truncate(time.Second).String(), "", ""
	if s.Status.Recording != "" {
		state, file = "  ● REC", " "+clean(filepath.Base(s.Status.Recording))
	}
	if s.Status.Ended != "" {
		state += "  ENDED"
	}
	return []string{
		s.Now.Format(time.TimeOnly) + " UTC, " + elapsed + state + file,
		s.Now.Format(time.TimeOnly) + " UTC, " + elapsed + state, elapsed + state,
	}
}

// verdict counts the findings that stand by themselves and are open.
func (m *Model) verdict() string {
	var errors, warnings, over int
	for i := range m.snap.Findings {
		switch f := &m.snap.Findings[i]; {
		case !f.Counts():
		case f.State == rules.Resolved:
			over++
		case f.Severity == rules.Error:
			errors++
		default:
			warnings++
		}
	}
	var parts []string
	if errors > 0 {
		parts = append(parts, red.Render("✗ "+count(errors, "error")))
	}
	if warnings > 0 {
		parts = append(parts, yellow.Render("! "+count(warnings, "warning")))
	}
	switch {
	case len(parts) > 0:
	case m.snap.Summary.Empty():
		parts = append(parts, bold.Render("nothing to judge"))
	default:
		parts = append(parts, bold.Render("nothing wrong"))
	}
	if over > 0 {
		parts = append(parts, fmt.Sprintf("~ %d over", over))
	}
	return strings.Join(parts, ", ")
}

// note is the line above the foot: the answer to a key, or the latest warning
// until a key is pressed, or that nothing more comes.
func (m *Model) note() string {
	notes, text := m.snap.Status.Notes, ""
	switch {
	case m.said != "":
		text = m.said
	case len(notes) > m.noted:
		text = notes[len(notes)-1]
		if more := len(notes) - m.noted - 1; more > 0 {
			text = fmt.Sprintf("%s (and %d more; leaving shows them)", text, more)
		}
	case m.snap.Status.Ended != "":
		text = m.snap.Status.Ended
	default:
		return ""
	}
	return yellow.Render(" " + clean(text))
}

// foot names the keys that matter here; those that find no room are left out,
// the last ones first.
func (m *Model) foot() string {
	line := ""
	for _, h := range m.top().hints(m) {
		item := " " + bold.Render(h.key) + " " + h.does + " "
		if ansi.StringWidth(line+item) > m.width {
			break
		}
		line += item
	}
	return line
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
