package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// ndLength is the length of a solicitation or an advertisement without options
// (RFC 4861 sections 4.3 and 4.4):
//
//	|     Type      |     Code      |          Checksum             |
//	|                  Reserved (of an NA: flags)                   |
//	|                  Target Address (16 bytes)                    |
const ndLength = 24

// applyICMPv6 folds neighbour discovery. RFC 4861 sections 7.1.1 and 7.1.2: a
// hop limit other than 255 has come through a router and is not valid, nor is
// another code than 0.
func (s *State) applyICMPv6(h *Host, f *Frame, p *Packet) {
	typ, ok := p.ICMPv6Type()
	if !ok || p.HopLimit != 255 || p.Fragment || len(p.Payload) < ndLength || p.Payload[1] != 0 {
		return
	}
	target := netip.AddrFrom16([16]byte(p.Payload[8:24]))
	if target.IsMulticast() || target.IsUnspecified() {
		return
	}
	switch typ {
	case spd.NeighborSolicitation:
		s.applyNS(h, f, p, target)
	case spd.NeighborAdvertisement:
		s.applyNA(h, f, p, target)
	}
}

func (s *State) applyNS(h *Host, f *Frame, p *Packet, t netip.Addr) {
	if p.Src.IsUnspecified() || p.Src == t { // unspecified: duplicate address detection
		return
	}
	asker, t := zoned(p.Src, f.Origin), zoned(t, f.Origin)
	v := s.view(h, asker, t)
	unicast := !p.Dst.IsMulticast()
	r := v.resolution(asker, t)
	r.Direction = f.Direction
	r.solicited(s.Now, unicast)
}

// applyNA folds an advertisement. One sent to a multicast address is
// unsolicited (RFC 4861 section 7.2.6): it updates neighbour entries and ends
// nobody's search.
func (s *State) applyNA(h *Host, f *Frame, p *Packet, t netip.Addr) {
	if p.Dst.IsMulticast() || p.Dst == t {
		return
	}
	asker, t := zoned(p.Dst, f.Origin), zoned(t, f.Origin)
	v := s.view(h, asker, t)
	v.sawUnicast(t, s.Now)
	v.resolution(asker, t).answered(s.Now, f.Direction)
}

// ARP operations (RFC 826).
const (
	arpRequest = 1
	arpReply   = 2
)

var broadcast = HardwareAddr{255, 255, 255, 255, 255, 255}

// applyARP folds ARP for IPv4 (RFC 826): hardware and protocol type (2 each),
// lengths of their addresses (1 each), operation (2), then sender's hardware
// and protocol address, and the target's.
func (s *State) applyARP(h *Host, f *Frame, p *Packet) {
	b := p.Payload
	if len(b) < 8 || be16(b[2:]) != etherTypeIPv4 || b[5] != 4 {
		return
	}
	hw, op := int(b[4]), be16(b[6:])
	if len(b) < 16+2*hw {
		return
	}
	from := netip.AddrFrom4([4]byte(b[8+hw : 12+hw]))
	to := netip.AddrFrom4([4]byte(b[12+2*hw : 16+2*hw]))
	if from.IsUnspecified() || to.IsUnspecified() || from == to || (op != arpRequest && op != arpReply) {
		return // a probe or an announcement (RFC 5227), or none of these
	}
	v := s.view(h, from, to)
	if op == arpReply {
		r := v.resolution(to, from)
		r.ARP = true
		r.answered(s.Now, f.Direction)
		return
	}
	r := v.resolution(from, to)
	r.ARP, r.Direction = true, f.Direction
	r.solicited(s.Now, p.EtherDst != HardwareAddr{} && p.EtherDst != broadcast)
}
