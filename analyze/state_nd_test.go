package analyze

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

// ask and tell are a solicitation of glass for teapot and its answer.
func ask(t testing.TB) []byte  { return solicitation(t, glass, SolicitedNode(teapot), teapot) }
func tell(t testing.TB) []byte { return advertisement(t, teapot, glass, teapot, 255) }

// search returns the search of glass for teapot.
func (s *stream) search() *Resolution {
	s.t.Helper()
	p := s.state.Pair(glass, teapot)
	if p == nil {
		s.t.Fatal("no pair")
	}
	r := p.Views[0].Resolution(glass, teapot)
	if r == nil {
		s.t.Fatal("no search")
	}
	return r
}

func TestASearchCountsItsSolicitationsUntilTheAnswer(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	first := s.state.Now
	s.pass(time.Second)
	s.frame(ask(t))
	r := s.search()
	if !r.Open() || r.Count != 2 || r.Repeats != 1 || r.First != first || r.Last != s.state.Now || r.Unicast != 0 || r.ARP {
		t.Errorf("before the answer: %+v", r)
	}
	s.pass(20 * time.Second)
	s.frame(ask(t))
	if r.Count != 3 || r.Repeats != 1 {
		t.Errorf("a probe long after: %+v", r)
	}
	s.frame(tell(t))
	if r.Open() || r.Answered != 1 || r.LastAnswer != s.state.Now || r.Count != 0 {
		t.Errorf("after the answer: %+v", r)
	}
	if v := s.onlyView(); len(v.Resolutions) != 1 {
		t.Errorf("%d searches, want 1", len(v.Resolutions))
	}
}

func TestAskingAgainSoonAfterTheAnswerMeansThatItWasNotTaken(t *testing.T) {
	tests := []struct {
		name  string
		pause time.Duration
		want  int
	}{
		{"a second later", time.Second, 1},
		{"after a full resolution", 3200 * time.Millisecond, 0},
		{"half a minute later", 30 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.frame(ask(t))
			s.frame(tell(t))
			s.pass(tt.pause)
			s.frame(ask(t))
			if r := s.search(); r.Reasked != tt.want || r.Count != 1 || r.First != s.state.Now {
				t.Errorf("%+v, want %d asked again, a new round", r, tt.want)
			}
		})
	}
	t.Run("again and again", func(t *testing.T) {
		s := newStream(t)
		for range 4 {
			s.frame(ask(t))
			s.frame(tell(t))
			s.pass(time.Second)
		}
		if r := s.search(); r.Reasked != 3 || r.Answered != 4 {
			t.Errorf("asked again %d times after %d answers, want 3 and 4", r.Reasked, r.Answered)
		}
		s.pass(time.Minute)
		s.frame(ask(t))
		if r := s.search(); r.Reasked != 0 {
			t.Errorf("a minute later the count is still %d", r.Reasked)
		}
	})
}

func TestAProbeIsASolicitationToTheTargetItself(t *testing.T) {
	s := newStream(t)
	s.frame(solicitation(t, glassLL, teapot, teapot))
	link := glassLL.WithZone("eth0")
	p := s.state.Pair(link, teapot)
	if p == nil {
		t.Fatal("no pair with the zoned link-local address")
	}
	r := p.Views[0].Resolution(link, teapot)
	if r == nil || r.Unicast != 1 || r.Count != 1 {
		t.Fatalf("search %+v, want one unicast solicitation", r)
	}
	if !p.Views[0].LastUnicast(link).IsZero() || !p.Views[0].LastUnicast(teapot).IsZero() {
		t.Error("a probe is taken for traffic, though it asks whether any gets through")
	}
	s.frame(advertisement(t, teapot, glassLL, teapot, 255))
	if r.Open() || r.Answered != 1 || p.Views[0].LastUnicast(teapot) != s.state.Now {
		t.Errorf("the answer was not taken: %+v", r)
	}
}

func TestAMulticastSolicitationIsNoUnicastFrame(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	if v := s.onlyView(); !v.LastUnicast(glass).IsZero() || !v.LastUnicast(teapot).IsZero() {
		t.Error("it is noted as unicast")
	}
}

func TestWhatIsNoSearchIsIgnored(t *testing.T) {
	routed := ask(t)
	routed[14+7] = 254
	code := ask(t)
	code[14+40+1] = 1
	short := ask(t)[:14+40+20]
	binary.BigEndian.PutUint16(short[14+4:], 20)
	ns := cat([]byte{spd.NeighborSolicitation, 0, 0, 0}, u32(0), teapot.AsSlice())
	tests := []struct {
		name  string
		frame []byte
	}{
		{"duplicate address detection", solicitation(t, netip.IPv6Unspecified(), SolicitedNode(teapot), teapot)},
		{"a solicitation through a router", routed},
		{"a solicitation with a code", code},
		{"a solicitation without its target", short},
		{"a solicitation in fragments (RFC 6980)", etherIP(ip6(glass, teapot, protoFragment, fragment(spd.ProtoICMPv6, 0, false, 1, ns)))},
		{"a solicitation for a multicast address", solicitation(t, glass, allNode, allNode)},
		{"a solicitation for nothing", solicitation(t, glass, allNode, netip.IPv6Unspecified())},
		{"a solicitation for the asker itself", solicitation(t, glass, SolicitedNode(glass), glass)},
		{"an advertisement through a router", advertisement(t, teapot, glass, teapot, 64)},
		{"an advertisement to all nodes", advertisement(t, teapot, allNode, teapot, 255)},
		{"an ARP probe", arp(t, arpRequest, broadcast, netip.IPv4Unspecified(), teapot4)},
		{"an ARP announcement", arp(t, arpRequest, broadcast, glass4, glass4)},
		{"ARP of an unknown operation", arp(t, 3, broadcast, glass4, teapot4)},
		{"RFC 826 for another protocol", ether(etherTypeARP, cat(u16(1), u16(0x86dd), []byte{6, 4}, u16(1), make([]byte, 20)))},
		{"ARP whose lengths lie", ether(etherTypeARP, cat(u16(1), u16(etherTypeIPv4), []byte{0x60, 4}, u16(1), make([]byte, 20)))},
		{"ARP cut short", ether(etherTypeARP, cat(u16(1), u16(etherTypeIPv4), []byte{6, 4}, u16(1), make([]byte, 19)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.frame(tt.frame)
			if v := s.views(); len(v) != 0 {
				t.Errorf("it made pair %s with %+v", v[0].Pair.Key, v[0].Resolutions)
			}
		})
	}
}

func TestAnAdvertisementToAllEndsNobodysSearch(t *testing.T) {
	s := newStream(t)
	s.frame(ask(t))
	s.frame(advertisement(t, teapot, allNode, teapot, 255))
	if r := s.search(); !r.Open() || r.Answered != 0 {
		t.Errorf("%+v", r)
	}
}

func TestARPIsASearchToo(t *testing.T) {
	s := newStream(t)
	s.frame(arp(t, arpRequest, broadcast, glass4, teapot4))
	s.frame(arp(t, arpRequest, teapotMAC, glass4, teapot4))
	v := s.onlyView()
	r := v.Resolution(glass4, teapot4)
	if r == nil || !r.ARP || r.Count != 2 || r.Unicast != 1 {
		t.Fatalf("search %+v, want two requests, one of them unicast", r)
	}
	s.frame(arp(t, arpReply, glassMAC, teapot4, glass4))
	if r.Open() || r.Answered != 1 {
		t.Errorf("after the reply: %+v", r)
	}
	if len(v.Resolutions) != 1 {
		t.Errorf("%d searches, want 1", len(v.Resolutions))
	}
}

func TestTheDirectionsOfASearchAreKept(t *testing.T) {
	s := newStream(t)
	s.apply(&Frame{Link: LinkEthernet, Direction: DirIn, Data: ask(t)})
	s.apply(&Frame{Link: LinkEthernet, Direction: DirOut, Data: tell(t)})
	if r := s.search(); r.Direction != DirIn || r.AnswerDir != DirOut {
		t.Errorf("asked %s, answered %s; want in, out", r.Direction, r.AnswerDir)
	}
}

func TestLinkLocalAddressesOnTwoLinksAreTwoPairs(t *testing.T) {
	s := newStream(t)
	for _, dev := range []string{"eth0", "eth1"} {
		s.apply(&Frame{
			Header: Header{Origin: Origin{Host: "glass", Interface: dev}}, Link: LinkEthernet,
			Data: solicitation(t, glassLL, teapot, teapot),
		})
	}
	if n := len(s.views()); n != 2 {
		t.Errorf("%d pairs, want 2", n)
	}
}

func TestSolicitedNodeAddresses(t *testing.T) {
	a := netip.MustParseAddr("fd00::12:3456")
	if got := SolicitedNode(a); got != netip.MustParseAddr("ff02::1:ff12:3456") || !IsSolicitedNode(got) {
		t.Errorf("SolicitedNode(%s) = %s", a, got)
	}
	if SolicitedNode(glass4).IsValid() || SolicitedNode(allNode).IsValid() || IsSolicitedNode(allNode) || IsSolicitedNode(glass4) {
		t.Error("IPv4 or multicast addresses have one")
	}
}
