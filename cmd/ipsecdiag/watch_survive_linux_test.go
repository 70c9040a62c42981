package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

// survivePatience is how long a test waits for what is sure to come.
const survivePatience = 60 * time.Second

// written is what a program has written so far.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *written) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *written) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// watched is a watch that runs beside a test.
type watched struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr written
	ended          chan struct{}
}

// startWatch runs a command line that ends in a watch, and returns once it says what
// it watches. Its standard output goes to out, where there is one.
func startWatch(t *testing.T, out io.Writer, args ...string) *watched {
	t.Helper()
	w := &watched{t: t, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
	if out != nil {
		w.cmd.Stdout = out
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = w.cmd.Wait()
		close(w.ended)
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.ended
	})
	w.says("watching ")
	return w
}

// until waits until a condition holds.
func (w *watched) until(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(survivePatience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not: %s; standard error:\n%s\nstandard output:\n%s", what, w.stderr.String(), w.stdout.String())
		}
	}
}

// says waits for these words on standard error, in this order.
func (w *watched) says(words ...string) {
	w.t.Helper()
	w.until(fmt.Sprintf("it says %q", words), func() bool {
		text := w.stderr.String()
		for _, word := range words {
			_, rest, ok := strings.Cut(text, word)
			if !ok {
				return false
			}
			text = rest
		}
		return true
	})
}

// end waits for its end, after a signal where there is one, and returns its exit
// status.
func (w *watched) end(signal os.Signal) int {
	w.t.Helper()
	if signal != nil {
		_ = w.cmd.Process.Signal(signal)
	}
	select {
	case <-w.ended:
	case <-time.After(survivePatience):
		w.t.Fatalf("it does not end; standard error:\n%s", w.stderr.String())
	}
	return w.cmd.ProcessState.ExitCode()
}

// holdsIKE reports whether a recording holds the first message of the IKE SA with that
// number (ikeHeader). It may end in the middle of a block.
func holdsIKE(t *testing.T, path string, sa int) bool {
	t.Helper()
	for e, err := range capture.Files(t.Context(), []string{path}, capture.FileOptions{}) {
		if err != nil {
			return false // there is nothing in it yet
		}
		if f, ok := e.(*analyze.Frame); ok && bytes.Contains(f.Data, ikeHeader(sa, 34, 0, 0x08)) {
			return true
		}
	}
	return false
}

// TestARecordingSurvivesSIGKILL holds that what has been seen is in the file while
// watch runs, and that the file can be read after SIGKILL.
func TestARecordingSurvivesSIGKILL(t *testing.T) {
	a, b := watchedHosts(t)
	file := filepath.Join(t.TempDir(), "it.pcapng")
	w := startWatch(t, nil, program, "watch", "vb", "--netns", b, "-w", file)
	for sa := 1; sa <= 5; sa++ {
		sendFrom(t, a, 1, 500, ikeHeader(sa, 34, 0, 0x08))
		w.until("the file holds what was sent", func() bool { return holdsIKE(t, file, sa) })
	}
	w.end(os.Kill)
	r := ipsecdiag(t, nil, "analyze", file)
	if r.status == statusError || !strings.Contains(r.stdout, "5 IKE messages") {
		t.Errorf("got %+v", r)
	}
}

// TestWatchGoesOnWithoutItsFile holds that a disk which is full, or a file that may not
// grow, ends the recording and nothing else: it is said, findings come, what was
// recorded can be read, and the exit status tells it.
func TestWatchGoesOnWithoutItsFile(t *testing.T) {
	for name, prefix := range map[string][]string{
		"full disk":     {"unshare", "-m", "--propagation", "private", "sh", "-c", `mount -t tmpfs -o size=64k none "$0" && exec "$@"`, "DIR"},
		"limit of size": {"prlimit", "--fsize=60000"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := watchedHosts(t)
			dir := t.TempDir()
			if prefix[len(prefix)-1] == "DIR" {
				prefix[len(prefix)-1] = dir
			}
			file := filepath.Join(dir, "it.pcapng")
			w := startWatch(t, nil, append(prefix, program, "watch", "vb", "--netns", b, "-w", file, "--format", "json")...)
			big := append(ikeHeader(1, 37, 7, 0x08), make([]byte, 1200)...)
			w.until("the recording stops", func() bool {
				sendFrom(t, a, 1, 500, big)
				return strings.Contains(w.stderr.String(), "recording stopped: ")
			})
			within := fmt.Sprintf("/proc/%d/root%s", w.cmd.Process.Pid, file)
			for range 5 {
				sendFrom(t, a, 1, 500, ikeHeader(2, 34, 0, 0x08))
				time.Sleep(200 * time.Millisecond) // sooner it is a copy
			}
			w.until("a finding", func() bool { return strings.Contains(w.stdout.String(), `"rule":"ike-no-response"`) })
			if r := ipsecdiag(t, nil, "analyze", within); r.status == statusError || !strings.Contains(r.stdout, "IKE message") {
				t.Errorf("what was recorded: %+v", r)
			}
			if status := w.end(unix.SIGTERM); status != statusError || strings.Count(w.stderr.String(), "recording stopped: ") != 1 {
				t.Errorf("exit status %d, standard error %s", status, w.stderr.String())
			}
		})
	}
}

// TestWatchEndsWithItsReader holds that watch ends soon after whoever read it has, also
// when there is nothing to be told, quietly.
func TestWatchEndsWithItsReader(t *testing.T) {
	ns := namespace(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "it.pcapng")
	w := startWatch(t, write, program, "watch", "lo", "--netns", ns, "--format", "json", "-w", file)
	write.Close()
	read.Close()
	if status := w.end(nil); status != statusUnread || strings.Contains(w.stderr.String(), "watched for") {
		t.Errorf("exit status %d, standard error %s", status, w.stderr.String())
	}
	if r := ipsecdiag(t, nil, "analyze", file); r.status != statusFine || r.stderr != "" {
		t.Errorf("the recording: %+v", r)
	}
}

// TestWatchEndsWithItsNamespace holds that watch says so when the namespace that it
// was given by name is deleted, and ends: its sockets would keep it alive unseen.
func TestWatchEndsWithItsNamespace(t *testing.T) {
	ns := namespace(t)
	file := filepath.Join(t.TempDir(), "it.pcapng")
	w := startWatch(t, nil, program, "watch", "lo", "--netns", ns, "-w", file)
	soakIP(t, "netns", "delete", ns)
	if status := w.end(nil); status != statusError {
		t.Errorf("exit status %d", status)
	}
	w.says("watched for ", "ipsecdiag: ", "the network namespace is gone")
	if r := ipsecdiag(t, nil, "analyze", file); r.status != statusFine || r.stderr != "" {
		t.Errorf("the recording: %+v", r)
	}
}

// TestWatchOutlivesItsInterface holds that watch says what becomes of its interface,
// goes on, and records what passes the one that takes its place.
func TestWatchOutlivesItsInterface(t *testing.T) {
	a, b := watchedHosts(t)
	file := filepath.Join(t.TempDir(), "it.pcapng")
	w := startWatch(t, nil, program, "watch", "vb", "--netns", b, "-w", file)
	soakIP(t, "-n", b, "link", "set", "vb", "down")
	w.says("interface vb is down")
	soakIP(t, "-n", b, "link", "set", "vb", "name", "wan0")
	w.says("interface vb is called wan0 now")
	soakIP(t, "-n", a, "link", "delete", "va")
	w.says("interface wan0 vanished; it is waited for")
	for _, args := range []string{
		"-n " + a + " link add va type veth peer name vb netns " + b, "-n " + a + " addr add 10.9.0.1/24 dev va", "-n " + a + " link set va up",
		"-n " + b + " addr add 10.9.0.2/24 dev vb", "-n " + b + " link set vb up",
	} {
		soakIP(t, strings.Fields(args)...)
	}
	w.says("interface vb is there again")
	w.until("what passes is recorded", func() bool {
		sendFrom(t, a, 1, 500, ikeHeader(7, 34, 0, 0x08))
		return holdsIKE(t, file, 7)
	})
	w.end(unix.SIGTERM)
	w.says("watched for ", "interface wan0 vanished", "the first frames of interface vb")
	r := ipsecdiag(t, nil, "analyze", file)
	if r.status == statusError || !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), "interface wan0 vanished") {
		t.Errorf("got %+v", r)
	}
}

// TestWatchInAContainerWithoutBPF holds that root without CAP_BPF and CAP_SYS_ADMIN, as
// in a container, counts ESP frame by frame and says why, with the same counts.
func TestWatchInAContainerWithoutBPF(t *testing.T) {
	if off, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err != nil || strings.TrimSpace(string(off)) == "0" {
		t.Skip("this kernel lets everybody load programs for sockets")
	}
	a, b := watchedHosts(t)
	for want, caps := range map[string]string{
		"ESP is counted frame by frame (CAP_BPF is missing)": "-bpf,-sys_admin", "ESP is counted in the kernel": "-sys_boot",
	} {
		w := startWatch(t, nil, "ip", "netns", "exec", b, "setpriv", "--bounding-set", caps, "--inh-caps", caps, program, "watch", "vb")
		w.says(want)
		sendFrom(t, a, 1, 4500, encapsulated(0x12345678, 0, 40)...)
		sendFrom(t, a, 1, 500, ikeHeader(1, 34, 0, 0x08))
		w.end(unix.SIGTERM)
		w.says("watched for ", strconv.Itoa(40)+" ESP or AH packets, nothing lost")
	}
}
