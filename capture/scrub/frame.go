package scrub

import (
	"encoding/binary"
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Sizes of headers, bytes.
const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	udpHeaderLen  = 8
	espHeaderLen  = 8  // SPI, sequence number (RFC 4303 section 2)
	ahHeaderLen   = 12 // up to the sequence number (RFC 4302 section 2)
	icmpHeaderLen = 8
)

// EtherTypes.
const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd
)

// frame returns a frame with stand-ins, nil for one of a kind that is not known.
func (s *Scrubber) frame(f *analyze.Frame) *analyze.Frame {
	to := analyze.Frame{
		Header: f.Header, Link: f.Link, Direction: f.Direction, OrigLen: f.OrigLen, Data: append([]byte{}, f.Data...),
	}
	typ, offset, err := analyze.NetworkLayer(f.Link, to.Data)
	if err != nil {
		return nil
	}
	s.link(f.Link, to.Data[:offset])
	body := to.Data[offset:]
	ok := true
	switch typ {
	case etherTypeARP:
		ok = s.arp(body)
	case etherTypeIPv4, etherTypeIPv6:
		body, ok = s.ip(body)
	default:
		ok = false
	}
	if !ok {
		return nil
	}
	to.Data = to.Data[:offset+len(body)]
	return &to
}

// link replaces the MAC addresses of a link-layer header.
func (s *Scrubber) link(link analyze.LinkType, b []byte) {
	switch link {
	case analyze.LinkEthernet:
		s.macBytes(b[0:6])
		s.macBytes(b[6:12])
	case analyze.LinkSLL: // address length (2) at 4, address at 6
		s.hardwareAddress(b[6:14], binary.BigEndian.Uint16(b[4:]))
	case analyze.LinkSLL2: // address length (1) at 11, address at 12
		s.hardwareAddress(b[12:20], uint16(b[11]))
	}
}

// hardwareAddress replaces the link-layer address of a cooked header, whose
// field has eight bytes.
func (s *Scrubber) hardwareAddress(b []byte, length uint16) {
	if length == 6 {
		s.macBytes(b[:6])
		return
	}
	clear(b)
}

// arp replaces the addresses of RFC 826's packet for Ethernet and IPv4; others
// are not known.
func (s *Scrubber) arp(b []byte) bool {
	const ethernetIPv4 = 28 // bytes
	if len(b) < ethernetIPv4 || b[4] != 6 || b[5] != 4 {
		return false
	}
	s.macBytes(b[8:14])
	s.addrBytes(b[14:18])
	s.macBytes(b[18:24])
	s.addrBytes(b[24:28])
	clear(b[ethernetIPv4:]) // padding
	return true
}

// ip replaces what a packet says, in place, and returns what is left of it.
func (s *Scrubber) ip(b []byte) ([]byte, bool) {
	p, ok := s.network(b)
	if !ok {
		return nil, false
	}
	sums := p.checksumsHold()
	n, ok := s.transport(&p.Packet, p.end)
	if !ok {
		return nil, false
	}
	s.addrBytes(p.src)
	s.addrBytes(p.dst)
	p.scrubOptions()
	p.mendChecksums(sums)
	return b[:p.upper+n], true
}

// transport replaces what a packet carries, in place, and returns how many
// bytes of it stay. room is what there is from the upper layer's first byte on.
func (s *Scrubber) transport(p *analyze.Packet, upper []byte) (n int, ok bool) {
	if p.FragOffset > 0 {
		s.secret.overwrite(upper)
		return len(upper), true
	}
	if _, _, esp := p.Flow(); esp {
		return headerOnly(p, len(upper)), true
	}
	if !p.Interesting() {
		return 0, false
	}
	clear(upper[len(p.Upper):]) // the link layer's padding
	switch p.Proto {
	case spd.ProtoUDP:
		s.udp(p)
	case spd.ProtoICMPv6:
		s.icmpv6(p.Payload)
	case spd.ProtoICMP:
		s.icmpError(p.Payload)
	default:
		return 0, false
	}
	return len(upper), true
}

// headerOnly returns how much of an ESP or AH packet is header.
func headerOnly(p *analyze.Packet, n int) int {
	switch p.Proto {
	case spd.ProtoAH:
		return min(n, ahHeaderLen)
	case spd.ProtoUDP:
		return min(n, udpHeaderLen+espHeaderLen)
	}
	return min(n, espHeaderLen)
}

// addrBytes replaces an address of 4 or 16 bytes in place.
func (s *Scrubber) addrBytes(b []byte) {
	if a, ok := netip.AddrFromSlice(b); ok {
		copy(b, s.addresses.addr(a).AsSlice())
	}
}

// icmpv6 replaces what neighbour discovery and errors say.
func (s *Scrubber) icmpv6(b []byte) {
	if len(b) < icmpHeaderLen {
		return
	}
	if b[0] < spd.RouterSolicitation {
		s.icmpError(b)
		return
	}
	s.neighborDiscovery(b)
}

// neighborDiscovery replaces addresses and options (RFC 4861 section 4): after
// eight bytes solicitation, advertisement and redirect have a target, redirect a
// destination too, and a router's advertisement two timers.
func (s *Scrubber) neighborDiscovery(b []byte) {
	at := icmpHeaderLen
	addresses := 0
	switch b[0] {
	case spd.RouterAdvertisement:
		at += 8
	case spd.NeighborSolicitation, spd.NeighborAdvertisement:
		addresses = 1
	case spd.Redirect:
		addresses = 2
	}
	for range addresses {
		if len(b) < at+16 {
			clear(b[min(at, len(b)):])
			return
		}
		s.addrBytes(b[at : at+16])
		at += 16
	}
	s.options(b[min(at, len(b)):])
}

// Options of neighbour discovery that say something worth keeping (RFC 4861
// section 4.6, RFC 3971 section 5.3.2).
const (
	optionSourceLinkAddr = 1
	optionTargetLinkAddr = 2
	optionPrefix         = 3
	optionMTU            = 5
	optionNonce          = 14
)

// options replaces what the options say; unknown ones keep type and length.
func (s *Scrubber) options(b []byte) {
	for len(b) >= 8 && b[1] > 0 && int(b[1])*8 <= len(b) {
		o := b[:int(b[1])*8]
		switch o[0] {
		case optionSourceLinkAddr, optionTargetLinkAddr:
			s.macBytes(o[2:8])
			clear(o[8:])
		case optionPrefix:
			s.prefixOption(o)
		case optionMTU, optionNonce:
		default:
			clear(o[2:])
		}
		b = b[len(o):]
	}
	clear(b)
}

// prefixOption: prefix length at 2, prefix at 16.
func (s *Scrubber) prefixOption(o []byte) {
	if len(o) != 32 || o[2] > 128 {
		clear(o[2:])
		return
	}
	p := netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:32])), int(o[2])).Masked()
	to := s.addresses.prefix(p).Addr().As16()
	copy(o[16:32], to[:])
}

// icmpError replaces what the quoted packet says (RFC 792, RFC 4443 section 3);
// of its upper layer eight bytes stay, but for neighbour discovery.
func (s *Scrubber) icmpError(b []byte) {
	if len(b) < icmpHeaderLen {
		return
	}
	p, ok := s.network(b[icmpHeaderLen:])
	if !ok {
		clear(b[icmpHeaderLen:])
		return
	}
	s.addrBytes(p.src)
	s.addrBytes(p.dst)
	p.scrubOptions()
	if typ, ok := p.ICMPv6Type(); ok && typ >= spd.RouterSolicitation && len(p.end) >= icmpHeaderLen {
		s.neighborDiscovery(p.end)
	} else if len(p.end) > icmpHeaderLen {
		s.secret.overwrite(p.end[icmpHeaderLen:])
	}
	if p.v4 {
		p.mendHeader()
	}
}
