package analyze

import (
	"fmt"
	"net/netip"
	"testing"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// message is one IKE message of a test, between glass and teapot unless told
// otherwise.
type message struct {
	from     string // "i" or "r"
	spi      uint64 // of the initiator; 0xa1 where left out
	rspi     uint64
	exchange ike.ExchangeType
	id       uint32
	flags    uint8
	body     byte // tells messages apart
	payloads []byte
	first    ike.PayloadType
	src, dst netip.Addr
	port     int
}

func (m message) frame() []byte {
	src, dst, port := glass, teapot, m.port
	if m.from == "r" {
		src, dst = teapot, glass
	}
	if m.src.IsValid() {
		src, dst = m.src, m.dst
	}
	if m.spi == 0 {
		m.spi = 0xa1
	}
	if port == 0 {
		port = 500
	}
	version, first := byte(0x20), m.first
	if m.exchange < 34 {
		version = 0x10
	}
	body := m.payloads
	if body == nil {
		first, body = ike.PayloadNonce, cat([]byte{0, 0}, u16(4+20), make([]byte, 19), []byte{m.body})
		if version == 0x10 {
			first = ike.PayloadNonceV1
		}
	}
	b := cat(u32(uint32(m.spi>>32)), u32(uint32(m.spi)), u32(uint32(m.rspi>>32)), u32(uint32(m.rspi)),
		[]byte{byte(first), version, byte(m.exchange), m.flags}, u32(m.id), u32(uint32(28+len(body))), body)
	if port == 4500 {
		b = cat(u32(0), b)
	}
	return etherIP(ipFor(src, dst, spd.ProtoUDP, udp(port, port, b)))
}

func (s *stream) ike(messages ...message) {
	for _, m := range messages {
		s.frame(m.frame())
	}
}

// onlyIKE returns the IKE SA where there must be exactly one in one pair.
func (s *stream) onlyIKE() *IKESA {
	s.t.Helper()
	v := s.onlyView()
	if len(v.IKE) != 1 {
		s.t.Fatalf("%d IKE SAs, want 1", len(v.IKE))
	}
	return v.IKE[0]
}

// Messages of the two versions.
const (
	fromI  = ike.FlagInitiator
	answer = ike.FlagResponse
)

func init2(body byte) message {
	return message{from: "i", exchange: ike.ExchangeIKESAInit, flags: fromI, body: body}
}

func v2(from string, x ike.ExchangeType, id uint32, flags uint8) message {
	return message{from: from, rspi: 0xb2, exchange: x, id: id, flags: flags}
}

func v1(from string, rspi uint64, x ike.ExchangeType, id uint32, body byte) message {
	return message{from: from, rspi: rspi, exchange: x, id: id, body: body}
}

func TestWhoWaitsForAnAnswer(t *testing.T) {
	const mm, qm = ike.ExchangeIdentityProtection, ike.ExchangeQuickMode
	tests := []struct {
		name     string
		messages []message
		want     string // "i", "r" or ""
	}{
		{"IKEv2: a request", []message{init2(1)}, "i"},
		{"IKEv2: a request, sent again", []message{init2(1), init2(1), init2(1)}, "i"},
		{"IKEv2: answered", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer)}, ""},
		{"IKEv2: answered, and the next request", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer),
			v2("i", ike.ExchangeIKEAuth, 1, fromI)}, "i"},
		{"IKEv2: a new request after a cookie", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer), init2(2)}, "i"},
		{"IKEv2: the responder asks in its turn", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer),
			v2("r", ike.ExchangeInformational, 0, 0)}, "r"},
		{"IKEv2: a response sent again is no question", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer),
			v2("r", ike.ExchangeIKESAInit, 0, answer)}, ""},
		{"IKEv2: a request sent again crosses its answer", []message{init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer), init2(1)}, ""},
		{"IKEv1: the first message", []message{v1("i", 0, mm, 0, 1)}, "i"},
		{"IKEv1: answered", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2)}, ""},
		{"IKEv1: the third message, once", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2), v1("i", 0xb2, mm, 0, 3)}, ""},
		{"IKEv1: the third message, sent again", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2),
			v1("i", 0xb2, mm, 0, 3), v1("i", 0xb2, mm, 0, 3)}, "i"},
		{"IKEv1: the responder sends again", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2), v1("r", 0xb2, mm, 0, 2)}, "r"},
		{"IKEv1: Quick Mode's third message ends it", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2),
			v1("i", 0xb2, qm, 7, 3), v1("r", 0xb2, qm, 7, 4), v1("i", 0xb2, qm, 7, 5)}, ""},
		{"IKEv1: Quick Mode's first message, sent again", []message{v1("i", 0, mm, 0, 1), v1("r", 0xb2, mm, 0, 2),
			v1("i", 0xb2, qm, 7, 3), v1("i", 0xb2, qm, 7, 3)}, "i"},
		{"nothing but a response", []message{v2("r", ike.ExchangeIKEAuth, 1, answer)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.ike(tt.messages...)
			sa := s.onlyIKE()
			sp, from, to := sa.Waiting()
			got := map[netip.Addr]string{glass: "i", teapot: "r", {}: ""}[from]
			if got != tt.want || (sp == nil) != (tt.want == "") {
				t.Fatalf("%q waits (%s → %s), want %q", got, from, to, tt.want)
			}
			if sp != nil && (sp != sa.Speaker(from) || sa.Speaker(to) == nil || sa.Speaker(to) == sp) {
				t.Errorf("speaker %p is not that of %s", sp, from)
			}
		})
	}
}

func TestRetransmissionsAreCountedAndDated(t *testing.T) {
	s := newStream(t)
	s.ike(init2(1))
	first := s.state.Now
	s.ike(init2(1), init2(1))
	sp := s.onlyIKE().FromInitiator
	if sp.Messages != 1 || sp.Sent != 3 || sp.Repeats != 2 || sp.FirstSent != first || sp.LastSent != s.state.Now {
		t.Errorf("%+v", sp)
	}
	s.ike(v2("r", ike.ExchangeIKESAInit, 0, answer), v2("i", ike.ExchangeIKEAuth, 1, fromI))
	sp = s.onlyIKE().FromInitiator
	if sp.Messages != 2 || sp.Sent != 4 || sp.Repeats != 0 || sp.Exchange != ike.ExchangeIKEAuth || sp.MessageID != 1 || sp.FirstSent != s.state.Now {
		t.Errorf("after the next message: %+v", sp)
	}
	if sa := s.onlyIKE(); !sa.BothSpoke() || sa.ResponderSPI != 0xb2 || sa.Initiator != glass || sa.Responder != teapot {
		t.Errorf("%+v", sa)
	}
}

func TestAMessageInFragmentsCountsOnce(t *testing.T) {
	skf := func(n, total uint16) message {
		m := v2("i", ike.ExchangeIKEAuth, 1, fromI)
		m.first = ike.PayloadEncryptedFrag
		m.payloads = cat([]byte{0, 0}, u16(8+40), u16(int(n)), u16(int(total)), make([]byte, 39), []byte{byte(n)})
		return m
	}
	s := newStream(t)
	s.ike(init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer))
	s.ike(skf(1, 3))
	first := s.state.Now
	s.ike(skf(2, 3), skf(3, 3), skf(1, 3), skf(2, 3), skf(3, 3))
	sp := s.onlyIKE().FromInitiator
	if sp.Messages != 2 || sp.Sent != 3 || sp.Repeats != 1 || sp.FirstSent != first || sp.LastSent != s.state.Now {
		t.Errorf("%d messages, sent %d, repeated %d; want 2, 3, 1", sp.Messages, sp.Sent, sp.Repeats)
	}
	if w, from, _ := s.onlyIKE().Waiting(); w == nil || from != glass {
		t.Error("the initiator does not wait")
	}
}

func TestErrorsAreKeptOnceAndTheLatestOfThem(t *testing.T) {
	notify := func(typ ike.NotifyType) []byte {
		return cat([]byte{0, 0}, u16(8), []byte{0, 0}, u16(int(typ)))
	}
	s := newStream(t)
	request := init2(1)
	request.first, request.payloads = ike.PayloadNotify, notify(ike.NotifyIKEv2FragmentationSupported)
	s.ike(request)
	refusal := v2("r", ike.ExchangeIKESAInit, 0, answer)
	refusal.first, refusal.payloads = ike.PayloadNotify, notify(ike.NotifyNoProposalChosen)
	for range 40 {
		s.ike(refusal)
	}
	got := s.onlyIKE().Errors
	if len(got) != 1 || got[0].Name != "NO_PROPOSAL_CHOSEN" || got[0].From != teapot {
		t.Errorf("%+v; want the refusal, once", got)
	}
	for i := range 2 * maxIKEErrors {
		m := v2("r", ike.ExchangeInformational, uint32(i), 0)
		m.first, m.payloads = ike.PayloadNotify, notify(ike.NotifyType(4000+i))
		s.ike(m)
	}
	got = s.onlyIKE().Errors
	if len(got) != maxIKEErrors || got[len(got)-1].Type != ike.NotifyType(4000+2*maxIKEErrors-1) {
		t.Errorf("%d kept, the last of type %d", len(got), got[len(got)-1].Type)
	}
}

func TestAnIKESAKeepsItsPairWhenAnAddressChanges(t *testing.T) {
	moved, elsewhere := netip.MustParseAddr("fd01::9"), netip.MustParseAddr("fd02::9")
	at := func(m message, src, dst netip.Addr) message { m.src, m.dst, m.port = src, dst, 4500; return m }
	s := newStream(t)
	s.ike(init2(1), v2("r", ike.ExchangeIKESAInit, 0, answer))
	last := s.state.Now
	s.ike(at(v2("i", ike.ExchangeInformational, 2, fromI), moved, teapot))
	sa := s.onlyIKE()
	if sa.Initiator != moved || sa.FromInitiator.Messages != 2 {
		t.Fatalf("initiator %s with %d messages, want %s with 2", sa.Initiator, sa.FromInitiator.Messages, moved)
	}
	if sp, from, to := sa.Waiting(); sp == nil || from != moved || to != teapot {
		t.Errorf("%s waits for %s", from, to)
	}
	s.ike(at(v2("r", ike.ExchangeInformational, 2, answer), teapot, moved))
	if sp, _, _ := s.onlyIKE().Waiting(); sp != nil {
		t.Error("the answer to the new address was not taken")
	}
	s.ike(at(v2("r", ike.ExchangeInformational, 0, 0), elsewhere, moved))
	if sa := s.onlyIKE(); sa.Responder != elsewhere || sa.Initiator != moved {
		t.Errorf("the responder is at %s", sa.Responder)
	}
	if v := s.onlyView(); v.Pair.Key != MakePairKey(glass, teapot) || v.LastUnicast(teapot) != last {
		t.Error("frames between the new addresses are noted for the old ones")
	}
}

func TestAttemptsOfBothSidesAreTwoIKESAs(t *testing.T) {
	s := newStream(t)
	other := init2(1)
	other.from, other.spi = "r", 0xc3
	s.ike(init2(1), other)
	v := s.onlyView()
	if len(v.IKE) != 2 || v.IKE[0].Initiator != glass || v.IKE[1].Initiator != teapot {
		t.Fatalf("%d IKE SAs", len(v.IKE))
	}
	if v.LastUnicast(glass).IsZero() || v.LastUnicast(teapot).IsZero() {
		t.Error("unicast frames both ways are not noted")
	}
}

func TestAnIKESASeenFromItsMiddleHasItsEndsRight(t *testing.T) {
	s := newStream(t)
	s.ike(v2("r", ike.ExchangeInformational, 5, 0))
	if sa := s.onlyIKE(); sa.Initiator != glass || sa.Responder != teapot || sa.FromResponder.Messages != 1 {
		t.Errorf("initiator %s, responder %s", sa.Initiator, sa.Responder)
	}
}

func TestWhatIsNoIKEMakesNoPair(t *testing.T) {
	for name, frame := range map[string][]byte{
		"a NAT keepalive":      etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(4500, 4500, []byte{0xff}))),
		"ESP in UDP":           etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(4500, 4500, esp(1, 1)))),
		"DNS":                  etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(53, 53, make([]byte, 40)))),
		"an initiator SPI 0":   etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(500, 500, cat(make([]byte, 16), []byte{0, 0x20, 34, 8}, u32(0), u32(28))))),
		"27 bytes":             etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(500, 500, make([]byte, 27)))),
		"ESP, which is a flow": etherIP(ipFor(glass, teapot, spd.ProtoESP, esp(1, 1))),
	} {
		s := newStream(t)
		s.frame(frame)
		if n := len(s.views()); n != 0 {
			t.Errorf("%s: %d pairs", name, n)
		}
	}
}

func TestIKESAsOfAPairAreBounded(t *testing.T) {
	s := newStream(t)
	for i := range 2 * maxIKESAs {
		m := init2(1)
		m.spi = uint64(i + 1)
		s.ike(m)
	}
	v := s.onlyView()
	if len(v.IKE) != maxIKESAs || fmt.Sprint(uint64(v.IKE[maxIKESAs-1].InitiatorSPI)) != fmt.Sprint(2*maxIKESAs) {
		t.Errorf("%d IKE SAs, the last %s", len(v.IKE), v.IKE[len(v.IKE)-1].InitiatorSPI)
	}
}

func TestInitiatorSPIsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 65,537 IKE SAs")
	}
	s := newStream(t)
	s.state = NewState(Limits{})
	m := init2(1)
	for i := range maxSPIs + 1 {
		m.spi = uint64(i + 1)
		s.frame(m.frame())
		s.log = nil
	}
	// The pair itself keeps the last few: the place of one that is gone costs nothing.
	if len(s.state.spis) != maxSPIs || len(s.state.spiLog) != maxSPIs || s.state.Evicted != 0 {
		t.Errorf("%d kept, %d in order, %d evicted", len(s.state.spis), len(s.state.spiLog), s.state.Evicted)
	}
}
