package live

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"
)

// pane shows text that may be longer and wider than the screen. Its zero value
// is ready.
type pane struct {
	view  viewport.Model
	text  string
	ready bool
}

// lines draws the text, which is clean and may hold styles.
func (p *pane) lines(text string, width, height int) []string {
	if !p.ready {
		p.view, p.ready = viewport.New(), true
	}
	p.view.SetWidth(width)
	p.view.SetHeight(height)
	if text != p.text || p.view.TotalLineCount() == 0 {
		p.text = text
		p.view.SetContent(indent(text))
	}
	return strings.Split(p.view.View(), "\n")
}

// indent sets a margin.
func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return " " + strings.Join(lines, "\n ")
}

// place tells how far down the screen is, where there is more than one screen.
func (p *pane) place() string {
	switch {
	case !p.ready, p.view.TotalLineCount() <= p.view.Height():
		return ""
	case p.view.AtTop():
		return ", top"
	case p.view.AtBottom():
		return ", end"
	}
	return fmt.Sprintf(", %.0f %%", 100*p.view.ScrollPercent())
}

func (p *pane) top() {
	p.view.GotoTop()
	p.view.SetXOffset(0)
}

// sideways is how many columns one key moves long lines.
const sideways = 20

func (p *pane) press(k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keys.up):
		p.view.ScrollUp(1)
	case key.Matches(k, keys.down):
		p.view.ScrollDown(1)
	case key.Matches(k, keys.pageUp):
		p.view.PageUp()
	case key.Matches(k, keys.pageDown):
		p.view.PageDown()
	case key.Matches(k, keys.top):
		p.view.GotoTop()
	case key.Matches(k, keys.bottom):
		p.view.GotoBottom()
	case key.Matches(k, keys.left):
		p.view.ScrollLeft(sideways)
	case key.Matches(k, keys.right):
		p.view.ScrollRight(sideways)
	}
}
