package analyze

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// told writes the exchanges of an IKE SA in short: who asked, type, message ID,
// round, how often each side's message was sent.
func told(sa *IKESA) string {
	var out []string
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		who := "r"
		if x.ByInitiator {
			who = "i"
		}
		out = append(out, fmt.Sprintf("%s%d/%d.%d:%d-%d", who, x.Type, x.MessageID, x.Round, x.Request.Count, x.Response.Count))
	}
	return strings.Join(out, " ")
}

func TestExchangesPairRequestsWithAnswers(t *testing.T) {
	const mm, qm, info = ike.ExchangeIdentityProtection, ike.ExchangeQuickMode, ike.ExchangeInformationalV1
	const auth, create, dpd = ike.ExchangeIKEAuth, ike.ExchangeCreateChildSA, ike.ExchangeInformational
	initAnswer := v2("r", ike.ExchangeIKESAInit, 0, answer)
	tests := []struct {
		name     string
		messages []message
		want     string
	}{
		{"asked three times", []message{init2(1), init2(1), init2(1)}, "i34/0.0:3-0"},
		{"answered, answer sent again", []message{init2(1), initAnswer, init2(1), initAnswer}, "i34/0.0:2-2"},
		{"a cookie", []message{init2(1), initAnswer, init2(2), {from: "r", rspi: 0xb2, exchange: 34, flags: answer, body: 9}},
			"i34/0.0:1-1 i34/0.1:1-1"},
		{"a late copy of the first request", []message{init2(1), initAnswer, init2(2), init2(1)}, "i34/0.0:2-1 i34/0.1:1-0"},
		{"up, then both ask under the same ID", []message{init2(1), initAnswer, v2("i", auth, 1, fromI), v2("r", auth, 1, answer),
			v2("r", dpd, 1, 0), v2("i", dpd, 1, fromI|answer), v2("i", dpd, 1, fromI)},
			"i34/0.0:1-1 i35/1.0:1-1 r37/1.0:1-1 i37/1.0:1-0"},
		{"a capture that begins with an answer", []message{v2("r", create, 4, answer)}, "i36/4.0:0-1"},
		{"Main Mode", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2), v1("i", 0xb2, mm, 0, 3), v1("i", 0xb2, mm, 0, 3),
			v1("r", 0xb2, mm, 0, 4), v1("i", 0xb2, mm, 0, 5), v1("r", 0xb2, mm, 0, 6)},
			"i2/0.0:1-1 i2/0.1:2-1 i2/0.2:1-1"},
		{"Main Mode: an old message again", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2), v1("i", 0xb2, mm, 0, 3),
			v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2)}, "i2/0.0:2-2 i2/0.1:1-0"},
		{"Quick Mode", []message{v1("i", 0, mm, 0, 9), v1("i", 0xb2, qm, 7, 1), v1("r", 0xb2, qm, 7, 2), v1("i", 0xb2, qm, 7, 3), v1("i", 0xb2, info, 8, 4)},
			"i2/0.0:1-0 i32/7.0:1-1 i32/7.1:1-0 i5/8.0:1-0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.ike(tt.messages...)
			if got := told(s.onlyIKE()); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestExchangesTellWhoWaits(t *testing.T) {
	const mm, qm, info = ike.ExchangeIdentityProtection, ike.ExchangeQuickMode, ike.ExchangeInformationalV1
	tests := []struct {
		name     string
		messages []message
		want     bool // the last exchange waits
	}{
		{"a request of IKEv2", []message{init2(1)}, true},
		{"an answered one", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer)}, false},
		{"the first of Main Mode", []message{v1("i", 0, mm, 0, 1)}, true},
		{"the last of Quick Mode", []message{v1("i", 0xb2, qm, 7, 1), v1("r", 0xb2, qm, 7, 2), v1("i", 0xb2, qm, 7, 3)}, false},
		{"the third of Main Mode, sent again", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2), v1("i", 0xb2, mm, 0, 3),
			v1("i", 0xb2, mm, 0, 3)}, true},
		{"a notification of IKEv1", []message{v1("i", 0xb2, info, 8, 4)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.ike(tt.messages...)
			sa := s.onlyIKE()
			if got := sa.Exchanges[len(sa.Exchanges)-1].WantsAnswer(); got != tt.want {
				t.Errorf("waits: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestExchangesKeepTimesPortsAndSizes(t *testing.T) {
	s := newStream(t)
	s.ike(init2(1), init2(1))
	moved := v2("i", ike.ExchangeIKEAuth, 1, fromI)
	moved.port = 4500
	s.ike(v2("r", ike.ExchangeIKESAInit, 0, answer), moved)
	sa := s.onlyIKE()
	x := sa.Exchange(ike.ExchangeIKESAInit)
	if got := x.Request.Last().Mono - x.Request.First().Mono; got != 100e6 {
		t.Errorf("sent again after %s, want 100ms", got)
	}
	if x.Request.First() != sa.First {
		t.Errorf("first sent %+v, want %+v", x.Request.First(), sa.First)
	}
	if x.Request.Size != 28+24 || x.Request.SrcPort != 500 || sa.Exchange(ike.ExchangeIKEAuth).Request.DstPort != 4500 {
		t.Errorf("%d bytes from port %d, then to port %d", x.Request.Size, x.Request.SrcPort, sa.Exchange(ike.ExchangeIKEAuth).Request.DstPort)
	}
	if sa.Exchange(ike.ExchangeCreateChildSA) != nil || !x.Response.First().Before(sa.Last) || !(&IKEMessage{}).First().IsZero() {
		t.Error("an exchange or a time that is not there")
	}
}

func TestExchangesAreBounded(t *testing.T) {
	s := newStream(t)
	s.ike(init2(1))
	for id := range uint32(100) {
		s.ike(v2("i", ike.ExchangeInformational, id+1, fromI))
	}
	sa := s.onlyIKE()
	if n := len(sa.Exchanges); n != firstIKEExchanges+latestIKEExchanges {
		t.Fatalf("%d exchanges are kept", n)
	}
	if sa.Exchanges[0].Type != ike.ExchangeIKESAInit || sa.Exchanges[len(sa.Exchanges)-1].MessageID != 100 {
		t.Errorf("kept %s", told(sa))
	}
	if n := unsafe.Sizeof(IKEExchange{}); n > 256 {
		t.Errorf("an exchange takes %d bytes", n)
	}
}

// skf is fragment n of total of an IKE_AUTH request.
func skf(n, total int) message {
	m := v2("i", ike.ExchangeIKEAuth, 1, fromI)
	m.first, m.payloads = ike.PayloadEncryptedFrag, cat([]byte{0, 0}, u16(8+32), u16(n), u16(total), make([]byte, 31), []byte{byte(n)})
	return m
}

func TestIKEFragmentsAreCounted(t *testing.T) {
	tests := []struct {
		name            string
		messages        []message
		count, seen     uint16
		whole           bool
		size, exchanges int
	}{
		{"all three", []message{skf(1, 3), skf(2, 3), skf(3, 3)}, 1, 3, true, 3 * 68, 1},
		{"all three, twice", []message{skf(1, 3), skf(2, 3), skf(3, 3), skf(1, 3), skf(2, 3), skf(3, 3)}, 2, 3, true, 3 * 68, 1},
		{"the second never", []message{skf(1, 3), skf(3, 3), skf(1, 3), skf(3, 3)}, 2, 2, false, 2 * 68, 1},
		{"the first never", []message{skf(2, 2), skf(2, 2), skf(2, 2)}, 3, 1, false, 68, 1},
		{"in any order", []message{skf(2, 2), skf(1, 2)}, 1, 2, true, 2 * 68, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.ike(tt.messages...)
			sa := s.onlyIKE()
			m := &sa.Exchanges[0].Request
			if m.Count != tt.count || m.Fragments != tt.seen || m.Whole() != tt.whole || int(m.Size) != tt.size || len(sa.Exchanges) != tt.exchanges {
				t.Errorf("sent %d times, %d of %d fragments, whole %t, %d bytes, %d exchanges", m.Count, m.Fragments, m.FragmentsOf,
					m.Whole(), m.Size, len(sa.Exchanges))
			}
		})
	}
}

// ipFragments cuts a datagram of IKE into two fragments of IP.
func ipFragments(id int, message []byte) (first, last []byte) {
	d := udp(500, 500, message)
	frame := func(offset, end, more int) []byte {
		return etherIP(ip4(glass4, teapot4, spd.ProtoUDP, id, more<<13|offset/8, nil, d[offset:end]))
	}
	return frame(0, 1480, 1), frame(1480, len(d), 0)
}

func TestIPFragmentsThatNeverBecomeWholeAreCounted(t *testing.T) {
	begin := ikeMessage(0xa1, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 50)
	large := ikeMessage(0xa1, ike.ExchangeIKEAuth, ike.FlagInitiator, 1, 2000)
	tests := []struct {
		name                        string
		feed                        func(s *stream)
		count, incomplete, headless int
	}{
		{"first ones only", func(s *stream) {
			for id := range 3 {
				first, _ := ipFragments(id, large)
				s.frame(first)
			}
		}, 0, 3, 0},
		{"later ones only", func(s *stream) {
			for id := range 3 {
				_, last := ipFragments(id, large)
				s.frame(last)
			}
		}, 0, 0, 3},
		{"whole", func(s *stream) {
			first, last := ipFragments(1, large)
			s.frame(first)
			s.frame(last)
		}, 1, 0, 0},
		{"whole, in the other order", func(s *stream) {
			first, last := ipFragments(1, large)
			s.frame(last)
			s.frame(first)
		}, 1, 0, 0},
		{"one of two whole", func(s *stream) {
			first, _ := ipFragments(1, large)
			s.frame(first)
			first, last := ipFragments(2, large)
			s.frame(last)
			s.frame(first)
		}, 1, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.frame(etherIP(ip4(glass4, teapot4, spd.ProtoUDP, 77, 0, nil, udp(500, 500, begin))))
			tt.feed(s)
			v := s.onlyView()
			var m IKEMessage
			if x := v.IKE[0].Exchange(ike.ExchangeIKEAuth); x != nil {
				m = x.Request
			}
			if int(m.Count) != tt.count || int(m.Incomplete) != tt.incomplete || v.Headless.Count != tt.headless {
				t.Errorf("%d whole, %d without the others, %d without the first", m.Count, m.Incomplete, v.Headless.Count)
			}
			if m.Seen() && (!m.IPFragments || m.Size != uint32(len(large))) {
				t.Errorf("IP fragments %t, %d bytes", m.IPFragments, m.Size)
			}
		})
	}
}

// notified is a notification payload; the last of its message unless next is set.
func notified(next ike.PayloadType, typ ike.NotifyType, data []byte) []byte {
	return cat([]byte{byte(next), 0}, u16(8+len(data)), []byte{0, 0}, u16(int(typ)), data)
}

// withNAT is an IKE_SA_INIT whose sender means to have these addresses.
func withNAT(m message, src, dst netip.AddrPort) message {
	hash := func(a netip.AddrPort) []byte {
		return ike.NATDetectionHash(ike.NATHashSHA1, 0xa1, ike.SPI(m.rspi), a)
	}
	m.first = ike.PayloadNotify
	m.payloads = cat(notified(ike.PayloadNotify, ike.NotifyNATDetectionSourceIP, hash(src)),
		notified(ike.PayloadNotify, ike.NotifyNATDetectionDestinationIP, hash(dst)),
		notified(0, ike.NotifyIKEv2FragmentationSupported, nil))
	return m
}

func TestNATDetectionTellsWhichEndIsBehindNAT(t *testing.T) {
	at := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 500) }
	inside := at(netip.MustParseAddr("fd00:1::1"))
	request := func(src netip.AddrPort) message { return withNAT(init2(1), src, at(teapot)) }
	reply := func(dst netip.AddrPort) message {
		return withNAT(v2("r", ike.ExchangeIKESAInit, 0, answer), at(teapot), dst)
	}
	tests := []struct {
		name     string
		messages []message
		i, r     NATSide
	}{
		{"none", []message{request(at(glass)), reply(at(glass))}, NATNone, NATNone},
		{"the initiator, seen behind it", []message{request(at(glass)), reply(inside)}, NATBehind, NATNone},
		{"the initiator, seen before it", []message{request(inside), reply(at(glass))}, NATBehind, NATNone},
		{"nothing said", []message{init2(1)}, NATUnknown, NATUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.ike(tt.messages...)
			sa := s.onlyIKE()
			if sa.FromInitiator.NAT != tt.i || sa.FromResponder.NAT != tt.r {
				t.Errorf("initiator %s, responder %s, want %s, %s", sa.FromInitiator.NAT, sa.FromResponder.NAT, tt.i, tt.r)
			}
			if sa.FromInitiator.FragmentationSupported != (tt.i != NATUnknown) {
				t.Error("what it said of fragmentation is not known")
			}
		})
	}
}

func TestAFalseHashOfOnesOwnAddressIsNoNAT(t *testing.T) {
	s := newStream(t)
	s.apply(&Snapshot{KernelState: KernelState{Addresses: []Address{{Prefix: netip.PrefixFrom(glass, 64)}}}})
	m := withNAT(init2(1), netip.AddrPortFrom(teapot, 1), netip.AddrPortFrom(teapot, 500)).frame()
	s.apply(&Frame{Link: LinkEthernet, OrigLen: len(m), Data: m, Direction: DirOut})
	if got := s.onlyIKE().FromInitiator.NAT; got != NATPretended {
		t.Errorf("%s, want %s", got, NATPretended)
	}
}

func TestOffersAreSharedAndBounded(t *testing.T) {
	encr := cat([]byte{0, 0}, u16(8), []byte{1, 0}, u16(3))
	proposal := cat([]byte{0, 0}, u16(8+len(encr)), []byte{1, 1, 0, 1}, encr)
	m := init2(0)
	m.first, m.payloads = ike.PayloadSA, cat([]byte{0, 0}, u16(4+len(proposal)), proposal)
	s := newStream(t)
	for spi := range uint64(2) {
		m.spi = spi + 1
		s.ike(m)
	}
	reply := v2("r", ike.ExchangeIKESAInit, 0, answer)
	reply.spi, reply.first, reply.payloads = 1, m.first, m.payloads
	s.ike(reply)
	v := s.onlyView()
	offered := v.IKE[0].Offered()
	if len(offered) != 1 || offered[0].Transforms[0].Name() != "ENCR_3DES" || len(v.IKE[0].Chosen()) != 1 || v.IKE[1].Chosen() != nil {
		t.Fatalf("offered %v, chosen %v and %v", offered, v.IKE[0].Chosen(), v.IKE[1].Chosen())
	}
	if &offered[0] != &v.IKE[1].Offered()[0] {
		t.Error("what two offer alike is kept twice")
	}
	var o offers
	first := o.put("first", offered)
	for i := range maxOffers + 10 {
		first.used = true
		o.put(fmt.Sprint(i), offered)
	}
	if len(o.known) != maxOffers || len(o.ring) != maxOffers || first.all() == nil {
		t.Errorf("%d known, %d in the ring; the one that is in use is kept: %t", len(o.known), len(o.ring), first.all() != nil)
	}
}

func TestICMPErrorsAreKeptPerPair(t *testing.T) {
	request := ipFor(glass, teapot, spd.ProtoUDP, udp(500, 500, make([]byte, 40)))
	request4 := ipFor(glass4, teapot4, spd.ProtoESP, esp(7, 1))
	tests := []struct {
		name  string
		frame []byte
		want  string
	}{
		{"port unreachable", ipFor(teapot, glass, spd.ProtoICMPv6, cat([]byte{1, 4, 0, 0}, u32(0), request)), "port unreachable udp 500 0 88"},
		{"too big", ipFor(allRouter, glass, spd.ProtoICMPv6, cat([]byte{2, 0, 0, 0}, u32(1280), request)), "packet too big udp 500 1280 88"},
		{"prohibited", ipFor(allRouter, glass, spd.ProtoICMPv6, cat([]byte{1, 1, 0, 0}, u32(0), request)), "administratively prohibited udp 500 0 88"},
		{"IPv4, fragmentation needed", ipFor(teapot4, glass4, spd.ProtoICMP, cat([]byte{3, 4, 0, 0}, u32(1400), request4)), "packet too big esp 0 1400 92"},
		{"IPv4, protocol unreachable", ipFor(teapot4, glass4, spd.ProtoICMP, cat([]byte{3, 2, 0, 0}, u32(0), request4)), "protocol unreachable esp 0 0 92"},
		{"IPv4, time exceeded", ipFor(teapot4, glass4, spd.ProtoICMP, cat([]byte{11, 0, 0, 0}, u32(0), request4)), "time exceeded esp 0 0 92"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			for range 3 {
				s.frame(etherIP(tt.frame))
			}
			v := s.onlyView()
			if len(v.Errors) != 1 || v.Errors[0].Count != 3 {
				t.Fatalf("%d errors", len(v.Errors))
			}
			e := v.Errors[0]
			if got := fmt.Sprint(e.Kind, " ", spd.ProtocolName(e.Quoted.Proto), " ", e.Quoted.DstPort, " ", e.MTU, " ", e.Quoted.Length); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

var allRouter = netip.MustParseAddr("fd00::fe")

func TestICMPErrorsOfOthersAreLeftOut(t *testing.T) {
	dns := ipFor(glass, teapot, spd.ProtoUDP, udp(999, 53, make([]byte, 40)))
	ikeRequest := ipFor(glass, teapot, spd.ProtoUDP, udp(500, 500, make([]byte, 40)))
	for name, b := range map[string][]byte{
		"about DNS":            ipFor(teapot, glass, spd.ProtoICMPv6, cat([]byte{1, 4, 0, 0}, u32(0), dns)),
		"to who did not ask":   ipFor(teapot, allRouter, spd.ProtoICMPv6, cat([]byte{1, 4, 0, 0}, u32(0), ikeRequest)),
		"cut in the quotation": ipFor(teapot, glass, spd.ProtoICMPv6, cat([]byte{1, 4, 0, 0}, u32(0), ikeRequest[:20])),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.frame(etherIP(b))
			if slices.ContainsFunc(s.views(), func(v *View) bool { return len(v.Errors) > 0 }) {
				t.Error("it was kept")
			}
		})
	}
}
