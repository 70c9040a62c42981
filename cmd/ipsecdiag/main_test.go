package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is the binary under test.
var program string

func TestMain(m *testing.M) {
	os.Exit(withProgram(m))
}

// withProgram builds the program, unless one that was built before is named: the
// lab's guest has no compiler.
func withProgram(m *testing.M) int {
	if program = os.Getenv("IPSECDIAG_PROGRAM"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ipsecdiag-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755) // some tests run it as nobody
	program = filepath.Join(dir, "ipsecdiag.exe")
	if out, err := build(program).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// build returns the command that makes the program as it is shipped, static.
func build(to string, flags ...string) *exec.Cmd {
	cmd := exec.Command("go", append(append([]string{"build", "-o", to}, flags...), ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd
}

// result is what a run of the program gave.
type result struct {
	stdout, stderr string
	status         int
}

func ipsecdiag(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = stdin
	return finish(t, cmd)
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// refused holds that the program said in one line why it could not do its work.
func (r result) refused(t *testing.T, why string) {
	t.Helper()
	if r.status != statusError {
		t.Errorf("exit status is %d, want %d", r.status, statusError)
	}
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "ipsecdiag: ") || !strings.Contains(r.stderr, why) {
		t.Errorf("standard error is %q, want one line with %q", r.stderr, why)
	}
	if r.stdout != "" {
		t.Errorf("standard output is %q", r.stdout)
	}
}

// capture returns the head of a pcap file of that link type.
func pcap(link byte) []byte {
	return []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, link, 0, 0, 0}
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	empty := write(t, "empty.pcap", nil)
	text := write(t, "notes.txt", []byte("this is not a capture, it is a text\n"))
	wlan := write(t, "wlan.pcap", pcap(105))
	hostile := filepath.Join(dir, "\x1b[31mred\nline")
	for _, c := range []struct {
		args string // split at spaces
		why  string
	}{
		{"analyze", "needs a capture file"},
		{"analyze /does/not/exist", "/does/not/exist: no such file or directory"},
		{"analyze " + dir, "is a directory"},
		{"analyze " + empty, "is empty"},
		{"analyze " + text, "is not a capture file"},
		{"analyze " + wlan, "link type 105 (IEEE 802.11)"},
		{"analyze --format xml " + text, "there are text, json, html, mermaid"},
		{"events", "needs a capture file"},
		{"events " + empty, "is empty"},
		{"explain nd-deadlok", "did you mean nd-deadlock?"},
		{"explain xyzzy", `no rule or term "xyzzy"`},
		{"explain larvel SA", "did you mean larval SA?"},
		{"wach", "did you mean watch?"},
		{"--loud", "unknown flag: --loud"},
		{"watch", "needs an interface"},
		{"watch --max-memory 1MB eth0", "not a size of at least 100MB"},
		{"watch --for soon eth0", "invalid duration"},
		{"watch --acquire sometimes eth0", "must be one of auto, always, never"},
		{"demo now", "takes no arguments"},
		{"snapshot now", "takes no arguments"},
		{"check --state a b", "give each file a --state of its own"},
		{"check --state /does/not/exist", "/does/not/exist: no such file or directory"},
		{"check --state " + dir, "is a directory"},
		{"check --state x --netns y", "give one of them"},
		{"check --state " + text, "is neither a snapshot nor a recording"},
	} {
		t.Run(c.args, func(t *testing.T) {
			ipsecdiag(t, nil, strings.Fields(c.args)...).refused(t, c.why)
		})
	}
	t.Run("hostile name", func(t *testing.T) {
		r := ipsecdiag(t, nil, "analyze", hostile)
		r.refused(t, "no such file")
		if strings.Contains(r.stderr, "\x1b") {
			t.Errorf("an escape sequence came through: %q", r.stderr)
		}
	})
	t.Run("empty standard input", func(t *testing.T) {
		ipsecdiag(t, nil, "analyze", "-").refused(t, "standard input: is empty")
	})
}

func TestNothingToJudge(t *testing.T) {
	for _, format := range []string{"text", "html", "mermaid"} {
		r := ipsecdiag(t, bytes.NewReader(pcap(1)), "analyze", "-", "--format", format)
		if r.status != statusFine || !strings.Contains(r.stdout, "Nothing to judge") || r.stderr != "" {
			t.Errorf("%s: got %+v", format, r)
		}
	}
}

func TestUnwritableOutput(t *testing.T) {
	file := write(t, "a.pcap", pcap(1))
	ipsecdiag(t, nil, "analyze", "-o", "/does/not/exist", file).refused(t, "/does/not/exist")
}

// TestClosedPipe holds that the program ends quietly when nobody reads it, as
// in: ipsecdiag events FILE | head -1, and with the status that a shell gives a
// program which SIGPIPE has ended: what it says else would not be true.
func TestClosedPipe(t *testing.T) {
	file := fixture("nd-deadlock-ikev2", "glass.pcapng")
	for _, args := range [][]string{{"explain"}, {"analyze", file}, {"analyze", file, "--format", "json"}, {"events", file}} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		read.Close()
		cmd := exec.Command(program, args...)
		cmd.Stdout = write
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err = cmd.Run()
		write.Close()
		if cmd.ProcessState.ExitCode() != statusUnread || stderr.Len() > 0 {
			t.Errorf("%q: %v, standard error %q", args, err, stderr.String())
		}
	}
}
