package analyze

import (
	"hash/fnv"
	"net/netip"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// MarkClass is what kind of packet a Mark is of.
type MarkClass uint8

// The classes.
const (
	MarkIKE MarkClass = iota + 1
	MarkESP
	MarkAH
	MarkSolicitation  // neighbour solicitation
	MarkAdvertisement // neighbour advertisement
	MarkARPRequest
	MarkARPReply
)

// String is how one such packet is called.
func (c MarkClass) String() string {
	switch c {
	case MarkIKE:
		return "IKE message"
	case MarkESP:
		return "ESP packet"
	case MarkAH:
		return "AH packet"
	case MarkSolicitation:
		return "neighbour solicitation"
	case MarkAdvertisement:
		return "neighbour advertisement"
	case MarkARPRequest:
		return "ARP request"
	case MarkARPReply:
		return "ARP reply"
	}
	return "packet"
}

// Mark is by what a packet is known again by another observer, NAT or not: no
// address or port of UDP is in it, no hop limit and no checksum that NAT mends.
// The same packet sent again has the same mark.
type Mark struct {
	Class MarkClass
	Key   uint64 // hash of what NAT leaves
	// SPI is that of ESP or AH, or the initiator's of IKE; 0 for others.
	SPI uint64
	// Target is whom a solicitation or an ARP request asks for, and whom an ARP
	// reply is for: ARP has no destination but on the link layer.
	Target netip.Addr
}

// ikeMarkLen is how much of an IKE message is in its mark: the header (RFC 7296
// section 3.1), which holds SPIs, exchange, message ID and length, and the fields
// of an encrypted fragment that tell which one it is (RFC 7383 section 2.5).
const ikeMarkLen = ike.HeaderLen + 8

// Mark returns the packet's mark; ok is false for packets that have none.
func (p *Packet) Mark() (m Mark, ok bool) {
	if key, seq, ok := p.Flow(); ok {
		return FlowMark(key, seq), true
	}
	switch {
	case p.IsARP():
		return p.arpMark()
	case p.Proto == spd.ProtoUDP && !p.Fragment && p.isIKEPort():
		return p.ikeMark()
	case p.Proto == spd.ProtoICMPv6:
		return p.ndMark()
	}
	return m, false
}

// FlowMark is the mark of the packet of ESP or AH with that sequence number.
func FlowMark(key FlowKey, seq uint32) Mark {
	m := Mark{Class: MarkESP, SPI: uint64(key.SPI)}
	if key.Proto == spd.ProtoAH {
		m.Class = MarkAH
	}
	m.Key = markKey(m.Class, []byte{
		byte(key.SPI >> 24), byte(key.SPI >> 16), byte(key.SPI >> 8), byte(key.SPI),
		byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq),
	})
	return m
}

func (p *Packet) ikeMark() (m Mark, ok bool) {
	kind, message := ike.Demux(p.SrcPort, p.DstPort, p.Payload)
	if kind != ike.UDPIKE || len(message) < ike.HeaderLen {
		return m, false
	}
	m.Class, m.Key = MarkIKE, markKey(MarkIKE, message[:min(len(message), ikeMarkLen)])
	m.SPI = uint64(be32(message))<<32 | uint64(be32(message[4:]))
	return m, true
}

// ndMark is of RFC 4861 sections 4.3 and 4.4: type, code, checksum, flags, target,
// options.
func (p *Packet) ndMark() (m Mark, ok bool) {
	typ, ok := p.ICMPv6Type()
	if !ok || len(p.Payload) < 24 || p.FragMore {
		return m, false
	}
	switch typ {
	case spd.NeighborSolicitation:
		m.Class = MarkSolicitation
	case spd.NeighborAdvertisement:
		m.Class = MarkAdvertisement
	default:
		return m, false
	}
	m.Key = markKey(m.Class, p.Payload[:min(len(p.Payload), 32)])
	if m.Class == MarkSolicitation {
		m.Target, _ = netip.AddrFromSlice(p.Payload[8:24])
	}
	return m, true
}

// arpMark is of RFC 826: 8 bytes of types and operation, then sender and target
// for Ethernet and IPv4.
func (p *Packet) arpMark() (m Mark, ok bool) {
	b := p.Payload
	if len(b) < 28 {
		return m, false
	}
	m.Class = MarkARPRequest
	m.Target, _ = netip.AddrFromSlice(b[24:28])
	if be16(b[6:]) == 2 {
		m.Class = MarkARPReply
	}
	m.Key = markKey(m.Class, b[:28])
	return m, true
}

func markKey(c MarkClass, b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(c)})
	_, _ = h.Write(b)
	return mix(h.Sum64())
}

// mix spreads a hash over all its bits: some of them choose samples.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

// arpSender is the address that an ARP message is from.
func (p *Packet) arpSender() (a netip.Addr) {
	if len(p.Payload) >= 28 {
		a, _ = netip.AddrFromSlice(p.Payload[14:18])
	}
	return a
}

// Sender is whom a packet is from: its source address, or that in an ARP message.
func (p *Packet) Sender() netip.Addr {
	if p.IsARP() {
		return p.arpSender()
	}
	return p.Src
}
