package daemon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"ipsecdiag/analyze"
)

// relayReach reaches a daemon as a watch does, by a relay.
type relayReach struct {
	Reach
	t *testing.T
}

func (r relayReach) Vici() (net.Conn, error) {
	daemon, err := r.Reach.Vici()
	if err != nil {
		return nil, err
	}
	theirs, ours := sockets(r.t)
	go func() {
		if err := Relay(ours, daemon); err != nil {
			r.t.Error(err)
		}
	}()
	return struct{ net.Conn }{theirs}, nil
}

// TestAllQuestionsPassTheRelay holds that what Watch asks is known by heart: a list
// of SAs, one of connections, and what happens.
func TestAllQuestionsPassTheRelay(t *testing.T) {
	c := startCharon(t, "")
	c.sas = [][]byte{listed("7", "CONNECTING")}
	o := Options{Vici: c.path}
	o.Reach = relayReach{Direct(o), t}
	l := listen(t, o)
	l.word("connections", func(w *analyze.Word) bool { return w.Whole && len(w.Connections) == 1 })
	l.word("SAs", func(w *analyze.Word) bool { return len(w.SAs) == 1 })
	c.holds(listed("7", "ESTABLISHED"))
	c.send(packet(packetEvent, "ike-updown", kv("up", "yes"), section5("7", "ESTABLISHED")))
	l.word("a changed SA", func(w *analyze.Word) bool { return len(w.SAs) == 1 && w.SAs[0].State == "ESTABLISHED" })
	l.end()
}

// TestNoCommandPassesTheRelay holds that nothing reaches strongSwan but questions,
// however they are cut into pieces.
func TestNoCommandPassesTheRelay(t *testing.T) {
	version := asked(opRequest, "version")
	register := asked(opRegister, "log")
	for name, refused := range map[string][]byte{
		"terminate":        asked(opRequest, "terminate", kv("ike", "net")),
		"load-conn":        asked(opRequest, "load-conn", sub("net", sub("children", sub("all", kv("updown", "/bin/sh"))))),
		"load-shared":      asked(opRequest, "load-shared", kv("type", "ike"), kv("data", "mine")),
		"clear-creds":      asked(opRequest, "clear-creds"),
		"a blocking list":  asked(opRequest, "list-sas"),
		"an unknown event": asked(opRegister, "control-log"),
		"more":             asked(opRequest, "version", kv("and", "more")),
		"no end":           {0xff, 0xff, 0xff, 0xff, 0},
		"no content":       {0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			asker, ours := sockets(t)
			theirs, daemon := sockets(t)
			ended := make(chan error, 1)
			go func() { ended <- Relay(ours, theirs) }()
			go func() {
				asker.Write(version)
				asker.Write(register[:2])
				asker.Write(register[2:])
				asker.Write(append(refused, version...))
			}()
			arrived, err := io.ReadAll(daemon)
			if want := string(version) + string(register); err != nil || string(arrived) != want {
				t.Errorf("%v, got %q, want %q", err, arrived, want)
			}
			if err := <-ended; !errors.Is(err, errNoQuestion) {
				t.Errorf("got %v", err)
			}
			if left, err := io.ReadAll(asker); len(left) > 0 || err != nil && !isReset(err) {
				t.Errorf("%q, %v", left, err)
			}
		})
	}
}

// asked is a packet to the daemon.
func asked(op byte, name string, elements ...[]byte) []byte {
	return packet(op, "", append([][]byte{key(name)}, elements...)...)
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// TestQuestionsMayComeByteByByte holds that a question is known however it is cut.
func TestQuestionsMayComeByteByByte(t *testing.T) {
	var all, got []byte
	for q := range questions {
		all = append(all, q...)
		if n := binary.BigEndian.Uint32([]byte(q)); int(n) != len(q)-4 || n > maxQuestion {
			t.Errorf("%q says %d", q, n)
		}
	}
	r, w := io.Pipe()
	go func() {
		if err := passQuestions(w, iotest.OneByteReader(bytes.NewReader(all))); err != nil {
			t.Error(err)
		}
		w.Close()
	}()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != string(all) {
		t.Errorf("%v, got %q, want %q", err, got, all)
	}
}
