package scrub

import (
	"encoding/binary"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// packet is an IP packet in place: where its parts are among the bytes.
type packet struct {
	analyze.Packet
	v4       bool
	all      []byte
	src, dst []byte
	upper    int    // where the upper layer begins
	end      []byte // from there on, all that there is
}

// network decodes an IP packet.
func (s *Scrubber) network(b []byte) (p packet, ok bool) {
	if len(b) < ipv4HeaderLen || p.Decode(analyze.LinkRaw, b) != nil || p.Upper == nil {
		return p, false
	}
	p.all, p.v4 = b, b[0]>>4 == 4
	p.upper = offsetOf(b, p.Upper)
	if p.v4 {
		p.src, p.dst = b[12:16], b[16:20]
	} else {
		p.src, p.dst = b[8:24], b[24:40]
	}
	p.end = b[p.upper:]
	return p, true
}

// offsetOf returns where part, a slice of whole, begins in it.
func offsetOf(whole, part []byte) int { return cap(whole) - cap(part) }

// scrubOptions removes what options and extension headers say: IPv4's become
// "no operation" (RFC 791 section 3.1), those of IPv6 keep type and length.
func (p *packet) scrubOptions() {
	if p.v4 {
		for i := ipv4HeaderLen; i < p.upper; i++ {
			p.all[i] = 1
		}
		return
	}
	next, at := p.all[6], ipv6HeaderLen
	for at+8 <= p.upper {
		size := 8
		if next != protoFragment {
			size = int(p.all[at+1])*8 + 8
			pad(p.all[at+2 : min(at+size, p.upper)])
		}
		next, at = p.all[at], at+size
	}
}

const protoFragment = 44

// pad fills an extension header with PadN options (RFC 8200 section 4.2).
func pad(b []byte) {
	clear(b)
	for len(b) >= 2 {
		n := min(len(b)-2, 255)
		b[0], b[1] = 1, byte(n)
		b = b[2+n:]
	}
}

// checksums says which checksums of a packet are right.
type checksums struct{ header, upper bool }

// checksumsHold tells which checksums are right and so are to be right again.
// Those that a card was to fill in stay wrong.
func (p *packet) checksumsHold() checksums {
	return checksums{
		header: p.v4 && sum(p.all[:p.upper], 0) == 0xffff,
		upper:  p.whole() && p.checksumField() != nil && p.pseudoSum() == 0xffff,
	}
}

// whole reports whether all of the upper layer is there.
func (p *packet) whole() bool { return !p.Fragment && !p.Cut }

func (p *packet) mendChecksums(held checksums) {
	if f := p.checksumField(); f != nil {
		switch {
		case held.upper:
			p.mendUpper(f)
		case !p.whole() && p.v4 && p.Proto == spd.ProtoUDP:
			clear(f) // not computed (RFC 768): the rest of the datagram is not here
		}
	}
	if held.header {
		p.mendHeader()
	}
}

func (p *packet) mendHeader() {
	f := p.all[10:12]
	clear(f)
	binary.BigEndian.PutUint16(f, ^sum(p.all[:p.upper], 0))
}

func (p *packet) mendUpper(f []byte) {
	clear(f)
	v := ^p.pseudoSum()
	if v == 0 && p.Proto == spd.ProtoUDP {
		v = 0xffff // RFC 768: zero means none
	}
	binary.BigEndian.PutUint16(f, v)
}

// checksumField returns the upper layer's checksum, nil where it has none.
func (p *packet) checksumField() []byte {
	at := 0
	switch p.Proto {
	case spd.ProtoUDP:
		at = 6
	case spd.ProtoICMP, spd.ProtoICMPv6:
		at = 2
	default:
		return nil
	}
	if p.FragOffset > 0 || len(p.end) < at+2 {
		return nil
	}
	return p.end[at : at+2]
}

// pseudoSum returns the one's complement sum over the upper layer and the
// pseudo-header (RFC 768, RFC 8200 section 8.1); ICMP for IPv4 has none.
func (p *packet) pseudoSum() uint16 {
	upper := p.Upper
	if p.Proto == spd.ProtoICMP {
		return sum(upper, 0)
	}
	start := uint32(p.Proto) + uint32(len(upper))
	start += uint32(sum(p.src, 0)) + uint32(sum(p.dst, 0))
	return sum(upper, start)
}

// sum returns the one's complement sum of 16-bit words (RFC 1071).
func sum(b []byte, start uint32) uint16 {
	t := start
	for ; len(b) >= 2; b = b[2:] {
		t += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		t += uint32(b[0]) << 8
	}
	for t > 0xffff {
		t = t&0xffff + t>>16
	}
	return uint16(t)
}
