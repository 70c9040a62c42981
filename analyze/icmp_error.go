package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// maxICMPErrors bounds the kinds of errors kept of one pair.
const maxICMPErrors = 8

// ICMPKind is what an ICMP or ICMPv6 error says, in one set of names for both.
type ICMPKind uint8

// What errors say (RFC 792, RFC 1812 section 5.2.7, RFC 4443 section 3).
const (
	ICMPOther             ICMPKind = iota
	ICMPNoRoute                    // network or host unreachable
	ICMPAddress                    // host or address unreachable: nobody answers for it
	ICMPPort                       // port unreachable: nobody listens there
	ICMPProtocol                   // protocol unreachable: ESP or AH is not known there
	ICMPProhibited                 // by an administrator
	ICMPTooBig                     // packet too big, or fragmentation needed
	ICMPTimeExceeded               // hop limit reached
	ICMPReassemblyTimeout          // fragments were missing
)

var icmpNames = [...]string{"another error", "no route", "address unreachable", "port unreachable", "protocol unreachable",
	"administratively prohibited", "packet too big", "time exceeded", "fragment reassembly time exceeded"}

// String returns the kind in words.
func (k ICMPKind) String() string { return icmpNames[min(int(k), len(icmpNames)-1)] }

// ICMPError is one kind of ICMP or ICMPv6 error about packets of IPsec between
// two hosts, however often it came.
type ICMPError struct {
	Kind       ICMPKind
	Type, Code uint8
	From, To   netip.Addr // who reports it, a host or a router, and to whom
	// MTU is the smallest that one named, bytes, IP header included; 0 where none
	// did (RFC 1191 section 3, RFC 4443 section 3.2).
	MTU uint32
	// Quoted is the packet that it is about: the last such one.
	Quoted      QuotedPacket
	Direction   Direction
	First, Last Sighting
	Count       int
}

// QuotedPacket is the packet that an ICMP error quotes.
type QuotedPacket struct {
	Src, Dst         netip.Addr
	Proto            uint8  // spd.ProtoUDP, spd.ProtoESP, spd.ProtoAH
	SrcPort, DstPort uint16 // of UDP: IKE, or ESP in UDP where SPI is set
	SPI              uint32 // of ESP and AH, 0 where the quotation is too short
	// Length is that of the whole packet as its IP header says, bytes.
	Length int
}

// applyICMPError folds an error about a packet of IPsec, and reports whether the
// message is one.
func (s *State) applyICMPError(h *Host, f *Frame, p *Packet) bool {
	kind, ok := p.ICMPError()
	if !ok || !p.Interesting() {
		return ok
	}
	q, ok := p.Quoted()
	if !ok || (q.Proto != spd.ProtoUDP && q.Proto != spd.ProtoESP && q.Proto != spd.ProtoAH) {
		return true
	}
	src, dst, to := zoned(q.Src, f.Origin), zoned(q.Dst, f.Origin), zoned(p.Dst, f.Origin)
	if src == dst || (to != src && to != dst) {
		return true // it goes to who did not send what it quotes
	}
	e := s.view(h, src, dst).icmpError(ICMPError{
		Kind: kind, Type: p.Payload[0], Code: p.Payload[1], From: zoned(p.Src, f.Origin), To: to,
		Quoted: quotedPacket(&q, src, dst, p.Payload[8:]), First: s.Now,
	})
	e.Count++
	e.Last, e.Direction = s.Now, f.Direction
	if mtu := p.icmpMTU(kind); mtu > 0 && (e.MTU == 0 || mtu < e.MTU) {
		e.MTU = mtu
	}
	return true
}

// icmpError returns the entry of one kind of error, making it if need be.
func (v *View) icmpError(like ICMPError) *ICMPError {
	for _, e := range v.Errors {
		if e.Type == like.Type && e.Code == like.Code && e.From == like.From && e.To == like.To &&
			e.Quoted.Proto == like.Quoted.Proto && e.Quoted.DstPort == like.Quoted.DstPort {
			e.Quoted = like.Quoted
			return e
		}
	}
	v.Errors = appendBounded(v.Errors, &like, maxICMPErrors)
	return &like
}

func quotedPacket(q *Packet, src, dst netip.Addr, raw []byte) QuotedPacket {
	out := QuotedPacket{Src: src, Dst: dst, Proto: q.Proto, SrcPort: q.SrcPort, DstPort: q.DstPort, Length: int(be16(raw[2:]))}
	if q.Src.Is6() {
		out.Length = 40 + int(be16(raw[4:]))
	}
	if k, _, ok := q.Flow(); ok {
		out.SPI = k.SPI
	}
	return out
}

// ICMPError tells what an ICMP or ICMPv6 message reports; ok is false for one
// that is no error.
func (p *Packet) ICMPError() (kind ICMPKind, ok bool) {
	b := p.Payload
	switch {
	case p.FragOffset > 0 || len(b) < 8:
		return 0, false
	case p.Proto == spd.ProtoICMPv6:
		return icmp6Kind(b[0], b[1]), b[0] >= 1 && b[0] <= 4
	case p.Proto == spd.ProtoICMP:
		return icmp4Kind(b[0], b[1]), b[0] == 3 || b[0] == 11 || b[0] == 12
	}
	return 0, false
}

// icmp4Kind: RFC 792, RFC 1812 section 5.2.7.1.
func icmp4Kind(typ, code uint8) ICMPKind {
	switch {
	case typ == 11 && code == 1:
		return ICMPReassemblyTimeout
	case typ == 11:
		return ICMPTimeExceeded
	case typ != 3:
		return ICMPOther
	}
	switch code {
	case 0, 5, 6, 11:
		return ICMPNoRoute
	case 1, 7, 8, 12:
		return ICMPAddress
	case 2:
		return ICMPProtocol
	case 3:
		return ICMPPort
	case 4:
		return ICMPTooBig
	case 9, 10, 13:
		return ICMPProhibited
	}
	return ICMPOther
}

// icmp6Kind: RFC 4443 section 3. An unknown next header (type 4, code 1) is what
// IPv4 calls an unreachable protocol.
func icmp6Kind(typ, code uint8) ICMPKind {
	switch {
	case typ == 2:
		return ICMPTooBig
	case typ == 3 && code == 1:
		return ICMPReassemblyTimeout
	case typ == 3:
		return ICMPTimeExceeded
	case typ == 4 && code == 1:
		return ICMPProtocol
	case typ != 1:
		return ICMPOther
	}
	switch code {
	case 0:
		return ICMPNoRoute
	case 1, 5, 6:
		return ICMPProhibited
	case 3:
		return ICMPAddress
	case 4:
		return ICMPPort
	}
	return ICMPOther
}

// icmpMTU returns the MTU that packet too big names (RFC 4443 section 3.2, 32
// bits; RFC 1191 section 4, the last 16 of the same place), 0 for none.
func (p *Packet) icmpMTU(kind ICMPKind) uint32 {
	if kind != ICMPTooBig {
		return 0
	}
	if p.Proto == spd.ProtoICMP {
		return uint32(be16(p.Payload[6:]))
	}
	return be32(p.Payload[4:])
}
