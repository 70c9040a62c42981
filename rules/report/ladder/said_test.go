package ladder

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
)

// TestADaemonsWordIsOnItsLine folds what a daemon says into the ladder of the
// pair: repeated sayings once, each on the daemon's own line.
func TestADaemonsWordIsOnItsLine(t *testing.T) {
	a, b := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	state, tl := analyze.NewState(analyze.Limits{}), timeline.New(timeline.Limits{})
	see := func(at time.Duration, e analyze.Event) {
		*e.Head() = analyze.Header{Time: base.Add(at), Mono: at, Origin: analyze.Origin{Host: "glass"}}
		state.Apply(e)
		tl.Apply(state, e)
	}
	say := func(at time.Duration, y analyze.Saying) {
		y.Connection, y.Local, y.Remote = "net\x1b", netip.AddrPortFrom(a, 500), netip.AddrPortFrom(b, 500)
		see(at, &analyze.Daemon{Word: &analyze.Word{Daemon: analyze.StrongSwan, Via: "vici", Saying: &y}})
	}
	see(0, &analyze.Snapshot{KernelState: analyze.KernelState{Addresses: []analyze.Address{{Prefix: netip.MustParsePrefix("fd00::1/64"), IfIndex: 2}}}})
	see(1, &analyze.Daemon{Word: &analyze.Word{Daemon: analyze.StrongSwan, Via: "vici", Whole: true, Connections: make([]analyze.Connection, 3)}})
	say(time.Second, analyze.Saying{Topic: analyze.SaidInitiating, Line: "initiating IKE_SA"})
	for n := range 3 {
		say(time.Duration(2+n)*time.Second, analyze.Saying{Topic: analyze.SaidRetransmit, N: n + 1, Line: "retransmit"})
	}
	say(9*time.Second, analyze.Saying{Topic: analyze.SaidAuthFailed, FromPeer: true, Line: "received AUTHENTICATION_FAILED notify error"})
	see(10*time.Second, &analyze.Daemon{Word: &analyze.Word{Daemon: analyze.StrongSwan, Via: "vici", Silent: "EOF"}})

	l := Build(Input{State: state, Timeline: tl}, analyze.MakePairKey(a, b)).Folded()
	var got []string
	for _, s := range l.Steps {
		if s.From != s.To || s.From.Role != IKE || s.Fate != Event || len(s.Detail) == 0 {
			t.Errorf("%+v", s)
		}
		got = append(got, s.Label)
	}
	want := "strongSwan tells of itself|strongSwan: initiating (net\x1b)|strongSwan: retransmit (net\x1b)|" +
		"strongSwan: authentication failed, the peer says (net\x1b)|strongSwan is not heard any more"
	if strings.Join(got, "|") != want || l.Steps[2].Count != 3 {
		t.Errorf("got %q", got)
	}
	if text := draw(l, options()); strings.Contains(text, "\x1b") || !strings.Contains(text, "authentication failed") {
		t.Errorf("drawn as\n%s", text)
	}
}
