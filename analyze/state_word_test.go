package analyze

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
)

func at500(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 500) }

// said folds a saying of glass's strongSwan.
func (s *stream) said(y Saying) { s.apply(wordOf(&Word{Saying: &y})) }

func refusedBy(peer netip.Addr) Saying {
	return Saying{
		Topic: SaidAuthFailed, FromPeer: true, Connection: "net", SA: "1",
		Local: at500(glass), Remote: at500(peer), Line: "received AUTHENTICATION_FAILED notify error",
	}
}

func TestASayingBelongsToThePairOfItsAddresses(t *testing.T) {
	s := newStream(t)
	s.said(refusedBy(teapot))
	y, ok := s.onlyView().LastSaid(SaidAuthFailed)
	if !ok || y.Connection != "net" || y.At != s.state.Now || y.Daemon != StrongSwan || y.Times != 1 {
		t.Errorf("got %+v, %v", y, ok)
	}
	if len(s.onlyView().Said(SaidNoProposal)) != 0 || len(s.onlyView().Said()) != 1 {
		t.Error("topics do not select")
	}
	if got := s.state.Trace().Views; len(got) != 1 || got[0] != s.onlyView() {
		t.Errorf("the trace has %d views", len(got))
	}
}

// TestASayingFollowsItsSPI: behind a NAT the daemon's addresses are not those
// under which the IKE SA was first seen.
func TestASayingFollowsItsSPI(t *testing.T) {
	s := newStream(t)
	s.frame(message{from: "i", exchange: ike.ExchangeIKESAInit, flags: 8}.frame())
	y := refusedBy(netip.MustParseAddr("fd00::99"))
	y.SPI = 0xa1
	s.said(y)
	if v := s.onlyView(); v.Pair.Key != MakePairKey(glass, teapot) || len(v.Said()) != 1 {
		t.Errorf("%v: %d sayings", v.Pair.Key, len(v.Said()))
	}
}

func TestWhatIsSaidAgainIsCounted(t *testing.T) {
	s := newStream(t)
	s.said(refusedBy(teapot))
	first := s.state.Now
	s.said(Saying{Topic: SaidRetransmit, N: 1, Connection: "net", SA: "1", Local: at500(glass), Remote: at500(teapot), Line: "retransmit 1"})
	s.said(Saying{Topic: SaidRetransmit, N: 2, Connection: "net", SA: "1", Local: at500(glass), Remote: at500(teapot), Line: "retransmit 2"})
	s.said(refusedBy(teapot))
	all := s.onlyView().Said()
	if len(all) != 2 || all[0].N != 2 || all[0].Times != 2 || all[1].Times != 2 || all[1].First != first || all[1].At != s.state.Now {
		t.Errorf("got %+v", all)
	}
}

func TestSayingsAreBounded(t *testing.T) {
	s := newStream(t)
	for i := range 3 * maxSayings {
		y := refusedBy(teapot)
		y.Line = fmt.Sprint(i)
		s.said(y)
		s.said(Saying{Topic: SaidNoConnection, Line: y.Line})
	}
	if n, m := len(s.onlyView().Said()), len(s.state.Hosts[0].Sayings); n != maxSayings || m != maxSayings {
		t.Errorf("%d of the pair and %d of the host are kept, want %d", n, m, maxSayings)
	}
	if y, _ := s.onlyView().LastSaid(); y.Line != fmt.Sprint(3*maxSayings-1) {
		t.Errorf("the latest is %q", y.Line)
	}
}

func TestASayingWithoutALocalAddressFindsIt(t *testing.T) {
	s := newStream(t)
	s.apply(kernel())
	y := refusedBy(teapot)
	y.Local = netip.AddrPort{}
	s.said(y)
	if v := s.onlyView(); v.Local != glass || v.Peer != teapot {
		t.Errorf("%v ↔ %v", v.Local, v.Peer)
	}
	y.Remote = at500(netip.MustParseAddr("2001:db8::1")) // behind a gateway: any own address may be meant
	s.said(y)
	if len(s.state.Hosts[0].Sayings) != 1 {
		t.Errorf("%d sayings belong to no pair", len(s.state.Hosts[0].Sayings))
	}
}

func TestALinkLocalSayingHasItsZone(t *testing.T) {
	s := newStream(t)
	s.apply(kernel())
	y := refusedBy(netip.MustParseAddr("fe80::2"))
	y.Local = at500(netip.MustParseAddr("fe80::1"))
	s.said(y)
	if v := s.onlyView(); v.Peer.Zone() != "eth0" {
		t.Errorf("the pair is %v", v.Pair.Key)
	}
}

func TestADaemonTellsWhatItHolds(t *testing.T) {
	s := newStream(t)
	s.apply(kernel())
	up := DaemonSA{ID: "7", Connection: "net", State: "ESTABLISHED", Local: at500(glass), Remote: at500(teapot)}
	half := DaemonSA{ID: "8", Connection: "net", State: "CONNECTING", Local: at500(glass), Remote: at500(teapot)}
	s.apply(wordOf(&Word{
		Whole: true, SAs: []DaemonSA{up},
		Connections: []Connection{
			{Name: "net"}, {Name: "other", RemoteAddrs: []string{"fd00::3"}},
			{Name: "same", LocalAddrs: []string{"%any"}, RemoteAddrs: []string{"fd00::2"}},
		},
	}))
	s.apply(wordOf(&Word{SAs: []DaemonSA{half}}))
	v := s.onlyView()
	if got := v.DaemonSAs(); len(got) != 2 || got[1].State != "CONNECTING" {
		t.Errorf("SAs %+v", got)
	}
	if got := v.Connections(); len(got) != 2 || got[0].Name != "net" || got[1].Name != "same" {
		t.Errorf("connections %+v", got)
	}
	s.apply(wordOf(&Word{Gone: []string{"7"}}))
	if got := v.DaemonSAs(); len(got) != 1 || got[0].ID != "8" {
		t.Errorf("after one is gone: %+v", got)
	}
	s.apply(wordOf(&Word{Silent: "EOF"}))
	d := s.state.Hosts[0].IKEDaemons[0]
	if len(d.SAs) != 0 || d.Silent != "EOF" || d.Name() != "strongSwan 5.9.8" {
		t.Errorf("silent: %+v", d)
	}
	s.apply(wordOf(&Word{Whole: true}))
	if d.Silent != "" || d.Heard != s.state.Now || d.Since == d.Heard {
		t.Errorf("heard again: %+v", d)
	}
}

// TestAWordChangesNothingElse: who listens for ACQUIREs, and what is audited,
// is the kernel's to tell.
func TestAWordChangesNothingElse(t *testing.T) {
	s := newStream(t)
	k := kernel()
	k.Listeners = []Listener{{Via: "netlink", Name: "charon"}}
	s.apply(k)
	h := s.state.Hosts[0]
	generation := h.Generation
	s.said(refusedBy(teapot))
	s.apply(wordOf(&Word{Whole: true}))
	if len(h.Listeners) != 1 || h.Generation != generation {
		t.Errorf("%d listeners, generation %d after %d", len(h.Listeners), h.Generation, generation)
	}
}

func TestBothEndsDaemonsAreHeard(t *testing.T) {
	s := newStream(t)
	s.said(refusedBy(teapot))
	s.pass(time.Second)
	w := wordOf(&Word{Saying: &Saying{Topic: SaidAuthFailed, Local: at500(teapot), Remote: at500(glass), Line: "MAC mismatched"}})
	w.Head().Origin = Origin{Host: "teapot"}
	s.apply(w)
	all := s.views()[0].Pair.Said()
	if len(all) != 2 || all[0].At.Origin().Host != "glass" || all[1].At.Origin().Host != "teapot" {
		t.Errorf("got %+v", all)
	}
}

// TestWordsSayItAgain: what a recording begins with tells the same.
func TestWordsSayItAgain(t *testing.T) {
	s := newStream(t)
	w := &Word{Whole: true}
	for i := range 3*wordSize + 1 {
		w.Connections = append(w.Connections, Connection{Name: fmt.Sprint(i)})
		w.SAs = append(w.SAs, DaemonSA{ID: fmt.Sprint(i)})
	}
	s.apply(wordOf(w))
	again := newStream(t)
	for _, w := range s.state.Hosts[0].Words() {
		if len(w.Connections)+len(w.SAs) > wordSize {
			t.Errorf("%d connections and %d SAs in one", len(w.Connections), len(w.SAs))
		}
		again.apply(&Daemon{Word: &w})
	}
	a, b := s.state.Hosts[0].IKEDaemons[0], again.state.Hosts[0].IKEDaemons[0]
	if !reflect.DeepEqual(a.Connections, b.Connections) || !reflect.DeepEqual(a.SAs, b.SAs) || b.Version != "5.9.8" {
		t.Errorf("%d connections and %d SAs, want %d and %d", len(b.Connections), len(b.SAs), len(a.Connections), len(a.SAs))
	}
	s.apply(wordOf(&Word{Silent: "EOF"}))
	if len(s.state.Hosts[0].Words()) != 0 {
		t.Error("a silent daemon is told of")
	}
}
