package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// maxExtensionHeaders bounds the walk along an IPv6 header chain. RFC 8200
// section 4.1 knows at most seven, each once but for destination options.
const maxExtensionHeaders = 16

// IPv6 extension headers (RFC 8200 section 4) that are skipped.
const (
	protoHopByHop = 0
	protoFragment = 44
	protoNone     = 59
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

// decodeIPv4 reads RFC 791's header:
//
//	|Version|  IHL  |Type of Service|          Total Length         |
//	|         Identification        |Flags|      Fragment Offset    |
//	|  Time to Live |    Protocol   |         Header Checksum       |
//	|                       Source Address                          |
//	|                    Destination Address                        |
func (p *Packet) decodeIPv4(b []byte) error {
	if len(b) < 20 {
		return ErrShort
	}
	header, total := int(b[0]&0x0f)*4, int(be16(b[2:]))
	if b[0]>>4 != 4 || header < 20 || (total != 0 && total < header) {
		return ErrMalformed
	}
	p.HopLimit, p.Proto = b[8], b[9]
	p.Src = netip.AddrFrom4([4]byte(b[12:16]))
	p.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	frag := be16(b[6:])
	p.FragMore, p.FragOffset = frag&0x2000 != 0, int(frag&0x1fff)*8
	p.Fragment, p.FragID = p.FragMore || p.FragOffset > 0, uint32(be16(b[4:]))
	if header > len(b) {
		return ErrShort
	}
	if total == 0 { // segmentation offload left it to the card
		total = len(b)
	}
	p.Offset += header
	return p.decodeUpper(p.trim(b, total)[header:])
}

// trim cuts b to the length that the IP header gives, or notes that the
// capture holds less.
func (p *Packet) trim(b []byte, length int) []byte {
	if length > len(b) {
		p.Cut = true
		return b
	}
	return b[:length]
}

// decodeIPv6 reads RFC 8200's header:
//
//	|Version| Traffic Class |           Flow Label                  |
//	|         Payload Length        |  Next Header  |   Hop Limit   |
//	|                  Source Address (16 bytes)                    |
//	|               Destination Address (16 bytes)                  |
func (p *Packet) decodeIPv6(b []byte) error {
	if len(b) < 40 {
		return ErrShort
	}
	if b[0]>>4 != 6 {
		return ErrMalformed
	}
	p.HopLimit = b[7]
	p.Src = netip.AddrFrom16([16]byte(b[8:24]))
	p.Dst = netip.AddrFrom16([16]byte(b[24:40]))
	length := int(be16(b[4:])) + 40
	if length == 40 && b[6] != protoNone { // jumbogram or segmentation offload
		length = len(b)
	}
	p.Offset += 40
	return p.walkExtensions(b[6], p.trim(b, length)[40:])
}

// walkExtensions follows the chain of extension headers to the upper layer.
// ESP, AH and what lies behind a fragment's offset end it.
func (p *Packet) walkExtensions(next uint8, b []byte) error {
	for range maxExtensionHeaders {
		p.Proto = next
		var size int
		switch next {
		case protoHopByHop, spd.ProtoRouting, spd.ProtoDstOpts, protoMobility, protoHIP, protoShim6:
			if len(b) < 2 {
				return ErrShort
			}
			size = int(b[1])*8 + 8
		case protoFragment:
			if len(b) < 8 {
				return ErrShort
			}
			p.fragmentHeader(b)
			size = 8
		default:
			return p.decodeUpper(b)
		}
		next = b[0]
		if size > len(b) {
			p.Proto = next
			return ErrShort
		}
		b, p.Offset = b[size:], p.Offset+size
		if p.FragOffset > 0 {
			p.Proto = next
			return p.decodeUpper(b)
		}
	}
	return ErrMalformed
}

// fragmentHeader reads RFC 8200 section 4.5:
//
//	|  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
//	|                         Identification                        |
func (p *Packet) fragmentHeader(b []byte) {
	field := be16(b[2:])
	p.Fragment, p.FragID = true, be32(b[4:])
	p.FragOffset, p.FragMore = int(field&^7), field&1 != 0
}
