package live

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/report"
)

var deadlock = []string{"nd-deadlock-ikev2/glass.pcapng", "nd-deadlock-ikev2/teapot.pcapng"}

func deadlocked(t testing.TB) *fixed { return replay(t, append([]string(nil), deadlock...)...) }

func TestScreens(t *testing.T) {
	sources := map[string]*fixed{
		"deadlock": deadlocked(t), "healthy": replay(t, "healthy-ikev2/glass.pcapng"), "crowd": crowded(t, 1000),
	}
	for _, c := range []struct {
		source, keys, name string
		width, height      int
	}{
		{"deadlock", "", "deadlock-pairs", 80, 24},
		{"deadlock", "", "deadlock-pairs-wide", 200, 50},
		{"deadlock", "enter", "deadlock-ladder", 80, 24},
		{"deadlock", "enter", "deadlock-ladder-wide", 200, 50},
		{"deadlock", "enter end", "deadlock-ladder-end", 80, 24},
		{"deadlock", "enter enter", "deadlock-absent", 80, 24},
		{"deadlock", "enter tab tab enter", "deadlock-acquire", 80, 24},
		{"deadlock", "f", "deadlock-finding", 80, 24},
		{"deadlock", "f end", "deadlock-finding-end", 80, 24},
		{"deadlock", "f tab", "deadlock-next", 80, 24},
		{"deadlock", "f e", "deadlock-explain", 80, 24},
		{"deadlock", "?", "help", 80, 24},
		{"healthy", "", "healthy-pairs", 80, 24},
		{"healthy", "", "healthy-pairs-wide", 200, 50},
		{"healthy", "f", "healthy-finding", 80, 24},
		{"healthy", "enter", "healthy-ladder", 80, 24},
		{"healthy", "enter down down down down down down down down enter", "healthy-message", 80, 60},
		{"crowd", "end enter", "crowd-ladder", 80, 24},
		{"crowd", "", "crowd-pairs", 80, 24},
		{"crowd", "", "crowd-pairs-wide", 200, 50},
		{"crowd", "end", "crowd-end", 80, 24},
		{"crowd", "/ : 3 e 1", "crowd-filter", 80, 24},
		{"crowd", "/ e r r o r enter", "crowd-errors", 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(sources[c.source], c.width, c.height, true)
			press(m, c.keys)
			golden(t, c.name, screenOf(m))
		})
	}
}

// TestFits holds that every screen fills every terminal exactly.
func TestFits(t *testing.T) {
	source := deadlocked(t)
	source.status = Status{Recording: strings.Repeat("long", 60) + ".pcapng", Notes: []string{strings.Repeat("a warning ", 30)}, Ended: "eth0 is gone"}
	for _, keys := range []string{"", "/", "/ x y", "f", "f e", "?", "down", "enter", "enter enter", "enter end tab"} {
		for _, size := range [][2]int{{1, 1}, {3, 2}, {10, 4}, {20, 5}, {40, 10}, {79, 23}, {80, 24}, {119, 30}, {120, 30}, {200, 50}, {300, 100}} {
			m := open(source, size[0], size[1], false)
			press(m, keys)
			lines := strings.Split(m.View().Content, "\n")
			if len(lines) != size[1] {
				t.Errorf("%q at %v: %d lines", keys, size, len(lines))
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > size[0] {
					t.Errorf("%q at %v: %d columns: %q", keys, size, w, l)
				}
			}
		}
	}
}

// TestResize holds that a screen after a change of size is the same as one that
// had that size from the beginning.
func TestResize(t *testing.T) {
	source := crowded(t, 300)
	for _, keys := range []string{"", "down down down", "f", "?", "enter", "enter enter"} {
		resized, fresh := open(source, 200, 50, true), open(source, 80, 24, true)
		press(resized, keys)
		press(fresh, keys)
		for _, size := range [][2]int{{20, 6}, {300, 80}, {80, 24}} {
			resized.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			settle(resized)
			resized.View()
		}
		if got, want := screenOf(resized), screenOf(fresh); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", keys, got, want)
		}
	}
}

// TestWithoutColor holds that nothing is said by style alone: the marks, the
// severities and the selection are there without.
// TestNothingToJudge holds that the view claims nothing of what it did not see.
func TestNothingToJudge(t *testing.T) {
	m := open(crowded(t, 0), 80, 24, true)
	if got := screenOf(m); strings.Contains(got, "nothing wrong") || !strings.Contains(got, "nothing to judge") {
		t.Errorf("got\n%s", got)
	}
}

func TestWithoutColor(t *testing.T) {
	screen := screenOf(open(deadlocked(t), 80, 24, true))
	for _, want := range []string{"✗ 1 error", ">✗ fd00::1 ↔ fd00::2", "ERROR nd-deadlock", "unansw. 9×"} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is not in\n%s", want, screen)
		}
	}
}

// TestASCII holds that a terminal that knows no other characters gets none, in
// the same places.
func TestASCII(t *testing.T) {
	source := deadlocked(t)
	for _, keys := range []string{"", "enter", "enter enter", "f", "?", "/"} {
		m := open(source, 200, 50, true)
		press(m, keys)
		unicode := strings.Split(m.View().Content, "\n")
		m.options.ASCII = true
		for i, line := range strings.Split(m.View().Content, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 || r == '?' && !strings.Contains(unicode[i], "?") }) {
				t.Errorf("%q: %q is not ASCII, or a sign is not known", keys, line)
			}
			if ansi.StringWidth(line) != ansi.StringWidth(unicode[i]) {
				t.Errorf("%q: %q is not as wide as %q", keys, line, unicode[i])
			}
		}
	}
}

func TestSelectionStays(t *testing.T) {
	source := crowded(t, 50)
	m := open(source, 80, 24, false)
	press(m, "down down down")
	list := m.top().(*pairs)
	subject := list.selected
	s := source.Take(analyze.PairKey{})
	s.Rows = append([]Row{{Subject: "new", standing: failing}}, s.Rows...) // a worse one comes
	m.Update(tookMsg{s, pace})
	screenOf(m)
	if list.selected != subject || list.row(m.snap).Subject != subject {
		t.Errorf("selected is %q, want %q", list.selected, subject)
	}
	s = source.Take(analyze.PairKey{})
	s.Rows = s.Rows[:2] // it goes, and most others
	m.Update(tookMsg{s, pace})
	if screenOf(m); list.row(m.snap) == nil || list.place != 1 {
		t.Errorf("place is %d", list.place)
	}
	m.Update(tookMsg{&Snapshot{}, pace})
	if screenOf(m); list.row(m.snap) != nil {
		t.Errorf("something is selected in an empty list")
	}
	if press(m, "up down end enter f pgdown"); len(m.screens) != 1 {
		t.Errorf("an empty list opens something")
	}
}

func TestBackAndQuit(t *testing.T) {
	m := open(deadlocked(t), 80, 24, true)
	for _, c := range []struct {
		keys    string
		screens int
		quit    bool
	}{
		{"f", 2, false}, {"e", 3, false}, {"?", 4, false}, {"?", 4, false}, {"q", 3, false},
		{"esc", 2, false}, {"q", 1, false}, {"esc", 1, false}, {"/ q esc", 1, false}, {"q", 1, true},
	} {
		if quit := press(m, c.keys); quit != c.quit || len(m.screens) != c.screens {
			t.Errorf("%q: %d screens, quit %v; want %d, %v", c.keys, len(m.screens), quit, c.screens, c.quit)
		}
	}
	for _, keys := range []string{"", "f", "/", "?"} {
		press(m, keys)
		if _, cmd := m.Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}); cmd == nil || cmd() != (tea.QuitMsg{}) {
			t.Errorf("Ctrl-C does not quit after %q", keys)
		}
	}
}

// TestLadderGrows holds that a selected step stays selected as more come, and
// that the latest stays the latest.
func TestLadderGrows(t *testing.T) {
	w := newWire()
	exchange := func(seconds float64) {
		w.flow(seconds, "fd00::1", "fd00::2", uint32(seconds*10), 1, uint32(seconds*10))
		w.flow(seconds+0.1, "fd00::2", "fd00::1", uint32(seconds*10), 1, uint32(seconds*10))
	}
	exchange(1)
	m := open(&fixed{Feed: w.feed}, 80, 24, false)
	press(m, "enter")
	x := m.top().(*steps)
	screenOf(m)
	if n := len(m.snap.Ladder.Steps); n != 2 || x.place != n-1 {
		t.Fatalf("step %d of %d is selected", x.place, n)
	}
	w.apply(&analyze.NeighborChange{Header: w.at(1.5), Neighbor: analyze.Neighbor{Addr: netip.MustParseAddr("fd00::9")}})
	exchange(200)
	look(m)
	screenOf(m)
	if n := len(m.snap.Ladder.Steps); x.place != n-1 {
		t.Errorf("step %d of %d is selected", x.place, n)
	}
	press(m, "home")
	exchange(400)
	look(m)
	if screenOf(m); x.place != 0 {
		t.Errorf("step %d is selected", x.place)
	}
}

func TestRecordKey(t *testing.T) {
	source := deadlocked(t)
	m := open(source, 80, 24, false)
	press(m, "w")
	if !strings.Contains(screenOf(m), "recording to it.pcapng") || source.recorded != 1 {
		t.Errorf("recorded %d times, the screen is\n%s", source.recorded, screenOf(m))
	}
	source.status.Recording = "/tmp/it.pcapng"
	look(m)
	press(m, "f") // it is seen on every screen
	if !strings.Contains(screenOf(m), "● REC it.pcapng") {
		t.Errorf("the screen is\n%s", screenOf(m))
	}
	press(m, "q / w esc")
	if source.recorded != 1 {
		t.Errorf("a letter of the filter began a recording")
	}
	still := open(source, 80, 24, true)
	if press(still, "w"); source.recorded != 1 || !strings.Contains(screenOf(still), "nothing to record") {
		t.Errorf("recorded %d times, the screen is\n%s", source.recorded, screenOf(still))
	}
}

// TestNotes holds that a warning stands inside the screen until a key is
// pressed.
func TestNotes(t *testing.T) {
	source := deadlocked(t)
	m := open(source, 80, 24, false)
	source.status.Notes = []string{"first warning", "second warning"}
	look(m)
	if s := screenOf(m); !strings.Contains(s, "second warning (and 1 more") {
		t.Errorf("the screen is\n%s", s)
	}
	press(m, "down")
	if s := screenOf(m); strings.Contains(s, "warning") {
		t.Errorf("the screen is\n%s", s)
	}
	source.status.Ended = "eth0 is gone; nothing more comes"
	if _, cmd := m.Update(m.take(true)()); cmd != nil {
		t.Error("it goes on asking after the end")
	}
	if s := screenOf(m); !strings.Contains(s, "eth0 is gone") || !strings.Contains(s, "ENDED") {
		t.Errorf("the screen is\n%s", s)
	}
}

// same is a source of one picture.
type same struct{ s *Snapshot }

func (x same) Take(analyze.PairKey) *Snapshot { return x.s }
func (x same) Record() (string, error)        { return "", nil }

// TestHostile puts escape sequences into everything that can be captured or
// named by others: no screen may let them through.
func TestHostile(t *testing.T) {
	const evil = "\x1b]0;owned\x07\u202e\x9b31m\r\xff"
	s := deadlocked(t).Take(analyze.MakePairKey(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")))
	for i := range s.Ladder.Steps {
		step := &s.Ladder.Steps[i]
		step.Label, step.Why, step.Detail = evil, evil, []string{evil}
		for j := range step.Seen {
			step.Seen[j].Origin = evil
		}
	}
	s.Ladder.Hosts[0].Name = evil
	for i := range s.Findings {
		f := &s.Findings[i]
		f.Title, f.Explanation, f.Origins = evil, evil, []string{evil}
		f.Evidence[0].Text, f.Evidence[0].Origin = evil, evil
	}
	s.Rows[0].Neighbor.Text, s.Rows[0].IKE.Text, s.Rows[0].Seen = evil, evil, []string{evil}
	s.Rows = append(s.Rows, Row{Subject: evil, Findings: []int{0}})
	s.Summary.Losses = []report.Loss{{What: evil}}
	s.Status = Status{Recording: evil, Notes: []string{evil}, Ended: evil}
	for _, width := range []int{80, 200} {
		for _, keys := range []string{"", "f", "f tab", "end f", "end", "enter", "enter enter"} {
			m := New(same{s}, Options{Title: evil})
			m.Update(tea.WindowSizeMsg{Width: width, Height: 40})
			m.Update(tookMsg{s, pace})
			press(m, keys)
			text := strings.ReplaceAll(screenOf(m), "\n", "")
			if text != report.Clean(text) {
				t.Errorf("%q: not clean: %q", keys, text)
			}
		}
	}
}

func TestShorten(t *testing.T) {
	source := deadlocked(t)
	long := source.Take(analyze.PairKey{}).row("fd00::1 ↔ fd00::2")
	for width := 7; width < 60; width++ {
		if w := ansi.StringWidth(long.names(width)); w > width {
			t.Errorf("%q is %d columns, not %d", long.names(width), w, width)
		}
	}
}

func TestShort(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 7.4: "7", 9999: "9999", 10000: "10.0k", 99949: "99.9k", 123456: "123k", 4.5e6: "4.5M", 2e12: "2.0T", 3e18: "3000P",
	} {
		if got := short(n); got != want || len(got) > 5 {
			t.Errorf("short(%v) = %q, want %q", n, got, want)
		}
	}
}

// BenchmarkTake and BenchmarkView are of a thousand pairs.
func BenchmarkTake(b *testing.B) {
	source := crowded(b, 1000)
	for b.Loop() {
		source.Take(analyze.PairKey{})
	}
}

func BenchmarkView(b *testing.B) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			source := crowded(b, 1000)
			m := open(source, size[0], size[1], false)
			for b.Loop() {
				look(m)
				m.View()
			}
		})
	}
}
