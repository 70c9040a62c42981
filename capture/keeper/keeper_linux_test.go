package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/daemon"
)

// keepVariable is set where the test's program is to be a keeper.
const keepVariable = "IPSECDIAG_TEST_KEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(keepVariable) == "" {
		os.Exit(m.Run())
	}
	link, config, err := Connect()
	if err == nil {
		dir := string(config)
		err = link.Serve(Service{
			State: "at work", Events: oneEvent, Reach: slowWhack{daemon.Direct(daemon.Options{Vici: filepath.Join(dir, "vici")})},
			Tracked:  func() (*os.File, error) { return nil, os.ErrNotExist },
			NextFile: func() (string, *os.File, error) { return made(filepath.Join(dir, "next")) },
			NewFile:  func() (string, *os.File, error) { return "", nil, unix.ENOSPC },
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// slowWhack is a reach whose whack says nothing until it is ended.
type slowWhack struct{ daemon.Reach }

func (slowWhack) Whack(ctx context.Context, _ string) (io.ReadCloser, error) {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.Close() })
	return r, nil
}

func made(path string) (string, *os.File, error) {
	f, err := os.Create(path)
	return path, f, err
}

func oneEvent(_ context.Context, warn func(string)) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) {
		warn("be warned")
		if yield(&analyze.Lost{What: "something", Count: 7}, nil) {
			yield(nil, errors.New("no more of it"))
		}
	}
}

// startTest starts a keeper that serves from a directory.
func startTest(t *testing.T) (k *Keeper, dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), keepVariable+"=1")
	k, err := Start(cmd, []byte(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k, dir
}

// TestKeeperTellsEvents holds that events, warnings and the last error arrive.
func TestKeeperTellsEvents(t *testing.T) {
	k, _ := startTest(t)
	var got []string
	for e, err := range k.Events(context.Background(), func(text string) { got = append(got, text) }) {
		if lost, ok := e.(*analyze.Lost); ok {
			got = append(got, fmt.Sprint(lost.What, lost.Count))
		} else {
			got = append(got, fmt.Sprint(err))
		}
	}
	if all := strings.Join(got, "; "); k.State != "at work" || all != "be warned; something7; no more of it" {
		t.Errorf("%q, %q", k.State, all)
	}
}

// TestKeeperPassesConnectionsUnread holds that the bytes of an IKE daemon go to
// the other process, whatever they are, and not through the keeper.
func TestKeeperPassesConnectionsUnread(t *testing.T) {
	k, dir := startTest(t)
	if _, err := k.Vici(); !errors.Is(err, daemon.ErrNotThere) {
		t.Errorf("without a daemon: %v", err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "vici"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const hostile = "\xff\xff\xff\xff not what vici says \x00\n"
	go func() {
		if c, err := l.Accept(); err == nil {
			io.WriteString(c, hostile)
			c.Close()
		}
	}()
	c, err := k.Vici()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); err != nil || string(got) != hostile {
		t.Errorf("%q, %v", got, err)
	}
}

// TestKeeperLetsNobodyCommandStrongSwan holds that who is given a connection to the
// daemon can ask it, and that nothing else gets through, nor endless connections.
func TestKeeperLetsNobodyCommandStrongSwan(t *testing.T) {
	k, dir := startTest(t)
	l, err := net.Listen("unix", filepath.Join(dir, "vici"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const question, command = "\x00\x00\x00\x09\x00\x07version", "\x00\x00\x00\x0d\x00\x0bclear-creds"
	c, err := k.Vici()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	daemons, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer daemons.Close()
	if at := c.RemoteAddr().String(); at != filepath.Join(dir, "vici") {
		t.Errorf("it is called %q", at)
	}
	if _, err := io.WriteString(c, question+command+question); err != nil {
		t.Fatal(err)
	}
	if heard, err := io.ReadAll(daemons); err != nil || string(heard) != question {
		t.Errorf("the daemon was sent %q, %v", heard, err)
	}
	for n := 0; ; n++ {
		c, err := k.Vici()
		if err != nil {
			if n > maxVici || n < maxVici-1 || // the first one may be about to end
				!strings.Contains(err.Error(), "too many connections") {
				t.Errorf("after %d connections: %v", n, err)
			}
			return
		}
		defer c.Close()
	}
}

// TestKeeperAsksLibreswanSparingly holds that nobody can have many programs started.
func TestKeeperAsksLibreswanSparingly(t *testing.T) {
	k, _ := startTest(t)
	for n := 0; ; n++ {
		answer, err := k.Whack(context.Background(), "--status")
		if err != nil {
			if n != maxWhacks || !strings.Contains(err.Error(), "too often at once") {
				t.Errorf("after %d: %v", n, err)
			}
			return
		}
		defer answer.(*printed).text.Close() // Close would wait for the program's end
		defer answer.(*printed).why.Close()
	}
}

// TestKeeperTakesTwoBytes holds that a keeper does what two bytes ask for, and
// nothing that it does not know.
func TestKeeperTakesTwoBytes(t *testing.T) {
	k, dir := startTest(t)
	name, f, err := k.NextFile()
	if err != nil || name != filepath.Join(dir, "next") {
		t.Fatalf("%q, %v", name, err)
	}
	if _, err := f.WriteString("written by who may open nothing"); err != nil {
		t.Error(err)
	}
	f.Close()
	if content, err := os.ReadFile(name); err != nil || len(content) == 0 {
		t.Errorf("%q, %v", content, err)
	}
	if _, _, err := k.NewFile(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if _, err := k.ask('?'); err == nil || !strings.Contains(err.Error(), "no such request") {
		t.Errorf("got %v", err)
	}
	if _, err := k.requests.Write([]byte{askNextFile}); err != nil {
		t.Fatal(err)
	}
	<-k.ended // it does not go on with who speaks otherwise
	if _, err := k.Vici(); err == nil || !strings.Contains(err.Error(), "has ended: exit status 1") {
		t.Errorf("got %v", err)
	}
}
