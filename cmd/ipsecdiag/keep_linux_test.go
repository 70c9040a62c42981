package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// twoProcesses is a watch at work.
type twoProcesses struct {
	*exec.Cmd
	stderr *lines
	keeper int
}

// startBoth starts a watch, and returns once it reads wire and kernel.
func startBoth(t *testing.T, cmd *exec.Cmd) *twoProcesses {
	t.Helper()
	w := &twoProcesses{Cmd: cmd, stderr: &lines{}}
	cmd.Stderr = w.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	w.stderr.await(t, "watching ")
	w.keeper = childOf(t, cmd.Process.Pid)
	return w
}

// childOf returns the only child of a process, whichever thread has made it.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []string
	for _, list := range lists {
		content, _ := os.ReadFile(list)
		all = append(all, strings.Fields(string(content))...)
	}
	if len(all) != 1 {
		t.Fatalf("process %d has the children %v, want one", pid, all)
	}
	child, err := strconv.Atoi(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}

// TestWatchIsTwoProcesses holds that of the two processes of a watch that was
// started as root one has no capability and is nobody, and the other one has
// CAP_NET_ADMIN and no other, in a namespace too.
func TestWatchIsTwoProcesses(t *testing.T) {
	ns := namespace(t)
	w := startBoth(t, exec.Command(program, "watch", "lo", "--netns", ns, "--verbose"))
	holdsNothing(t, w.Process.Pid, "65534")
	held(t, w.keeper, map[string]string{
		"Uid": "0", "Gid": "0", "CapInh": noCapability, "CapPrm": netAdmin, "CapEff": netAdmin,
		"CapAmb": noCapability, "NoNewPrivs": "1", "Seccomp": "2",
	})
	said := w.stderr.String()
	for _, want := range []string{
		fmt.Sprintf("the kernel is read by process %d: user 0, CAP_NET_ADMIN, no_new_privs, seccomp", w.keeper),
		fmt.Sprintf("what was captured is read by process %d: user 65534, no capability, no_new_privs, seccomp", w.Process.Pid),
	} {
		if strings.Count(said, want) != 1 {
			t.Errorf("it does not say %q: %s", want, said)
		}
	}
}

// TestWatchOfAServiceIsTwoProcesses holds the same where the two capabilities are
// all that it is given, as by systemd, and no root.
func TestWatchOfAServiceIsTwoProcesses(t *testing.T) {
	needsPrivilege(t)
	w := startBoth(t, as(t, exec.Command(program, "watch", "lo"), unix.CAP_NET_RAW, unix.CAP_NET_ADMIN))
	holdsNothing(t, w.Process.Pid, "65534")
	held(t, w.keeper, map[string]string{
		"Uid": "65534", "CapInh": noCapability, "CapPrm": netAdmin, "CapEff": netAdmin, "CapAmb": noCapability, "NoNewPrivs": "1", "Seccomp": "2",
	})
	hidden(t, w.keeper)
}

// TestWatchCanDoNothingElse has both processes of a watch try what they must not
// be able to do.
func TestWatchCanDoNothingElse(t *testing.T) {
	ns := namespace(t)
	r := finish(t, exec.Command(trial(t), "watch", "lo", "--netns", ns, "--for", "1s"))
	for _, name := range []string{"trial: tried ", "trial of the keeper: tried "} {
		line := ""
		for l := range strings.Lines(r.stderr) {
			if strings.HasPrefix(l, name) {
				line = l
			}
		}
		if hasLandlock() && !strings.HasSuffix(line, ", allowed: \n") {
			t.Errorf("%q, of %+v", line, r)
		}
	}
}

// TestKeysStayInTheKernel holds that the process that reads captures never has a
// key in its memory, and that the keeper does not keep one.
func TestKeysStayInTheKernel(t *testing.T) {
	ns := namespace(t)
	key := []byte("never to be seen outside of it!!")
	file := filepath.Join(t.TempDir(), "it.pcapng")
	add := exec.Command("ip", "-n", ns, "xfrm", "state", "add", "src", "10.0.0.1", "dst", "10.0.0.2", "proto", "esp", "spi", "0x1234",
		"enc", "cbc(aes)", "0x"+hex.EncodeToString(key))
	if out, err := add.CombinedOutput(); err != nil {
		t.Skipf("needs a kernel with ESP (%v: %s); the lab runs it", err, bytes.TrimSpace(out))
	}
	w := startBoth(t, exec.Command(program, "watch", "lo", "--netns", ns, "-w", file))
	recorded := awaitIn(t, file, "10.0.0.2") // the SA has been read by then
	for who, pid := range map[string]int{"the process that reads captures": w.Process.Pid, "the keeper": w.keeper} {
		memory := memoryOf(t, pid)
		if !bytes.Contains(memory, []byte("CAP_NET_ADMIN")) {
			t.Fatalf("the memory of %s was not read", who)
		}
		for _, form := range [][]byte{key, []byte(hex.EncodeToString(key))} {
			if bytes.Contains(memory, form) {
				t.Errorf("%s has a key in its memory", who)
			}
		}
	}
	if bytes.Contains(recorded, key) || bytes.Contains(recorded, []byte(hex.EncodeToString(key))) {
		t.Error("the recording holds the key")
	}
}

// awaitIn returns what a file holds, once that is among it.
func awaitIn(t *testing.T, file, what string) []byte {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(file)
		if bytes.Contains(content, []byte(what)) {
			return content
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not hold %q: %v", file, what, err)
		}
	}
}

// memoryOf reads all that a process may read of its own memory.
func memoryOf(t *testing.T, pid int) (all []byte) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || mode[0] != 'r' || strings.Contains(line, "[v") || strings.Contains(line, "socket:") {
			continue
		}
		const most = 64 << 20 // what is larger is reserved and not used
		part := make([]byte, min(to-from, most))
		n, _ := memory.ReadAt(part, from)
		all = append(all, part[:n]...)
	}
	return all
}

// TestWatchEndsWithItsKeeper holds that a watch whose keeper dies says so in one
// line, and ends.
func TestWatchEndsWithItsKeeper(t *testing.T) {
	ns := namespace(t)
	w := startBoth(t, exec.Command(program, "watch", "lo", "--netns", ns))
	before := len(w.stderr.String())
	if err := syscall.Kill(w.keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	said := w.stderr.String()[before:]
	const want = "ipsecdiag: the process that keeps CAP_NET_ADMIN has ended: signal: killed\n"
	if w.ProcessState.ExitCode() != statusError || strings.Count(said, "ipsecdiag: ") != 1 || !strings.Contains(said, want) {
		t.Errorf("exit status %d, %q", w.ProcessState.ExitCode(), said)
	}
}

// TestKeeperEndsWithItsWatch holds that a keeper ends by itself when its watch
// dies.
func TestKeeperEndsWithItsWatch(t *testing.T) {
	ns := namespace(t)
	w := startBoth(t, exec.Command(program, "watch", "lo", "--netns", ns))
	w.Process.Kill()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if err := syscall.Kill(w.keeper, 0); err != nil {
			return
		}
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.keeper))
		if bytes.Contains(state, []byte(") Z ")) { // nobody has asked for its status yet
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the keeper is still there")
		}
	}
}

// TestWatchTurnsItsRing holds that the files of a ring are made, and removed,
// after all privileges are gone.
func TestWatchTurnsItsRing(t *testing.T) {
	ns := namespace(t)
	dir := t.TempDir()
	w := startBoth(t, exec.Command(program, "watch", "lo", "--netns", ns, "--ring", "2x1s", "-w", filepath.Join(dir, "it.pcapng")))
	first := ringOf(t, dir)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		now := ringOf(t, dir)
		if len(now) == 2 && len(first) > 0 && now[0] > first[len(first)-1] {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v, and now %v: %s", first, now, w.stderr.String())
		}
	}
	w.Process.Signal(os.Interrupt)
	w.Wait()
	for _, name := range ringOf(t, dir) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if w.ProcessState.ExitCode() != statusFine || strings.Contains(w.stderr.String(), "recording stopped") {
		t.Errorf("%v, %s", w.ProcessState, w.stderr.String())
	}
}

func ringOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "it-*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestKeeperMakesFewFiles holds that who asks for recordings again and again, and all
// at once, gets so many and no more.
func TestKeeperMakesFewFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	c := keepConfig{Host: "glass", Records: true}
	f := c.prepareFiles()
	var all sync.WaitGroup
	for range maxBegun + 20 {
		all.Go(func() {
			if _, file, err := f.new(); err == nil {
				file.Close()
			} else if !strings.Contains(err.Error(), "all that it may") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if names, err := filepath.Glob(filepath.Join(dir, "*.pcapng")); err != nil || len(names) != maxBegun {
		t.Errorf("there are %d files, want %d: %v", len(names), maxBegun, err)
	}
}
