package analyze

import (
	"math/bits"
	"net/netip"

	"ipsecdiag/analyze/ike"
)

// Bounds on the exchanges kept of one IKE SA: the first, by which it came up,
// and the latest.
const (
	firstIKEExchanges  = 8
	latestIKEExchanges = 8
)

// maxIKEPieces is how many fragments of one message are told apart.
const maxIKEPieces = 64

// IKEExchange is a request and its answer (RFC 7296 section 1). IKEv1 has no
// such pairs: there it is a message and the one that follows it from the other
// side under the same exchange type and message ID, so that Main Mode is three
// of them, and the last message of Quick Mode is one without an answer that
// wants none (see WantsAnswer).
type IKEExchange struct {
	Type  ike.ExchangeType
	Major uint8
	// Round counts, from 0, the exchanges of one type and message ID: beyond the
	// first of IKEv2 come the IKE_SA_INITs that a cookie or INVALID_KE_PAYLOAD
	// asks for.
	Round     uint8
	MessageID uint32
	// ByInitiator is set where the initiator of the IKE SA sent the request.
	ByInitiator bool
	Request     IKEMessage
	Response    IKEMessage
}

// IKEMessage is one message as the wire shows it, however often it was sent. Its
// Count is 0 where it was not seen.
type IKEMessage struct {
	// Count is how often it was sent: once and again. Of a message in IKE
	// fragments (RFC 7383) it is how often any one of them was.
	Count uint16
	// Incomplete is how often its first IP fragment was seen and not the others.
	Incomplete uint16
	// IPFragments is set where it came in fragments of IP.
	IPFragments bool
	Encrypted   bool
	Direction   Direction
	// Fragments is how many of its IKE fragments were seen, FragmentsOf how many
	// there are; both 0 where it was not in IKE fragments, FragmentsOf 0 while
	// IKEv1 has not told.
	Fragments, FragmentsOf uint16
	// Inner is the first payload inside the encrypted one, which IKEv2 shows (RFC
	// 7296 section 3.14): 0 for none, and where it was not seen.
	Inner ike.PayloadType
	// KE is the group of its KE payload in the clear (IKEv2), 0 for none.
	KE               ike.DHGroup
	SrcPort, DstPort uint16 // UDP ports, as this observer saw them
	// Size is its length by the ISAKMP header, bytes; of IKE fragments the sum.
	Size uint32

	first, last moment
	place       place
	hash        uint64
	pieces      uint64 // IKE fragments that were seen, of the first 64
	round       uint64 // of those, the ones of the latest time it was sent
}

// First is when the message was first sent, zero for never.
func (m *IKEMessage) First() Sighting { return m.sighting(m.first) }

// Last is when it was last sent, zero for never.
func (m *IKEMessage) Last() Sighting { return m.sighting(m.last) }

// Seen reports whether any of the message was seen.
func (m *IKEMessage) Seen() bool { return m.Count > 0 || m.Incomplete > 0 }

// Whole reports whether all of the message was seen at least once; of more than
// 64 IKE fragments the first 64.
func (m *IKEMessage) Whole() bool {
	return m.Count > 0 && (m.Fragments == 0 || (m.FragmentsOf > 0 && m.Fragments >= min(m.FragmentsOf, maxIKEPieces)))
}

// Answered reports whether the request has an answer, or what was seen of one.
func (x *IKEExchange) Answered() bool { return x.Response.Seen() }

// WantsAnswer reports whether the sender of the request waits for an answer: in
// IKEv2 of every request (RFC 7296 section 2.1); in IKEv1, where the last message
// of an exchange is followed by none, of the first of the IKE SA and of what was
// sent again, which it does only while it waits (RFC 2408 section 5.1).
func (x *IKEExchange) WantsAnswer() bool {
	if x.Answered() || !x.Request.Seen() {
		return false
	}
	return x.Major >= 2 || x.Request.Count > 1 || (x.Round == 0 && establishingV1(x.Type))
}

// establishingV1 reports whether the first message of an IKEv1 exchange of that
// type is followed by an answer, as that of Informational is not.
func establishingV1(t ike.ExchangeType) bool { return t != ike.ExchangeInformationalV1 }

// Exchange returns the last exchange of that type, nil for none.
func (sa *IKESA) Exchange(t ike.ExchangeType) *IKEExchange {
	for i := len(sa.Exchanges) - 1; i >= 0; i-- {
		if sa.Exchanges[i].Type == t {
			return &sa.Exchanges[i]
		}
	}
	return nil
}

// Like returns the exchange that x is, of another observer's view of the IKE SA; nil
// where it was not seen.
func (sa *IKESA) Like(x *IKEExchange) *IKEExchange {
	for i := range sa.Exchanges {
		if o := &sa.Exchanges[i]; o.Type == x.Type && o.MessageID == x.MessageID && o.Round == x.Round && o.ByInitiator == x.ByInitiator {
			return o
		}
	}
	return nil
}

// Asker returns the address of the end that sent the exchange's request, and
// that of the other.
func (sa *IKESA) Asker(x *IKEExchange) (from, to netip.Addr) {
	if x.ByInitiator {
		return sa.Initiator, sa.Responder
	}
	return sa.Responder, sa.Initiator
}

// heardMessage is one message as it is folded.
type heardMessage struct {
	at               Sighting
	dir              Direction
	m                *ike.Message
	hash             uint64
	byInitiator      bool // who sent it
	srcPort, dstPort uint16
	ipFragments      bool // it came in fragments of IP
	incomplete       bool // only the first of them is there
	completed        bool // which was folded before as incomplete
	own              bool // sent by the observer itself
}

// exchanged folds a message into the exchanges. It reports whether it is a new
// one, not one sent again.
func (sa *IKESA) exchanged(h *heardMessage) bool {
	msg := sa.place(h)
	fresh := msg.Count == 0
	msg.take(sa, h)
	return fresh
}

// place finds the message that h is, or makes room for it.
func (sa *IKESA) place(h *heardMessage) *IKEMessage {
	if h.m.Major == 1 {
		return sa.placeV1(h)
	}
	return sa.placeV2(h)
}

// placeV2 goes by the message ID and by who asked. Only an IKE_SA_INIT may
// differ under the same ID: with a cookie or another KE payload (RFC 7296
// sections 2.6, 1.2).
func (sa *IKESA) placeV2(h *heardMessage) *IKEMessage {
	asked := h.byInitiator != h.m.IsResponse()
	round := uint8(0)
	for i := len(sa.Exchanges) - 1; i >= 0; i-- {
		x := &sa.Exchanges[i]
		if x.Type != h.m.Exchange || x.MessageID != h.m.MessageID || x.ByInitiator != asked {
			continue
		}
		switch msg := x.side(h.byInitiator); {
		case h.m.IsResponse(), x.Type != ike.ExchangeIKESAInit, msg.same(h):
			return msg
		}
		round = max(round, x.Round+1)
	}
	return sa.begin(h, asked, round).side(h.byInitiator)
}

// placeV1 goes by the type and the message ID, and by who spoke last.
func (sa *IKESA) placeV1(h *heardMessage) *IKEMessage {
	var last *IKEExchange
	number, _, fragment := h.m.Fragment()
	for i := len(sa.Exchanges) - 1; i >= 0; i-- {
		x := &sa.Exchanges[i]
		if x.Type != h.m.Exchange || x.MessageID != h.m.MessageID {
			continue
		}
		own := x.side(h.byInitiator)
		if own.same(h) || (fragment && number > 1 && own.Fragments > 0) {
			return own
		}
		if last == nil {
			last = x
		}
	}
	switch {
	case last == nil:
		return &sa.begin(h, h.byInitiator, 0).Request
	case last.ByInitiator != h.byInitiator && !last.Answered():
		return &last.Response
	}
	return &sa.begin(h, h.byInitiator, last.Round+1).Request
}

// same reports whether h is this message, sent again or the whole of it.
func (msg *IKEMessage) same(h *heardMessage) bool {
	switch {
	case !msg.Seen():
		return false
	case msg.Count == 0: // of this one only the first IP fragment was there
		return h.ipFragments
	}
	return msg.hash == h.hash || (h.incomplete && msg.IPFragments)
}

// side returns what one end said in the exchange.
func (x *IKEExchange) side(initiator bool) *IKEMessage {
	if x.ByInitiator == initiator {
		return &x.Request
	}
	return &x.Response
}

// begin appends an exchange; of too many the oldest behind the first go.
func (sa *IKESA) begin(h *heardMessage, byInitiator bool, round uint8) *IKEExchange {
	if n := len(sa.Exchanges); n >= firstIKEExchanges+latestIKEExchanges {
		copy(sa.Exchanges[firstIKEExchanges:], sa.Exchanges[firstIKEExchanges+1:])
		sa.Exchanges = sa.Exchanges[:n-1]
	}
	sa.Exchanges = append(sa.Exchanges, IKEExchange{
		Type: h.m.Exchange, Major: h.m.Major, MessageID: h.m.MessageID, ByInitiator: byInitiator, Round: round,
	})
	return &sa.Exchanges[len(sa.Exchanges)-1]
}

// take folds one sight of the message.
func (msg *IKEMessage) take(sa *IKESA, h *heardMessage) {
	m := h.at.moment()
	if !msg.Seen() {
		msg.first, msg.hash, msg.place = m, h.hash, h.at.place
	}
	msg.last = m
	msg.Direction, msg.SrcPort, msg.DstPort = h.dir, h.srcPort, h.dstPort
	msg.IPFragments = msg.IPFragments || h.ipFragments
	switch number, total, ok := h.m.Fragment(); {
	case h.incomplete:
		msg.Incomplete = increment(msg.Incomplete)
		msg.Size = max(msg.Size, h.m.Length)
		return
	case ok:
		msg.Encrypted = true
		msg.fragment(number, total, h.m.Length)
	default:
		msg.hash, msg.Size, msg.Encrypted = h.hash, h.m.Length, h.m.Encrypted()
		msg.Count = increment(msg.Count)
	}
	if h.completed && msg.Incomplete > 0 {
		msg.Incomplete--
	}
	if group, ok := h.m.KEGroup(); ok {
		msg.KE = group
	}
	if inner, ok := h.m.Inner(); ok {
		msg.Inner = inner
	}
}

// fragment folds an IKE fragment. One that was seen in this round begins the
// next: the message is sent again.
func (msg *IKEMessage) fragment(number, total int, size uint32) {
	bit := uint64(1) << (uint(number-1) & 63)
	if number > maxIKEPieces {
		bit = 0
	}
	if msg.Count == 0 || msg.round&bit != 0 {
		msg.Count, msg.round = increment(msg.Count), 0
	}
	if msg.pieces&bit == 0 && msg.Size <= maxDatagram*64 {
		msg.Size += size
	}
	msg.round |= bit
	msg.pieces |= bit
	msg.Fragments = uint16(bits.OnesCount64(msg.pieces))
	if total > 0 {
		msg.FragmentsOf = uint16(min(total, 1<<16-1))
	}
}

// sighting puts a moment back together.
func (msg *IKEMessage) sighting(m moment) Sighting {
	if !msg.Seen() {
		return Sighting{}
	}
	return m.at(msg.place)
}

// increment counts up to what fits.
func increment(n uint16) uint16 {
	if n == 1<<16-1 {
		return n
	}
	return n + 1
}
