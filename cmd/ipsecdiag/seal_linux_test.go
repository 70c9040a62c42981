package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	landlocked "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// trial is the program that tries what is forbidden.
func trial(t *testing.T) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(program), "trial")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := build(path, "-tags", "trial").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// holdsNothing holds that no thread of a process may do anything, and whose it
// is.
func holdsNothing(t *testing.T, pid int, user string) {
	t.Helper()
	held(t, pid, map[string]string{
		"Uid": user, "Gid": user, "CapInh": noCapability, "CapPrm": noCapability, "CapEff": noCapability,
		"CapAmb": noCapability, "NoNewPrivs": "1", "Seccomp": "2",
	})
	hidden(t, pid)
}

// hidden holds that nobody but root can read a process's memory, trace it or have
// it dumped: the kernel shows such as root's (proc(5), task_dump_owner).
func hidden(t *testing.T, pid int) {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/mem", pid), &st); err != nil || st.Uid != 0 {
		t.Errorf("the memory of process %d is user %d's, %v", pid, st.Uid, err)
	}
}

const noCapability = "0000000000000000"

// held holds what /proc says of each thread of a process. Users and groups are
// all four the same.
func held(t *testing.T, pid int, want map[string]string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, path := range threads {
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(content)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			if w, ok := want[name]; ok {
				if strings.HasSuffix(name, "id") {
					w = strings.Join([]string{w, w, w, w}, "\t")
				}
				if value != w {
					t.Errorf("%s: %s is %q, want %q", path, name, value, w)
				}
			}
		}
	}
}

// waiting starts a command that reads a capture from a pipe, and returns once it
// says with --verbose that it is locked in.
func waiting(t *testing.T, cmd *exec.Cmd) (said string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &lines{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v, %s", err, stderr.String())
		}
	})
	if _, err := in.Write(pcap(1)); err != nil {
		t.Fatal(err)
	}
	return stderr.await(t, "what was captured is read by")
}

// TestReaderHoldsNothing holds that a process that reads captures as root is
// nobody by then, without a capability, and locked in.
func TestReaderHoldsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to see it given up")
	}
	cmd := exec.Command(program, "analyze", "-", "--verbose")
	said := waiting(t, cmd)
	holdsNothing(t, cmd.Process.Pid, "65534")
	if !strings.Contains(said, "user 65534, no capability, no_new_privs, seccomp") || strings.Contains(said, "Landlock (") != hasLandlock() {
		t.Errorf("it says %q", said)
	}
}

func hasLandlock() bool {
	version, err := landlocked.LandlockGetABIVersion()
	return err == nil && version > 0
}

// TestReaderOfAUserHoldsNothing holds the same for who is not root.
func TestReaderOfAUserHoldsNothing(t *testing.T) {
	cmd := as(t, exec.Command(program, "events", "-", "--verbose"))
	cmd.SysProcAttr.Credential.Uid, cmd.SysProcAttr.Credential.Gid = 12345, 12345
	waiting(t, cmd)
	holdsNothing(t, cmd.Process.Pid, "12345")
}

// TestReaderCanDoNothingElse has each command that reads what strangers sent try
// what is forbidden.
func TestReaderCanDoNothingElse(t *testing.T) {
	program := trial(t)
	glass := fixture("nd-deadlock-ikev2", "glass.pcapng")
	commands := map[string][]string{
		"analyze": {"analyze", glass}, "report": {"analyze", glass, "--format", "html", "-o", filepath.Join(t.TempDir(), "it.html")},
		"events": {"events", glass}, "scrub": {"scrub", glass, "-o", filepath.Join(t.TempDir(), "scrubbed")},
		"check": {"check", "--state", glass}, "both ends": {"check", "--state", glass, "--peer-state", fixture("nd-deadlock-ikev2", "teapot.pcapng")},
		"lookup": {"lookup", "fd00::2", "fd00::1", "--state", glass}, "fix": {"fix", "--from", glass},
	}
	for name, args := range commands {
		t.Run(name, func(t *testing.T) {
			r := finish(t, exec.Command(program, args...))
			if strings.Count(r.stderr, "trial: tried ") != 1 || !strings.Contains(r.stderr, ", allowed: \n") {
				t.Errorf("got status %d, %s", r.status, r.stderr)
			}
		})
	}
}

// lines collects what a process writes, for who waits for it.
type lines struct {
	mu  sync.Mutex
	all []byte
}

// Write satisfies io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, b...)
	return len(b), nil
}

// String returns what was written.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.all)
}

// await waits for a line that holds some words, and returns it.
func (l *lines) await(t *testing.T, words string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for line := range strings.Lines(l.String()) {
			if strings.Contains(line, words) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
	}
	t.Fatalf("no line with %q came: %q", words, l.String())
	return ""
}

// TestReaderStaysUseful holds that what is written after the locking in arrives.
func TestReaderStaysUseful(t *testing.T) {
	to := filepath.Join(t.TempDir(), "it.html")
	r := ipsecdiag(t, nil, "analyze", fixture("nd-deadlock-ikev2", "glass.pcapng"), "--format", "html", "-o", to)
	content, err := os.ReadFile(to)
	if err != nil || r.status != statusFound || r.stderr != "" || !bytes.Contains(content, []byte("</html>")) {
		t.Errorf("%v, got %+v", err, r)
	}
}
