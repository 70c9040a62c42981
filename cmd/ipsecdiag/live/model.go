package live

import (
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/report/ladder"
)

// pace is how long the view waits at least between two pictures. What it has not
// changed is not sent to the terminal again.
const pace = 250 * time.Millisecond

// patience is how many times longer than a picture took the view waits for the
// next one, so that a hundred thousand pairs cost a tenth of one processor.
const patience = 10

// screen is one of the things that fill the terminal between the head and the
// foot.
type screen interface {
	// focus is the pair that is looked at closely, zero for none.
	focus() analyze.PairKey
	// title names what is shown.
	title(m *Model) string
	// press handles a key that does not do the same everywhere.
	press(m *Model, k tea.KeyPressMsg) tea.Cmd
	// lines draws at most that many lines.
	lines(m *Model, width, height int) []string
	// hints are the keys to be named in the foot.
	hints(m *Model) []hint
}

// hint is a key with what it does, in a word or two.
type hint struct{ key, does string }

// Model is the state of the view (the M of Bubble Tea's model, update, view).
type Model struct {
	source  Source
	options Options
	snap    *Snapshot
	width   int
	height  int
	screens []screen        // the one that is seen last
	said    string          // answer to the last key, until the next one
	noted   int             // notes that had been shown when a key was last pressed
	asked   analyze.PairKey // whose ladder the next picture is to have
}

// New returns a view of what source gives, which begins with the list of pairs.
func New(source Source, o Options) *Model {
	return &Model{source: source, options: o, snap: &Snapshot{}, screens: []screen{newPairs()}}
}

// The messages that Update gets besides Bubble Tea's own.
type (
	tookMsg struct {
		snap *Snapshot
		next time.Duration // when to take the next; 0 where another one will come anyhow
	}
	takeMsg struct{}
	saidMsg string
)

// Init takes the first picture.
func (m *Model) Init() tea.Cmd { return m.take(true) }

// take takes a picture; the regular one is followed by another.
func (m *Model) take(regular bool) tea.Cmd {
	source, focus := m.source, m.asked
	return func() tea.Msg {
		began := time.Now()
		t := tookMsg{snap: source.Take(focus)}
		if regular {
			t.next = max(pace, patience*time.Since(began))
		}
		return t
	}
}

// Update changes the view as a message asks. Where another pair is looked at
// then, its ladder is asked for at once.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.update(msg)
	if p, ok := m.top().(*pairs); ok {
		p.look(m)
	}
	focus := m.focus()
	if focus == m.asked {
		return m, cmd
	}
	if m.asked = focus; focus != (analyze.PairKey{}) {
		cmd = tea.Batch(cmd, m.take(false))
	}
	return m, cmd
}

// focus is the pair that is looked at closely: by the screen that is seen, or by
// the one that the help or an explanation covers.
func (m *Model) focus() analyze.PairKey {
	for i := len(m.screens) - 1; i >= 0; i-- {
		if k := m.screens[i].focus(); k != (analyze.PairKey{}) {
			return k
		}
	}
	return analyze.PairKey{}
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tookMsg:
		return m.took(msg)
	case takeMsg:
		return m.take(true)
	case saidMsg:
		m.said = string(msg)
	case tea.KeyPressMsg:
		return m.press(msg)
	}
	return nil
}

// took shows a picture, and has the next one taken while there is something to
// come.
func (m *Model) took(t tookMsg) tea.Cmd {
	m.snap = t.snap
	if m.options.Still || t.next == 0 || t.snap.Status.Ended != "" {
		return nil
	}
	return tea.Tick(t.next, func(time.Time) tea.Msg { return takeMsg{} })
}

// ladder returns the ladder of a pair, nil where the picture has another's.
func (m *Model) ladder(pair analyze.PairKey) *ladder.Ladder {
	if m.snap.Focus == pair {
		return m.snap.Ladder
	}
	return nil
}

// press handles a key: what does the same everywhere here, the rest in the
// screen that is seen.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	m.said, m.noted = "", len(m.snap.Status.Notes)
	top := m.top()
	if p, ok := top.(*pairs); ok && p.typing {
		return p.typed(m, k)
	}
	switch {
	case key.Matches(k, keys.quit):
		return tea.Quit
	case key.Matches(k, keys.suspend):
		return tea.Suspend
	case key.Matches(k, keys.back) && len(m.screens) > 1:
		m.screens = m.screens[:len(m.screens)-1]
		return nil
	case k.String() == "q":
		return tea.Quit
	case key.Matches(k, keys.record):
		return m.record
	case key.Matches(k, keys.help):
		if _, open := top.(*help); !open {
			m.push(newHelp(m))
		}
		return nil
	}
	return top.press(m, k)
}

// record starts or stops the recording, and says so.
func (m *Model) record() tea.Msg {
	if m.options.Still {
		return saidMsg("this is read from a file: there is nothing to record")
	}
	said, err := m.source.Record()
	if err != nil {
		return saidMsg("not recording: " + err.Error())
	}
	return saidMsg(said)
}

func (m *Model) top() screen { return m.screens[len(m.screens)-1] }

func (m *Model) push(s screen) { m.screens = append(m.screens, s) }

// View draws the screen.
func (m *Model) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	if m.width > 0 && m.height > 0 {
		v.Content = strings.Join(m.draw(), "\n")
	}
	if m.options.ASCII {
		v.Content = asASCII(v.Content)
	}
	return v
}
