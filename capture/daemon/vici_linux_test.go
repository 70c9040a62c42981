package daemon

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// patience ends a test that hangs.
const patience = 30 * time.Second

// listener is a running Watch.
type listener struct {
	t      *testing.T
	events chan analyze.Event
	done   chan struct{}
	cancel context.CancelFunc
}

func listen(t *testing.T, o Options) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{t: t, events: make(chan analyze.Event, 4096), done: make(chan struct{}), cancel: cancel}
	if o.Whack == "" {
		o.Whack = None
	}
	o.Host = "glass"
	go func() {
		defer close(l.done)
		for e, err := range Watch(ctx, o) {
			if err != nil {
				t.Errorf("Watch yields %v", err)
			}
			l.events <- e
		}
	}()
	t.Cleanup(l.end)
	return l
}

// end cancels, and holds that it ends.
func (l *listener) end() {
	l.cancel()
	select {
	case <-l.done:
	case <-time.After(patience):
		l.t.Error("Watch does not end with its context")
	}
}

// word waits for a word for which want returns true.
func (l *listener) word(what string, want func(*analyze.Word) bool) *analyze.Word {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-l.events:
			d, ok := e.(*analyze.Daemon)
			if !ok {
				continue
			}
			if d.Origin.Host != "glass" || d.Time.IsZero() || d.Word == nil || d.Word.Daemon == "" {
				l.t.Fatalf("%+v", d)
			}
			if want(d.Word) {
				return d.Word
			}
		case <-timeout:
			l.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (l *listener) saying(topic analyze.Topic) *analyze.Saying {
	l.t.Helper()
	return l.word(string(topic), func(w *analyze.Word) bool { return w.Saying != nil && w.Saying.Topic == topic }).Saying
}

func whole(w *analyze.Word) bool { return w.Whole }

func TestStrongSwanTellsWhatItHolds(t *testing.T) {
	c := startCharon(t, "")
	c.sas = [][]byte{listed("1", "ESTABLISHED")}
	l := listen(t, Options{Vici: c.path})
	w := l.word("connections", whole)
	want := analyze.Connection{
		Name: "net", IKE: "IKEv2", LocalAddrs: []string{"fd00::1"}, RemoteAddrs: []string{"fd00::2"},
		LocalID: "glass", RemoteID: "teapot", LocalAuth: "pre-shared key", RemoteAuth: "pre-shared key",
		Children: []analyze.Child{{Name: "all", Mode: "TRANSPORT", LocalTS: []string{"dynamic"}, RemoteTS: []string{"dynamic"}}},
	}
	if w.Daemon != analyze.StrongSwan || w.Version != "5.9.8" || w.Via != "vici" || len(w.Connections) != 1 || !reflect.DeepEqual(w.Connections[0], want) {
		t.Errorf("got %+v", w)
	}
	w = l.word("SAs", func(w *analyze.Word) bool { return len(w.SAs) > 0 })
	sa := analyze.DaemonSA{
		ID: "1", Connection: "net", Major: 2, State: "ESTABLISHED", Initiator: true, LocalID: "glass", RemoteID: "teapot",
		Local: netip.MustParseAddrPort("[fd00::1]:500"), Remote: netip.MustParseAddrPort("[fd00::2]:500"), InitiatorSPI: 0xa1, ResponderSPI: 0xb1,
		Children: []analyze.DaemonChild{{ID: "1", Name: "all", State: "INSTALLED", Mode: "TRANSPORT", ReqID: 1, SPIIn: 0xc0ffee01, SPIOut: 0xc0ffee02,
			LocalTS: []string{"fd00::1/128"}, RemoteTS: []string{"fd00::2/128"}}},
	}
	if w.Whole || !reflect.DeepEqual(w.SAs, []analyze.DaemonSA{sa}) {
		t.Errorf("got %+v", w)
	}
	for _, heard := range c.commands() {
		if !slices.Contains(append([]string{"version", "list-conns", "list-sas", "list-conn", "list-sa"}, viciEvents...), heard) {
			t.Errorf("the daemon is sent %q", heard)
		}
	}
}

func (c *charon) commands() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

func (c *charon) holds(sas ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sas = sas
}

// TestWhatChangesIsTold: an SA that comes, changes and goes, and none that stays
// as it is.
func TestWhatChangesIsTold(t *testing.T) {
	c := startCharon(t, "")
	l := listen(t, Options{Vici: c.path})
	l.word("begin", whole)
	c.holds(listed("7", "CONNECTING"))
	c.send(logLine("7", "net", "generating IKE_SA_INIT request 0 [ SA KE No ]"))
	l.word("a new SA", func(w *analyze.Word) bool { return !w.Whole && len(w.SAs) == 1 && w.SAs[0].State == "CONNECTING" })
	c.holds(listed("7", "ESTABLISHED"))
	c.send(packet(packetEvent, "ike-updown", kv("up", "yes"), section5("7", "ESTABLISHED")))
	l.word("a changed SA", func(w *analyze.Word) bool { return len(w.SAs) == 1 && w.SAs[0].State == "ESTABLISHED" })
	c.holds()
	c.send(packet(packetEvent, "ike-updown", section5("7", "DELETING")))
	l.word("an SA that is gone", func(w *analyze.Word) bool { return slices.Equal(w.Gone, []string{"7"}) })
}

func TestASayingKnowsItsConnectionAndItsEnds(t *testing.T) {
	c := startCharon(t, "")
	l := listen(t, Options{Vici: c.path})
	l.word("begin", whole)
	c.send(logLine("3", unnamed, "received packet: from fd00::2[500] to fd00::1[4500] (464 bytes)"))
	c.send(logLine("3", "net", "tried 1 shared key for 'glass' - 'teapot', but MAC mismatched"))
	y := l.saying(analyze.SaidAuthFailed)
	if y.Connection != "net" || y.SA != "3" || y.FromPeer || y.Local.String() != "[fd00::1]:4500" || y.Remote.String() != "[fd00::2]:500" {
		t.Errorf("got %+v", y)
	}
	c.send(packet(packetEvent, "ike-updown", section5("4", "DELETING")))
	c.send(logLine("4", "net", "received TS_UNACCEPTABLE notify, no CHILD_SA built"))
	if y := l.saying(analyze.SaidTSUnacceptable); y.SPI != 0xa1 || !y.FromPeer || y.Remote.Addr() != netip.MustParseAddr("fd00::2") {
		t.Errorf("got %+v", y)
	}
	c.send(logLine("", "", "no IKE config found for fd00::1...fd00::9, sending NO_PROPOSAL_CHOSEN"))
	if y := l.saying(analyze.SaidNoConnection); y.Remote.Addr() != netip.MustParseAddr("fd00::9") || y.Local.Addr() != netip.MustParseAddr("fd00::1") {
		t.Errorf("got %+v", y)
	}
}

// TestOnlyWhatIsKnownIsHandedOn: a level of the developers, and a line that
// nobody knows, may hold a key.
func TestOnlyWhatIsKnownIsHandedOn(t *testing.T) {
	const secret = "s3cr3t-in-a-log-line"
	c := startCharon(t, "")
	l := listen(t, Options{Vici: c.path})
	l.word("begin", whole)
	for _, level := range []string{"2", "3", "4", "", "x"} {
		c.send(leveled(level, "1", "net", "received AUTHENTICATION_FAILED notify error "+secret))
	}
	c.send(logLine("1", "net", "Sk_ei secret => 16 bytes @ 0x7f "+secret))
	c.send(logLine("1", "net", "giving up after 5 retransmits"))
	timeout := time.After(patience)
	for {
		select {
		case e := <-l.events:
			blob, err := analyze.EncodeEvent(e)
			if err != nil || strings.Contains(string(blob), secret) {
				t.Fatalf("%s, %v", blob, err)
			}
			if d, ok := e.(*analyze.Daemon); ok && d.Word.Saying != nil {
				if y := d.Word.Saying; y.Topic != analyze.SaidNotResponding || y.N != 5 {
					t.Errorf("got %+v", y)
				}
				return
			}
		case <-timeout:
			t.Fatal("waited in vain")
		}
	}
}

// TestADaemonThatRestartsIsHeardAgain also begins before there is one.
func TestADaemonThatRestartsIsHeardAgain(t *testing.T) {
	path := t.TempDir() + "/charon.vici"
	l := listen(t, Options{Vici: path, Warn: func(s string) { t.Errorf("warned: %s", s) }})
	c := startCharon(t, path)
	l.word("the daemon", whole)
	c.stop()
	if w := l.word("its end", func(w *analyze.Word) bool { return w.Silent != "" }); w.Silent != errEnded.Error() {
		t.Errorf("silent: %q", w.Silent)
	}
	os.Remove(path)
	startCharon(t, path)
	l.word("the daemon again", whole)
}

// TestEventsMayComeWhileOthersAreAskedFor: govici alone locks up here.
func TestEventsMayComeWhileOthersAreAskedFor(t *testing.T) {
	c := startCharon(t, "")
	c.chatty = true
	l := listen(t, Options{Vici: c.path})
	seen := map[string]bool{}
	l.word("what it holds and what it said", func(w *analyze.Word) bool {
		if w.Saying != nil {
			seen["said"] = true
		}
		seen["whole"] = seen["whole"] || w.Whole
		return seen["said"] && seen["whole"]
	})
}

// TestLongListsAreWhole: govici alone drops what is beyond 128.
func TestLongListsAreWhole(t *testing.T) {
	const many = 3000
	c := startCharon(t, "")
	for i := range many {
		c.sas = append(c.sas, listed(fmt.Sprint(i), "ESTABLISHED"))
	}
	l := listen(t, Options{Vici: c.path})
	seen := map[string]bool{}
	l.word("all SAs", func(w *analyze.Word) bool {
		blob, err := analyze.EncodeEvent(&analyze.Daemon{Word: w})
		if err != nil || len(blob) > 4*maxEventBytes {
			t.Fatalf("an event of %d bytes, %v", len(blob), err)
		}
		for _, sa := range w.SAs {
			seen[sa.ID] = true
		}
		return len(seen) == many
	})
}

// TestADaemonThatDoesNotAnswer holds up neither the end nor a second daemon that
// takes its place.
func TestADaemonThatDoesNotAnswer(t *testing.T) {
	c := startCharon(t, "")
	c.mute = true
	l := listen(t, Options{Vici: c.path})
	for len(c.commands()) == 0 {
		time.Sleep(time.Millisecond)
	}
	l.end()
}

func TestABabblerIsCutShort(t *testing.T) {
	c := startCharon(t, "")
	l := listen(t, Options{Vici: c.path})
	l.word("begin", whole)
	line := logLine("1", "net", "received AUTHENTICATION_FAILED notify error")
	for range 3 * budgetSize {
		c.send(line)
	}
	said := 0
	timeout := time.After(patience)
	for {
		select {
		case e := <-l.events:
			switch e := e.(type) {
			case *analyze.Daemon:
				said++
			case *analyze.Lost:
				if e.What != "words of strongSwan" || e.Count == 0 || said < budgetSize/2 {
					t.Errorf("%+v after %d sayings", e, said)
				}
				return
			}
		case <-timeout:
			t.Fatalf("%d sayings and nothing lost", said)
		}
	}
}

// TestWhatABabblerLosesIsToldNowAndThen holds that the losses of a daemon that goes
// on are told together: each by itself would be as much as what was cut.
func TestWhatABabblerLosesIsToldNowAndThen(t *testing.T) {
	c := startCharon(t, "")
	l := listen(t, Options{Vici: c.path})
	l.word("begin", whole)
	line := logLine("1", "net", "received AUTHENTICATION_FAILED notify error")
	const losses = 6
	told, began := 0, time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for told < losses {
		select {
		case e := <-l.events:
			if _, ok := e.(*analyze.Lost); ok {
				told++
			}
		case <-tick.C:
			c.send(line)
		}
	}
	// The first may come at once; no two are nearer than askSettle.
	if took := time.Since(began); took < (losses-2)*askSettle {
		t.Errorf("losses were told %d times in %v", told, took)
	}
}

// TestAHostileSocket sends what is no vici: Watch goes on and ends.
func TestAHostileSocket(t *testing.T) {
	for name, b := range map[string][]byte{
		"large":  binary.BigEndian.AppendUint32(nil, 1<<31),
		"empty":  make([]byte, 4),
		"text":   []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"cut":    {0, 0, 0, 9, packetEvent, 200, 'l'},
		"nested": packet(packetEvent, "log", []byte{elSection, 1, 'a', elSection, 1, 'b'}),
	} {
		t.Run(name, func(t *testing.T) {
			c := startCharon(t, "")
			l := listen(t, Options{Vici: c.path})
			l.word("begin", whole)
			c.send(b)
			c.send(b)
			c.stop()
			l.word("its end", func(w *analyze.Word) bool { return w.Silent != "" })
		})
	}
}
