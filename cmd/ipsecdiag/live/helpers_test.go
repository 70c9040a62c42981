package live

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/capture"
	"ipsecdiag/fixtures/crowd"
	"ipsecdiag/rules"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const fixtures = "../../../fixtures"

// fixed is a source that gives what its feed knows.
type fixed struct {
	*Feed
	status   Status
	recorded int
}

func (f *fixed) Take(focus analyze.PairKey) *Snapshot {
	s := f.Feed.Take(focus)
	s.Status = f.status
	return s
}

func (f *fixed) Record() (string, error) {
	f.recorded++
	return "recording to it.pcapng", nil
}

// replay folds files into a source.
func replay(t testing.TB, paths ...string) *fixed {
	t.Helper()
	for i, p := range paths {
		paths[i] = filepath.Join(fixtures, p)
	}
	return fold(t, capture.FileOptions{}, paths...)
}

// crowded returns a source of n pairs.
func crowded(t testing.TB, n int) *fixed {
	t.Helper()
	var b bytes.Buffer
	if err := crowd.Write(&b, fixtures, n); err != nil {
		t.Fatal(err)
	}
	return fold(t, capture.FileOptions{Stdin: &b}, "-")
}

func fold(t testing.TB, o capture.FileOptions, paths ...string) *fixed {
	t.Helper()
	engine := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	engine.Timeline = timeline.New(timeline.Limits{})
	f := &fixed{Feed: NewFeed(engine)}
	for e, err := range capture.Files(context.Background(), paths, o) {
		if err != nil {
			t.Fatal(err)
		}
		engine.Apply(e)
		f.Saw(e)
	}
	return f
}

// open returns a view of a source in a terminal of that size.
func open(source Source, width, height int, still bool) *Model {
	m := New(source, Options{Title: "eth0 on glass", Still: still, Rules: rules.All})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	look(m)
	return m
}

// special are the keys that are no letters.
var special = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
	"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "left": tea.KeyLeft, "right": tea.KeyRight,
}

// press sends keys, parted by spaces, carries out what they ask for, and reports
// whether that was to quit.
func press(m *Model, sequence string) (quit bool) {
	for _, k := range strings.Fields(sequence) {
		msg := tea.KeyPressMsg{Code: special[k]}
		if msg.Code == 0 {
			msg = tea.KeyPressMsg{Code: []rune(k)[0], Text: k}
		}
		_, cmd := m.Update(msg)
		if cmd == nil {
			continue
		}
		if carryOut(m, cmd) {
			return true
		}
		settle(m)
	}
	return false
}

// carryOut does what a command asks for and reports whether that was to quit.
// What is to be waited for does not happen.
func carryOut(m *Model, cmd tea.Cmd) (quit bool) {
	switch answer := cmd().(type) {
	case tea.QuitMsg:
		return true
	case tea.BatchMsg:
		for _, c := range answer {
			if c != nil && carryOut(m, c) {
				return true
			}
		}
	case saidMsg, tookMsg:
		m.Update(answer)
	}
	return false
}

// look takes a picture, as the view does by itself, and another one where that
// makes it look at another pair.
func look(m *Model) {
	m.Update(m.take(true)())
	settle(m)
}

func settle(m *Model) {
	if m.asked != m.snap.Focus {
		m.Update(m.take(false)())
	}
}

// screenOf returns what is seen, without styles.
func screenOf(m *Model) string {
	lines := strings.Split(ansi.Strip(m.View().Content), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as expected (go test ./cmd/ipsecdiag/live -update); got\n%s\nwant\n%s", name, got, want)
	}
}
