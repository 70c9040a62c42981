package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a real one: a pane of a tmux server of its own.
type terminal struct {
	t             *testing.T
	socket        string
	width, height int
}

// patience is how long a screen may take to come. It is long because the machine
// may be busy; no test waits for it to pass.
const patience = 60 * time.Second

// script runs a command in a terminal and tells what became of both.
const script = `before=$(stty -g); "$@"; echo "exit status $?"
[ "$before" = "$(stty -g)" ] && echo "terminal restored"; exec cat >/dev/null`

// startTerminal runs a command in a terminal of that size. Of the environment it
// has what is needed, and the variables given.
func startTerminal(t *testing.T, width, height int, environment []string, command ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux (make deps installs it)")
	}
	dir, err := os.MkdirTemp("", "ipsecdiag-tmux-") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x := &terminal{t: t, socket: filepath.Join(dir, "s"), width: width, height: height}
	work := t.TempDir()
	args := []string{
		"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-c", work, "--",
		"env", "-i", "PATH=" + os.Getenv("PATH"), "HOME=" + work, "LC_ALL=C.UTF-8", "TERM=screen-256color",
	}
	args = append(append(args, environment...), append([]string{"sh", "-c", script, "sh"}, command...)...)
	x.tmux(args...)
	t.Cleanup(func() { x.command("kill-server").Run() })
	return x
}

func (x *terminal) command(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-u", "-S", x.socket}, args...)...)
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := x.command(args...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// keys presses keys, named as tmux does.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, keys...)...)
}

// screen returns what is seen, every line without the spaces at its end.
func (x *terminal) screen(options ...string) string {
	x.t.Helper()
	lines := strings.Split(x.tmux(append([]string{"capture-pane", "-p"}, options...)...), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// full reports whether a full-screen program has the terminal.
func (x *terminal) full() bool {
	x.t.Helper()
	return strings.TrimSpace(x.tmux("display-message", "-p", "#{alternate_on}")) == "1"
}

// until waits until the screen is as wanted, and returns it.
func (x *terminal) until(what string, wanted func(screen string) bool) string {
	x.t.Helper()
	screen := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if screen = x.screen(); wanted(screen) {
			return screen
		}
	}
	x.t.Fatalf("waited in vain for %s; the screen is\n%s", what, screen)
	return ""
}

// shows waits until all the texts are on the screen.
func (x *terminal) shows(texts ...string) string {
	x.t.Helper()
	return x.until(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// is waits until the screen is the one in testdata. With -update that is made
// from the screen as soon as it shows all the texts and rests.
func (x *terminal) is(name string, texts ...string) {
	x.t.Helper()
	path := filepath.Join("testdata", "terminal", fmt.Sprintf("%s-%dx%d.txt", name, x.width, x.height))
	if *update {
		x.shows(texts...)
		screen := ""
		for screen != x.screen() {
			screen = x.screen()
			time.Sleep(400 * time.Millisecond)
		}
		if err := os.WriteFile(path, []byte(screen), 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(want), text) {
			x.t.Fatalf("%q is not in %s:\n%s", text, path, want)
		}
	}
	x.until(fmt.Sprintf("%s:\n%s\n", path, want), func(screen string) bool { return screen == string(want) })
}

// resize gives the terminal another size.
func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.width, x.height = width, height
	x.tmux("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
}

// left holds that the program has ended with that status and left the terminal
// as it was.
func (x *terminal) left(status int) string {
	x.t.Helper()
	screen := x.shows(fmt.Sprintf("exit status %d", status), "terminal restored")
	if x.full() || strings.TrimSpace(x.tmux("display-message", "-p", "#{cursor_flag}")) != "1" {
		x.t.Errorf("the terminal is not as it was")
	}
	return screen
}
