package live

import (
	"bytes"
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

// finding shows one finding of a row with its evidence and what to do.
type finding struct {
	subject string
	pair    analyze.PairKey // zero where the subject is no pair
	id      string          // of the finding that is shown
	place   int             // among the row's, from 0
	of      int
	pane    pane
}

func newFinding(r *Row) *finding { return &finding{subject: r.Subject, pair: r.Pair} }

func (f *finding) focus() analyze.PairKey { return f.pair }

func (f *finding) title(m *Model) string {
	f.find(m.snap)
	if f.of > 1 {
		return fmt.Sprintf("finding %d of %d", f.place+1, f.of) + f.pane.place()
	}
	return "finding" + f.pane.place()
}

func (f *finding) hints(*Model) []hint {
	h := []hint{{"↑↓", "scroll"}}
	if f.of > 1 {
		h = append(h, hint{"Tab", "next finding"})
	}
	return append(h, hint{"e", "explain"}, hint{"w", "record"}, hint{"?", "keys"}, hint{"Esc", "back"})
}

// find returns the finding that is shown as it is now, nil where its row is
// gone. It stays the same one while others come and go.
func (f *finding) find(s *Snapshot) *rules.Finding {
	r := s.row(f.subject)
	if r == nil || len(r.Findings) == 0 {
		return nil
	}
	f.of = len(r.Findings)
	for i, at := range r.Findings {
		if s.Findings[at].ID == f.id {
			f.place = i
			return &s.Findings[at]
		}
	}
	f.place = min(f.place, f.of-1)
	found := &s.Findings[r.Findings[f.place]]
	f.id = found.ID
	return found
}

func (f *finding) press(m *Model, k tea.KeyPressMsg) tea.Cmd {
	found := f.find(m.snap)
	switch {
	case found == nil:
	case key.Matches(k, keys.next):
		r := m.snap.row(f.subject)
		f.place = (f.place + 1) % f.of
		f.id = m.snap.Findings[r.Findings[f.place]].ID
		f.pane.top()
	case key.Matches(k, keys.explain):
		m.push(newExplanation(m, found.Rule))
	default:
		f.pane.press(k)
	}
	return nil
}

func (f *finding) lines(m *Model, width, height int) []string {
	found := f.find(m.snap)
	if found == nil {
		return []string{"", " This pair is forgotten, and its findings with it."}
	}
	var b bytes.Buffer
	o := prose(width)
	if o.Width >= leastLadder {
		o.Ladder = m.decisive
	}
	if err := report.One(&b, *found, m.snap.Findings, o); err != nil {
		return []string{err.Error()}
	}
	return f.pane.lines(b.String(), width, height)
}

// openFinding shows what is found about a row, if anything.
func openFinding(m *Model, r *Row) {
	switch {
	case r == nil:
	case len(r.Findings) == 0:
		m.said = "nothing is found about " + clean(r.Subject)
	default:
		m.push(newFinding(r))
	}
}

// prose fits text to a screen: longer lines are hard to read, and shorter ones
// are cut where the terminal ends.
func prose(width int) report.Options {
	return report.Options{Width: max(min(width-2, 110), 20), Color: true}
}

// explanation shows what a rule is about.
type explanation struct {
	rule string
	pane pane
}

func newExplanation(_ *Model, rule string) *explanation { return &explanation{rule: rule} }

func (e *explanation) focus() analyze.PairKey { return analyze.PairKey{} }

func (e *explanation) title(*Model) string { return "explanation" + e.pane.place() }

func (e *explanation) hints(*Model) []hint {
	return []hint{{"↑↓", "scroll"}, {"?", "keys"}, {"Esc", "back"}}
}

func (e *explanation) press(_ *Model, k tea.KeyPressMsg) tea.Cmd {
	e.pane.press(k)
	return nil
}

func (e *explanation) lines(m *Model, width, height int) []string {
	var b bytes.Buffer
	for _, r := range m.options.Rules {
		if r.ID == e.rule {
			_ = report.Rule(&b, r, prose(width)) // a buffer takes all
		}
	}
	return e.pane.lines(strings.TrimRight(b.String(), "\n"), width, height)
}
