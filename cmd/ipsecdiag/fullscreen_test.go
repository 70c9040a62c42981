package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ipsecdiag/fixtures/crowd"
)

// browsed are what the full-screen tests look at: as command lines, each with a
// text that shows that it is there.
func browsed(t *testing.T) map[string][]string {
	t.Helper()
	absolute := func(elements ...string) string {
		path, err := filepath.Abs(fixture(elements...))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	many := filepath.Join(t.TempDir(), "many.pcap")
	f, err := os.Create(many)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := crowd.Write(f, fixture(), 1000); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"deadlock": {absolute("nd-deadlock-ikev2", "glass.pcapng"), absolute("nd-deadlock-ikev2", "teapot.pcapng")},
		"healthy":  {absolute("healthy-ikev2", "glass.pcapng")},
		"crowd":    {many},
	}
}

func analyzeTUI(files []string) []string {
	return append([]string{program, "analyze", "--tui"}, files...)
}

// TestTerminalScreens presses the keys of a person who looks for the fault, in a
// small and in a large terminal.
func TestTerminalScreens(t *testing.T) {
	files := browsed(t)
	type step struct{ keys, name, text string }
	for name, c := range map[string]struct {
		steps  []step
		status int
		says   string
	}{
		// The numbers of the steps are those of the recording.
		"deadlock": {[]step{
			{"", "pairs", ">✗ fd00::1 ↔ fd00::2"}, {"Enter", "ladder", "NA needs an SA first: dropped"},
			{"Enter", "absent", "It never left its host (certain)"}, {"q", "ladder", "step 7 of"}, {"Tab", "", "step 9 of"},
			{"Enter", "acquire", "The kernel's event"}, {"q", "", "step 9 of"}, {"q", "pairs", ">✗ fd00::1 ↔ fd00::2"}, {"f", "finding", "ERROR  neighbour discovery and IKE wait"},
			{"End", "remedy", "proto ipv6-icmp type 136"}, {"Tab", "next", "traffic needs an SA"}, {"e", "explain", "Symptom"},
			{"?", "keys", "these keys"}, {"Escape", "explain", "Symptom"}, {"q", "next", "traffic needs an SA"}, {"q", "pairs", ">✗ fd00::1 ↔ fd00::2"},
		}, statusFound, "ip xfrm policy update"},
		"healthy": {[]step{
			{"", "pairs", ">✓ fd00::1 ↔ fd00::2"}, {"Enter", "ladder", "SA"}, {"q", "pairs", ">✓ fd00::1 ↔ fd00::2"}, {"f", "finding", "INFO  the packets before the SA were lost"}, {"Escape", "pairs", "nothing wrong"},
		}, statusFine, "Nothing wrong found"},
		"crowd": {[]step{
			{"", "pairs", "1000 pairs"}, {"End", "end", ">✓ fd00::1 ↔ fd00::3e9"},
			{"Enter", "ladder", "step 1 of"}, {"q", "end", ">✓ fd00::1 ↔ fd00::3e9"}, {"Home", "pairs", ">✗ fd00::1 ↔ fd00::9"},
			{"/", "typing", "Esc show all"}, {"3 e", "filter", " / 3e"}, {"Enter", "filtered", "of 1000 pairs match"}, {"Escape", "", "errors  1000 pairs"},
			{"Home", "pairs", "1000 pairs"},
		}, statusFound, "10 errors"},
	} {
		for _, size := range [][2]int{{80, 24}, {200, 50}} {
			t.Run(name, func(t *testing.T) {
				x := startTerminal(t, size[0], size[1], nil, analyzeTUI(files[name])...)
				for _, s := range c.steps {
					if s.keys != "" {
						x.keys(strings.Fields(s.keys)...)
					}
					if x.shows(s.text); s.name != "" {
						x.is(name+"-"+s.name, s.text)
					}
				}
				x.keys("q")
				if screen := x.left(c.status); !strings.Contains(screen, c.says) && size[1] == 50 {
					t.Errorf("%q is not left behind:\n%s", c.says, screen)
				}
			})
		}
	}
}

// TestTerminalPicture holds that README.md's picture of the view shows what the
// view shows.
func TestTerminalPicture(t *testing.T) {
	content, err := os.ReadFile(fixture("screenshots", "view.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := string(content)
	height := strings.Count(want, "\n")
	x := startTerminal(t, 104, height, nil, analyzeTUI(browsed(t)["deadlock"])...)
	x.until("what fixtures/screenshots/view.png shows (make screenshots makes it anew)", func(screen string) bool { return screen == want })
}

func TestTerminalResize(t *testing.T) {
	x := startTerminal(t, 80, 24, nil, analyzeTUI(browsed(t)["crowd"])...)
	x.is("crowd-pairs", "1000 pairs")
	x.resize(200, 50)
	x.is("crowd-pairs", "1000 pairs")
	x.resize(20, 5)
	x.until("the small screen", func(s string) bool { return strings.Contains(s, " ✗ 10 errors  1000 …") })
	x.resize(80, 24)
	x.is("crowd-pairs", "1000 pairs")
	x.keys("C-c")
	x.left(statusFound)
}

// sgrColor is a colour in what tmux tells of a screen: the foregrounds and
// backgrounds of ECMA-48 section 8.3.117 and their bright and extended kinds.
var sgrColor = regexp.MustCompile(`\x1b\[(\d+;)*(3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]`)

// TestTerminalNoColor holds that NO_COLOR takes the colours away and nothing
// else.
func TestTerminalNoColor(t *testing.T) {
	files := browsed(t)["deadlock"]
	for environment, colored := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false} {
		x := startTerminal(t, 80, 24, []string{environment}, analyzeTUI(files)...)
		for _, key := range []string{"", "f"} {
			if key != "" {
				x.keys(key)
			}
			x.is(map[string]string{"": "deadlock-pairs", "f": "deadlock-finding"}[key], "ERROR")
			if got := sgrColor.MatchString(x.screen("-e")); got != colored {
				t.Errorf("%s: colours: %v in\n%q", environment, got, x.screen("-e"))
			}
		}
		x.keys("q", "q")
		x.left(statusFound)
	}
}

// TestTerminalPlain holds where there is never a full-screen view: on a terminal
// that can do nothing but print, and where output goes elsewhere.
func TestTerminalPlain(t *testing.T) {
	files := browsed(t)["deadlock"]
	lines := strings.Join(analyzeTUI(files), " ")
	for name, c := range map[string]struct {
		environment, command []string
		status               int
	}{
		"dumb":   {[]string{"TERM=dumb"}, analyzeTUI(files), statusFound},
		"unset":  {[]string{"TERM="}, analyzeTUI(files), statusFound},
		"piped":  {nil, []string{"sh", "-c", lines + " | cat"}, statusFine},
		"file":   {nil, []string{"sh", "-c", lines + " > out; s=$?; cat out; exit $s"}, statusFound},
		"format": {nil, append(analyzeTUI(files), "--format", "json"), statusError},
	} {
		t.Run(name, func(t *testing.T) {
			x := startTerminal(t, 100, 60, c.environment, c.command...)
			screen := x.left(c.status)
			want := "What to do" // the beginning has scrolled away
			if name == "format" {
				want = "it does not go with --format"
			}
			if !strings.Contains(screen, want) || strings.Contains(screen, "Enter ladder") {
				t.Errorf("the screen is\n%s", screen)
			}
		})
	}
}

// TestTerminalReadsKeysBesideStandardInput holds that a capture can come by
// standard input: the keys come from the terminal then.
func TestTerminalReadsKeysBesideStandardInput(t *testing.T) {
	x := startTerminal(t, 80, 24, nil, "sh", "-c", program+" analyze --tui - < "+browsed(t)["healthy"][0])
	x.shows(">✓ fd00::1 ↔ fd00::2", "Enter")
	x.keys("f")
	x.shows("INFO  the packets before the SA were lost")
	x.keys("q", "q")
	x.left(statusFine)
}

// TestTerminalPager holds that explain runs the pager that is wanted, as it is
// and without a shell, and none where that cannot be.
func TestTerminalPager(t *testing.T) {
	pager := write(t, "pager", []byte("#!/bin/sh\necho paged by \"$@\"\ncat\n"))
	if err := os.Chmod(pager, 0o755); err != nil {
		t.Fatal(err)
	}
	for environment, want := range map[string]string{
		"PAGER=" + pager + " $HOME ;true": "paged by $HOME ;true", "PAGER=/does/not/exist": "ACQUIRE: ", "PAGER=": "ACQUIRE: ", "PAGER=cat": "ACQUIRE: ",
		"TERM=dumb": "ACQUIRE: ",
	} {
		x := startTerminal(t, 100, 40, []string{environment}, program, "explain", "ACQUIRE")
		if screen := x.left(statusFine); !strings.HasPrefix(screen, want) || !strings.Contains(screen, "ACQUIRE: the kernel asks") {
			t.Errorf("%s: the screen is\n%s", environment, screen)
		}
	}
}

// TestTerminalOfAnotherLocale holds that a terminal whose locale is not of UTF-8
// gets ASCII only.
func TestTerminalOfAnotherLocale(t *testing.T) {
	x := startTerminal(t, 80, 24, []string{"LC_ALL=C"}, analyzeTUI(browsed(t)["deadlock"])...)
	screen := x.shows(">x fd00::1 - fd00::2", "unansw. 9x")
	if strings.ContainsFunc(screen, func(r rune) bool { return r >= 0x80 }) {
		t.Errorf("the screen is\n%s", screen)
	}
	x.keys("q")
	x.left(statusFound)
}
