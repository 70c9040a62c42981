package analyze

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze/ike"
)

// maxIKEErrors bounds the errors kept of one IKE SA, the latest.
const maxIKEErrors = 32

// IKESA is one IKE SA, or the attempt at one, as an observer saw it: all
// messages under one initiator SPI.
type IKESA struct {
	InitiatorSPI, ResponderSPI ike.SPI
	Major                      uint8
	Initiator, Responder       netip.Addr
	First, Last                Sighting
	// FromInitiator and FromResponder are what each side said.
	FromInitiator, FromResponder Speaker
	// Errors are what was said in the clear of what went wrong. Of the other
	// notifications, which come with every IKE_SA_INIT, those that matter have their
	// places elsewhere, such as Speaker.NAT.
	Errors []SeenNotify
	// Exchanges in the order in which they began: the first, by which the IKE SA
	// came up, and the latest.
	Exchanges []IKEExchange

	offered, chosen *offer
}

// Speaker is one side of an IKE SA.
type Speaker struct {
	Messages  int       // distinct ones
	Sent      int       // retransmissions included
	Direction Direction // as the observer saw them
	// The last distinct message: its exchange, when it was sent first and
	// last, and how often it was sent again unchanged.
	Exchange  ike.ExchangeType
	MessageID uint32
	FirstSent Sighting
	LastSent  Sighting
	Repeats   int
	// NAT is what NAT detection says of this side.
	NAT NATSide
	// FragmentationSupported: it said that it takes IKE fragments (RFC 7383
	// section 2.3; in IKEv1 the vendor ID FRAGMENTATION).
	FragmentationSupported bool
	// Identity is what it called itself in the clear (IKEv1 Aggressive Mode),
	// printable; "" where it did not.
	Identity string
	major    uint8
	request  bool
	hash     uint64
}

// expects reports whether the last message asks for an answer: a request of
// IKEv2, the first message of IKEv1, or one that was sent again, which IKEv1
// does only while it waits (RFC 2408 section 5.1). A response of IKEv2 that is
// sent again answers a request that was sent again.
func (s *Speaker) expects() bool {
	return s.Messages > 0 && (s.request || (s.major == 1 && s.Repeats > 0))
}

// SeenNotify is a notification of an error that was in the clear.
type SeenNotify struct {
	At   Sighting
	From netip.Addr
	Type ike.NotifyType
	Name string
	// Group is the one that INVALID_KE_PAYLOAD asks for (RFC 7296 section 1.2),
	// 0 for none.
	Group ike.DHGroup
}

// heard folds a message of the IKE SA. Of a message whose first IP fragment alone
// is there the exchanges take note, nothing else.
func (s *State) heard(sa *IKESA, h *heardMessage, raw []byte, src, dst netip.Addr) {
	sa.Last = h.at
	if sa.ResponderSPI == 0 {
		sa.ResponderSPI = h.m.ResponderSPI
	}
	sp := sa.Speaker(src)
	if sp == nil {
		sp = sa.moved(h.m, src, dst)
	}
	h.byInitiator = sp == &sa.FromInitiator
	h.hash = Fingerprint(raw)
	if sp.copied(h) {
		sp.Sent++ // it was on the wire, and says nothing of waiting
		return
	}
	fresh := sa.exchanged(h)
	if h.incomplete {
		return
	}
	if sp.said(h) {
		sa.notified(h.at, src, h.m)
	}
	if fresh && !h.m.Encrypted() {
		sa.tells(sp, h, src, dst, s.offers.of(h.m))
	}
}

// tells takes in what a message in the clear says, and by itself only once.
func (sa *IKESA) tells(sp *Speaker, h *heardMessage, src, dst netip.Addr, o *offer) {
	sp.negotiates(h.m)
	sa.detectNAT(h, src, dst)
	switch {
	case o == nil:
	case h.byInitiator:
		sa.offered = o
	default:
		sa.chosen = o
	}
}

// moved follows an end to its new address (RFC 4555 section 3.5, a new NAT
// mapping) and returns it: the one whose partner is still where it was, else
// the one that the header's flag names.
func (sa *IKESA) moved(m *ike.Message, src, dst netip.Addr) *Speaker {
	if dst == sa.Responder || (dst != sa.Initiator && m.FromInitiator()) {
		sa.Initiator, sa.Responder = src, dst
		return &sa.FromInitiator
	}
	sa.Initiator, sa.Responder = dst, src
	return &sa.FromResponder
}

// copyTime is how soon the same bytes are the same packet seen twice, as a mirror
// port or a VLAN beside its lower device shows it: no daemon sends again within
// half a second (libreswan's retransmit-interval).
const copyTime = 50 * time.Millisecond

// copied reports whether a message is the last one seen a second time.
func (s *Speaker) copied(h *heardMessage) bool {
	return s.Messages > 0 && !h.incomplete && s.hash == h.hash && h.at.Mono-s.LastSent.Mono < copyTime
}

// said folds a message of that side and reports whether it is a new one, not
// one sent again.
func (s *Speaker) said(h *heardMessage) bool {
	m := h.m
	s.Direction = h.dir
	if s.continues(m) {
		s.LastSent = h.at
		return false
	}
	s.Sent++
	if s.Messages > 0 && s.hash == h.hash {
		s.Repeats++
		s.LastSent = h.at
		return false
	}
	s.Messages++
	s.hash, s.Repeats = h.hash, 0
	s.Exchange, s.MessageID, s.major = m.Exchange, m.MessageID, m.Major
	s.FirstSent, s.LastSent = h.at, h.at
	s.request = (m.Major >= 2 && !m.IsResponse()) || (m.Major == 1 && m.ResponderSPI == 0)
	return true
}

// continues reports whether a message is a further fragment of the last one
// (RFC 7383; the vendor kind of IKEv1): a message in fragments counts once, by
// its first.
func (s *Speaker) continues(m *ike.Message) bool {
	n, _, ok := m.Fragment()
	return ok && n > 1 && s.Messages > 0 && s.Exchange == m.Exchange && s.MessageID == m.MessageID
}

// Waiting returns the side whose last message asks for an answer and has had
// none: everything from the other side is older; nil where no side waits. RFC
// 7296 section 2.1: every request is retransmitted until it is answered; the
// IKEv1 exchanges alternate too.
func (sa *IKESA) Waiting() (s *Speaker, from, to netip.Addr) {
	i, r := &sa.FromInitiator, &sa.FromResponder
	switch {
	case i.expects() && (r.Messages == 0 || r.LastSent.Mono < i.FirstSent.Mono):
		return i, sa.Initiator, sa.Responder
	case r.expects() && (i.Messages == 0 || i.LastSent.Mono < r.FirstSent.Mono):
		return r, sa.Responder, sa.Initiator
	}
	return nil, netip.Addr{}, netip.Addr{}
}

// BothSpoke reports whether messages went both ways.
func (sa *IKESA) BothSpoke() bool {
	return sa.FromInitiator.Messages > 0 && sa.FromResponder.Messages > 0
}

// Speaker returns the side that has that address, nil for neither.
func (sa *IKESA) Speaker(a netip.Addr) *Speaker {
	switch a {
	case sa.Initiator:
		return &sa.FromInitiator
	case sa.Responder:
		return &sa.FromResponder
	}
	return nil
}

func (sa *IKESA) notified(at Sighting, from netip.Addr, m *ike.Message) {
	for _, n := range m.Notifies() {
		if !n.Type.IsError() {
			continue
		}
		group, _ := n.Group()
		sa.Errors = appendBounded(sa.Errors, SeenNotify{At: at, From: from, Type: n.Type, Name: n.Name(), Group: group}, maxIKEErrors)
	}
}
