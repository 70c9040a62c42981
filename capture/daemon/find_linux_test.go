package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ipsecdiag/capture/netns"
)

func TestWhoListens(t *testing.T) {
	table := filepath.Join(t.TempDir(), "unix")
	const head = "Num       RefCount Protocol Flags    Type St Inode Path\n"
	for name, c := range map[string]struct{ text, want string }{
		"none":           {"ffff: 00000002 00000000 00010000 0001 01 17 /run/charon.ctl\n", ""},
		"a connection":   {"ffff: 00000003 00000000 00000000 0001 03 17 /run/charon.vici\n", ""},
		"abstract":       {"ffff: 00000002 00000000 00010000 0001 01 17 @/run/charon.vici\n", ""},
		"no path":        {"ffff: 00000002 00000000 00010000 0001 01 17\n", ""},
		"one":            {"ffff: 00000002 00000000 00010000 0001 01 17 /run/charon.vici\n", "/run/charon.vici"},
		"a space":        {"ffff: 00000002 00000000 00010000 0001 01 17 /run/my swan/charon.vici\n", "/run/my swan/charon.vici"},
		"the first":      {"f: 2 0 00010000 0001 01 17 /b.vici\nf: 2 0 00010000 0001 01 18 /a.vici\n", "/a.vici"},
		"another's name": {"f: 2 0 00010000 0001 01 17 /run/pluto.ctl\nf: 2 0 00010000 0001 01 17 /run/x.vici\n", "/run/x.vici"},
	} {
		if err := os.WriteFile(table, []byte(head+c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, inode, err := viciKind.listening(table)
		if c.want != "" && inode != 17 && inode != 18 {
			t.Errorf("%s: inode %d", name, inode)
		}
		if got != c.want || (err != nil) != (c.want == "") || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhoIsBelieved(t *testing.T) {
	here, err := os.Stat("/proc/self/" + namespaceFile)
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	for _, c := range []struct {
		p       place
		uid     uint32
		pid     int
		refused bool
	}{
		{place{path: "/run/charon.vici", netns: here}, 1000, os.Getpid(), false},
		{place{path: "/tmp/charon.vici", netns: here}, 0, os.Getpid(), false},
		{place{path: "/tmp/charon.vici", netns: here}, 1000, os.Getpid(), true},
		{place{path: "/tmp/charon.vici", given: true}, 1000, os.Getpid(), false},
		{place{path: "/runaway/charon.vici", netns: here}, 1000, 0, true},
	} {
		if err := c.p.belongs(c.uid, c.pid); (err != nil) != c.refused {
			t.Errorf("%s of %d: %v", c.p.path, c.uid, err)
		}
	}
}

// fakeCharon is the environment variable that turns this test's program into a
// daemon that listens on the path which it holds.
const fakeCharon = "IPSECDIAG_FAKE_CHARON"

func TestMain(m *testing.M) {
	if os.Getenv(fakeKeeper) != "" {
		keeperOfATest()
	}
	path := os.Getenv(fakeCharon)
	if path == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c := &charon{path: path, l: l, ready: make(chan struct{}, 16)}
	c.accept()
}

func namespace(t *testing.T, n int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	name := fmt.Sprintf("ipsecdiag-word-%d-%d", os.Getpid(), n)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("needs network namespaces: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
	return name
}

// TestIntegrationADaemonIsFoundInItsNamespace: by itself, and not from another
// namespace, though its path is seen there too.
func TestIntegrationADaemonIsFoundInItsNamespace(t *testing.T) {
	here, there := namespace(t, 0), namespace(t, 1)
	path := filepath.Join(t.TempDir(), "charon.vici")
	cmd := exec.Command("ip", "netns", "exec", here, os.Args[0])
	cmd.Env = append(os.Environ(), fakeCharon+"="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	l := listen(t, Options{Netns: here})
	l.word("the daemon", whole)

	if p, err := viciKind.find(&Options{Netns: there}, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in the other namespace: found %q, %v", p.path, err)
	}
	var other os.FileInfo
	err := netns.Do(there, func() (err error) {
		other, err = os.Stat("/proc/thread-self/" + namespaceFile)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = place{path: path, netns: other}.belongs(0, cmd.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), "another network namespace") {
		t.Errorf("a daemon of another namespace is believed: %v", err)
	}
}
