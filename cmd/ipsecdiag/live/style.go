package live

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

// The styles. They use the terminal's own sixteen colours, so that they suit its
// background, and nothing is said by colour alone.
var (
	bold     = lipgloss.NewStyle().Bold(true)
	faint    = lipgloss.NewStyle().Faint(true)
	reverse  = lipgloss.NewStyle().Reverse(true)
	red      = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)
	yellow   = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	green    = lipgloss.NewStyle().Foreground(lipgloss.Green)
	cyan     = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	ordinary = lipgloss.NewStyle()
)

func (t Tone) style() lipgloss.Style {
	return [...]lipgloss.Style{ordinary, green, yellow, red}[min(t, Bad)]
}

// mark is a sign of its own shape for each standing, for those who cannot tell
// the colours.
func (s standing) mark() (string, lipgloss.Style) {
	switch s {
	case failing:
		return "✗", red
	case warned:
		return "!", yellow
	case over:
		return "~", ordinary
	case remarked:
		return "i", cyan
	case works:
		return "✓", green
	}
	return "·", faint
}

// findingStyle is that of a finding's severity, while it stands.
func findingStyle(f *rules.Finding) lipgloss.Style {
	switch {
	case f.State == rules.Resolved:
		return green
	case f.Severity == rules.Error:
		return red
	case f.Severity == rules.Warning:
		return yellow
	}
	return cyan
}

// fit cuts a line, or fills it, to that many columns.
func fit(s string, columns int) string {
	s = cut(s, columns)
	return s + strings.Repeat(" ", max(columns-ansi.StringWidth(s), 0))
}

// cut cuts a line to at most that many columns.
func cut(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	return ansi.Truncate(s, columns, "…")
}

// right sets a short text at the right of its columns.
func right(s string, columns int) string {
	s = cut(s, columns)
	return strings.Repeat(" ", max(columns-ansi.StringWidth(s), 0)) + s
}

// between sets one text at the left end of a line and one at the right, which is
// left out where there is no room.
func between(left, end string, columns int) string {
	if gap := columns - ansi.StringWidth(left) - ansi.StringWidth(end); gap > 0 {
		return left + strings.Repeat(" ", gap) + end
	}
	return fit(left, columns)
}

// clean makes what may have been captured safe to be shown.
func clean(s string) string { return report.Clean(s) }
