package daemon

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// fakeWhack makes a program that answers with the files status, showstates and
// globalstatus of a directory, and notes what it is asked.
func fakeWhack(t *testing.T, script string) (dir, socket string) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "whack")
	if script == "" {
		script = "echo \"$*\" >>" + dir + "/asked\ncat " + dir + "/\"${3#--}\"\n"
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	before := whackPrograms
	whackPrograms = []string{program}
	t.Cleanup(func() { whackPrograms = before })
	answer(t, dir, "status", testdata(t, "status-4.10.txt"))
	answer(t, dir, "showstates", "")
	answer(t, dir, "globalstatus", "")
	socket = filepath.Join(dir, "pluto.ctl")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return dir, socket
}

// answer changes an answer, whole at once.
func answer(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestLibreswanTells(t *testing.T) {
	dir, socket := fakeWhack(t, "")
	l := listen(t, Options{Vici: None, Whack: socket})
	w := l.word("connections", whole)
	if w.Daemon != analyze.Libreswan || w.Version != "4.10" || w.Via != "whack" || len(w.Connections) != 2 {
		t.Errorf("got %+v", w)
	}
	answer(t, dir, "showstates", `000 #1: "peer":500 STATE_V2_PARENT_I2 (sent IKE_AUTH request); RETRANSMIT in 3s; idle;`+"\n")
	l.word("an IKE SA", func(w *analyze.Word) bool { return len(w.SAs) == 1 && w.SAs[0].Connection == "peer" })
	answer(t, dir, "showstates", "")
	answer(t, dir, "globalstatus", "total.ikev2.recv.notifies.error.AUTHENTICATION_FAILED=1\n")
	y := l.saying(analyze.SaidAuthFailed)
	if y.Connection != "peer" || !y.FromPeer || y.Remote.Addr().String() != "10.9.0.2" {
		t.Errorf("got %+v", y)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	for question := range strings.Lines(string(asked)) {
		switch strings.TrimSpace(question) {
		case "--ctlsocket " + socket + " --status", "--ctlsocket " + socket + " --showstates", "--ctlsocket " + socket + " --globalstatus":
		default:
			t.Errorf("whack is run with %q", question)
		}
	}
}

// TestLibreswanThatIsAskedTooSoon had no connections yet when it was asked first; what
// fails later is still known by its connection.
func TestLibreswanThatIsAskedTooSoon(t *testing.T) {
	dir, socket := fakeWhack(t, "")
	answer(t, dir, "status", "000 pluto_version=4.10, pluto_vendorid=x\n")
	l := listen(t, Options{Vici: None, Whack: socket})
	l.word("nothing", whole)
	answer(t, dir, "status", testdata(t, "status-4.10.txt"))
	l.word("its connections", func(w *analyze.Word) bool { return len(w.Connections) == 2 })
	added := testdata(t, "status-4.10.txt") + `000 "late": 10.9.0.1...10.9.0.3; unrouted; eroute owner: #0` + "\n" +
		`000 #1: "late":500 STATE_V2_PARENT_I2 (sent IKE_AUTH request); RETRANSMIT in 3s; idle;` + "\n"
	answer(t, dir, "status", added)
	answer(t, dir, "showstates", `000 #1: "late":500 STATE_V2_PARENT_I2 (sent IKE_AUTH request); RETRANSMIT in 3s; idle;`+"\n")
	l.word("one that was added", func(w *analyze.Word) bool {
		return len(w.SAs) == 1 && w.SAs[0].Remote.Addr().String() == "10.9.0.3"
	})
}

// TestAWedgedLibreswan does not hold up the end.
func TestAWedgedLibreswan(t *testing.T) {
	dir, socket := fakeWhack(t, "")
	program := filepath.Join(dir, "whack")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n: >"+dir+"/running\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := listen(t, Options{Vici: None, Whack: socket})
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(dir + "/running"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("whack was never run")
		}
	}
	l.end()
}

// TestLibreswanThatIsStopped is heard no more, and a complaint of whack's is no
// reason to give up.
func TestLibreswanThatIsStopped(t *testing.T) {
	dir, socket := fakeWhack(t, "")
	l := listen(t, Options{Vici: None, Whack: socket})
	l.word("connections", whole)
	rewrite(t, dir+"/whack", "#!/bin/sh\necho 'whack: \x1b[2J is not running' >&2\nexit 1\n")
	w := l.word("its end", func(w *analyze.Word) bool { return w.Silent != "" })
	if !strings.Contains(w.Silent, `\x1b[2J is not running`) {
		t.Errorf("silent: %q", w.Silent)
	}
}

// rewrite puts another program in the place of one that may be run at any moment.
// Another process writes it: a child that this one forks meanwhile would hold the
// file open for writing, and it could not be run ("text file busy").
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `cat >"$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0"`, path)
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
