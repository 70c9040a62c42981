package live

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"ipsecdiag/analyze"
)

// pairs is the list of pairs, worst first.
type pairs struct {
	selected string // subject of the row, so that it stays when rows move
	place    int    // of that row when it was last seen
	offset   int    // first row on the screen
	size     [2]int // that the list was drawn at last
	filter   textinput.Model
	typing   bool

	snap  *Snapshot // that shown was made of
	words string    // the filter that it was made with
	shown []*Row

	preview *steps // ladder of the selected pair, nil where there is no room for it
}

func newPairs() *pairs {
	filter := textinput.New()
	filter.Prompt = " / "
	filter.CharLimit = 200
	filter.SetVirtualCursor(true)
	styles := filter.Styles()
	styles.Cursor.Blink = false // a cursor that blinks is sent over SSH for ever
	filter.SetStyles(styles)
	return &pairs{filter: filter}
}

func (p *pairs) title(m *Model) string {
	rows := p.rows(m.snap)
	text := count(len(m.snap.Rows), "pair")
	if p.words != "" {
		text = fmt.Sprintf("%d of %s match %q", len(rows), text, p.words)
	}
	if m.snap.Hidden > 0 {
		text += fmt.Sprintf(", %d more have no room", m.snap.Hidden)
	}
	sum := &m.snap.Summary
	if m.width >= wide {
		text += fmt.Sprintf("; %s, %s", count(sum.IKEMessages, "IKE message"), count(int(sum.ESPPackets), "ESP or AH packet"))
	}
	if len(sum.Losses) > 0 {
		text += "; not all was seen: " + clean(sum.Losses[len(sum.Losses)-1].What)
	}
	return text
}

func (p *pairs) hints(*Model) []hint {
	if p.typing {
		return []hint{{"Enter", "keep the filter"}, {"Esc", "show all"}}
	}
	h := []hint{{"↑↓", "move"}, {"Enter", "ladder"}, {"f", "finding"}, {"/", "filter"}, {"w", "record"}, {"?", "keys"}, {"q", "quit"}}
	if p.words != "" {
		h = append(h, hint{"Esc", "show all"})
	}
	return h
}

// rows returns the rows that the filter lets through.
func (p *pairs) rows(s *Snapshot) []*Row {
	words := strings.TrimSpace(p.filter.Value())
	if p.snap == s && p.words == words {
		return p.shown
	}
	p.snap, p.words, p.shown = s, words, nil
	wanted := strings.Fields(strings.ToLower(words))
	for i := range s.Rows {
		if s.Rows[i].matches(s, wanted) {
			p.shown = append(p.shown, &s.Rows[i])
		}
	}
	p.follow()
	return p.shown
}

// matches reports whether all the words are in what the row says.
func (r *Row) matches(s *Snapshot, words []string) bool {
	if len(words) == 0 {
		return true
	}
	parts := []string{r.Subject, r.Neighbor.Text, r.IKE.Text, r.SAs.Text, r.standing.word()}
	parts = append(parts, r.Seen...)
	for _, i := range r.Findings {
		f := &s.Findings[i]
		parts = append(parts, f.Rule, f.Title, f.Severity.String(), f.State.String(), f.Confidence.String())
	}
	text := strings.ToLower(strings.Join(parts, " "))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// follow finds the selected row again, after rows came, went or moved.
func (p *pairs) follow() {
	for i, r := range p.shown {
		if r.Subject == p.selected {
			p.place = i
			return
		}
	}
	p.choose(p.place)
}

// choose selects the row at that place, or the nearest one that there is.
func (p *pairs) choose(place int) {
	p.place = max(min(place, len(p.shown)-1), 0)
	p.selected = ""
	if p.place < len(p.shown) {
		p.selected = p.shown[p.place].Subject
	}
}

// row returns the selected row, nil where the list is empty.
func (p *pairs) row(s *Snapshot) *Row {
	if rows := p.rows(s); p.place < len(rows) {
		return rows[p.place]
	}
	return nil
}

func (p *pairs) press(m *Model, k tea.KeyPressMsg) tea.Cmd {
	p.rows(m.snap)
	page := max(m.height-headLines-footLines-1, 1)
	switch {
	case key.Matches(k, keys.up):
		p.choose(p.place - 1)
	case key.Matches(k, keys.down):
		p.choose(p.place + 1)
	case key.Matches(k, keys.pageUp):
		p.choose(p.place - page)
	case key.Matches(k, keys.pageDown):
		p.choose(p.place + page)
	case key.Matches(k, keys.top):
		p.choose(0)
	case key.Matches(k, keys.bottom):
		p.choose(len(p.shown) - 1)
	case key.Matches(k, keys.filter):
		p.typing = true
		return p.filter.Focus()
	case k.String() == "esc":
		p.filter.SetValue("")
	case key.Matches(k, keys.open):
		p.open(m)
	case key.Matches(k, keys.finding):
		openFinding(m, p.row(m.snap))
	}
	return nil
}

// typed handles a key while the filter is being written.
func (p *pairs) typed(m *Model, k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return tea.Quit
	case "esc":
		p.filter.SetValue("")
		fallthrough
	case "enter", "up", "down":
		p.typing = false
		p.filter.Blur()
		return nil
	}
	var cmd tea.Cmd
	p.filter, cmd = p.filter.Update(k)
	p.rows(m.snap)
	return cmd
}

// open shows what is behind the selected row: a pair's ladder, a host's
// finding.
func (p *pairs) open(m *Model) {
	switch r := p.row(m.snap); {
	case r == nil:
	case r.Pair == analyze.PairKey{}:
		openFinding(m, r)
	default:
		m.push(newSteps(r))
	}
}

// focus is the selected pair where there is room to show its ladder below.
func (p *pairs) focus() analyze.PairKey {
	if p.preview == nil {
		return analyze.PairKey{}
	}
	return p.preview.pair
}

// The size from which on the selected pair's ladder is shown below the list.
const (
	previewWidth  = 100
	previewHeight = 36
)

// look chooses whose ladder is shown below the list.
func (p *pairs) look(m *Model) {
	r := p.row(m.snap)
	switch {
	case r == nil || r.Pair == analyze.PairKey{} || m.width < previewWidth || m.height < previewHeight:
		p.preview = nil
	case p.preview == nil || p.preview.pair != r.Pair:
		p.preview = newSteps(r)
	}
}
