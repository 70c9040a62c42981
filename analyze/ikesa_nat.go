package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/ike"
)

// NATSide is what NAT detection (RFC 7296 section 2.23, RFC 3947 section 3.2)
// says of one end of an IKE SA.
type NATSide uint8

// What is known of an end.
const (
	NATUnknown NATSide = iota // no hashes were seen
	NATNone                   // its address reached the other end as it was sent
	NATBehind                 // its address was changed on the way
	// NATPretended: the daemon sends a false hash of its own address, to have ESP
	// put into UDP whatever is between (strongSwan: encap = yes).
	NATPretended
)

var natNames = [...]string{"unknown", "no NAT", "behind NAT", "pretends to be behind NAT"}

// String returns the side in words.
func (n NATSide) String() string { return natNames[min(int(n), len(natNames)-1)] }

// detectNAT compares a message's hashes with the addresses and ports that it was
// seen with.
func (sa *IKESA) detectNAT(h *heardMessage, src, dst netip.Addr) {
	c := h.m.CheckNAT(netip.AddrPortFrom(src, h.srcPort), netip.AddrPortFrom(dst, h.dstPort))
	if !c.Present {
		return
	}
	from, to := &sa.FromInitiator, &sa.FromResponder
	if !h.byInitiator {
		from, to = to, from
	}
	// Nothing can have changed what this host itself sends before it is seen here.
	from.sawNAT(c.Source, h.own)
	to.sawNAT(c.Destination, false)
}

// sawNAT notes one comparison. That an address was changed somewhere outweighs
// that it was not where it was seen.
func (s *Speaker) sawNAT(asSent, own bool) {
	switch {
	case asSent && s.NAT == NATUnknown:
		s.NAT = NATNone
	case asSent:
	case own:
		s.NAT = NATPretended
	case s.NAT != NATPretended:
		s.NAT = NATBehind
	}
}

// negotiates notes what a message in the clear says its sender can do.
func (s *Speaker) negotiates(m *ike.Message) {
	switch {
	case m.Major == 2 && m.Notify(ike.NotifyIKEv2FragmentationSupported) != nil,
		m.Major == 1 && m.HasVendor(ike.VendorFragmentation):
		s.FragmentationSupported = true
	}
	for _, id := range m.Identities() {
		s.Identity = Printable(id.String())
	}
}
