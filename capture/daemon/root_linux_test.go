package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/capture/confine"
)

// fakeKeeper is the environment variable that turns this test's program into one
// that gives up what a keeper gives up, and then says for each line that it reads
// which process listens at strongSwan's socket, or why it cannot be reached.
const fakeKeeper = "IPSECDIAG_FAKE_KEEPER"

func keeperOfATest() {
	d := Direct(Options{})
	_, err := confine.Process(confine.Options{Keep: []confine.Capability{confine.NetAdmin}, Calls: confine.Reserved})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(whoListens(d))
	}
	os.Exit(0)
}

func whoListens(d Reach) any {
	c, err := d.Vici()
	if err != nil {
		return err
	}
	defer c.Close()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var who *unix.Ucred
	raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return err
	}
	return who.Pid
}

// container starts a strongSwan whose socket's path leads nowhere from here, in
// a PID namespace of its own, and again whenever it ends.
func container(t *testing.T, netns, dir string) *exec.Cmd {
	t.Helper()
	const script = `mount -t tmpfs none "$1"; while :; do rm -f "$1/charon.vici"; "$0"; done`
	cmd := exec.Command("ip", "netns", "exec", netns, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, os.Args[0], dir)
	cmd.Env = append(os.Environ(), fakeCharon+"="+filepath.Join(dir, "charon.vici"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitNoError(t, func() error {
		_, err := viciKind.find(&Options{Netns: netns}, "")
		return err
	})
	return cmd
}

func awaitNoError(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestIntegrationADaemonInAContainerIsFound: its socket's path leads nowhere
// from here.
func TestIntegrationADaemonInAContainerIsFound(t *testing.T) {
	here, dir := namespace(t, 2), t.TempDir()
	container(t, here, dir)
	l := listen(t, Options{Netns: here})
	l.word("the daemon", whole)
	if _, err := os.Lstat(filepath.Join(dir, "charon.vici")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its path is to be seen from here: %v", err)
	}
}

// TestIntegrationADaemonInAContainerIsReachedWithoutPrivileges holds that what a
// keeper has opened before it gives up its privileges is enough, and goes on to
// be when the daemon is started anew.
func TestIntegrationADaemonInAContainerIsReachedWithoutPrivileges(t *testing.T) {
	here := namespace(t, 3)
	container(t, here, t.TempDir())
	cmd := exec.Command("ip", "netns", "exec", here, os.Args[0])
	cmd.Env = append(os.Environ(), fakeKeeper+"=1")
	cmd.Stderr = os.Stderr
	questions, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { questions.Close(); cmd.Process.Kill(); cmd.Wait() })
	answers := bufio.NewReader(out)
	ask := func() (pid int, err error) {
		fmt.Fprintln(questions)
		line, err := answers.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			return 0, errors.New(line)
		}
		return pid, nil
	}
	first, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitNoError(t, func() error {
		next, err := ask()
		if err == nil && next == first {
			err = errors.New("the first one is still there")
		}
		return err
	})
}

// TestLinksInAnotherRootLeadNowhereElse holds that the path of a daemon's socket is
// followed as the daemon does, and never out of its root.
func TestLinksInAnotherRootLeadNowhereElse(t *testing.T) {
	top := t.TempDir()
	inside := filepath.Join(top, "root", "var", "s")
	if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{inside: "inside", filepath.Join(top, "s"): "outside"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"run": "/var", "up": "../..", "away": top} {
		if err := os.Symlink(to, filepath.Join(top, "root", link)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err1 := os.Open(filepath.Join(top, "root"))
	self, err2 := unix.PidfdOpen(os.Getpid(), 0)
	if errors.Is(err2, unix.ENOSYS) {
		t.Skip("needs pidfd_open: Linux 5.3")
	}
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	r := &otherRoot{dir: dir, container: self}
	defer r.close()
	for path, want := range map[string]bool{"/run/s": true, "/up/s": false, "/away/s": false, "/var/../../s": false} {
		p, err := r.open(place{path: path})
		if errors.Is(err, unix.ENOSYS) {
			t.Skip("needs openat2: Linux 5.6")
		}
		if err == nil {
			defer p.file.Close()
		}
		if !want && !errors.Is(err, fs.ErrNotExist) || want && (err != nil || !p.sameAs(inside)) {
			t.Errorf("%s: %v, %v", path, p, err)
		}
	}
}

// TestIntegrationAContainersRootIsNotHeldLongerThanItRuns: whoever ends it wants
// to unmount it.
func TestIntegrationAContainersRootIsNotHeldLongerThanItRuns(t *testing.T) {
	here := namespace(t, 4)
	cmd := container(t, here, t.TempDir())
	r := viciKind.rootOf(&Options{Netns: here})
	if r.dir == nil {
		t.Fatal("its root is not found")
	}
	cmd.Process.Kill()
	cmd.Wait()
	awaitNoError(t, func() error {
		if p, err := r.open(place{path: "/proc"}); err == nil {
			p.file.Close()
		}
		if r.dir != nil {
			return errors.New("its root is still held")
		}
		return nil
	})
}
