package analyze

import (
	"errors"
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// Errors of Packet.Decode. They are values, so that deciding that a frame is of
// no interest costs no allocation.
var (
	// ErrNotIP is returned for a frame that carries neither IP nor ARP.
	ErrNotIP = errors.New("neither IP nor ARP")
	// ErrShort is returned where the captured bytes end inside a header.
	ErrShort = errors.New("frame ends inside a header")
	// ErrMalformed is returned where a header contradicts itself.
	ErrMalformed = errors.New("malformed header")
	// ErrLinkType is returned for a link type that cannot be decoded.
	ErrLinkType = errors.New("unsupported link type")
)

// EtherTypes that are looked at.
const (
	etherTypeIPv4 = 0x0800
	etherTypeARP  = 0x0806
	etherTypeVLAN = 0x8100
	etherTypeIPv6 = 0x86dd
	etherTypeQinQ = 0x88a8
	etherTypeOldQ = 0x9100
)

// UDP ports of IKE (RFC 7296 section 2, RFC 3948).
const (
	PortIKE  = 500
	PortNATT = 4500
)

// HardwareAddr is a 48-bit MAC address.
type HardwareAddr [6]byte

// Packet is the chain of headers of one frame, down to the upper layer. Its
// slices point into the frame. The zero value is ready; Decode reuses it
// without allocating.
type Packet struct {
	EtherSrc, EtherDst HardwareAddr // zero where the link type has none
	EtherType          uint16       // of what follows the link layer and its tags
	Src, Dst           netip.Addr
	HopLimit           uint8 // or TTL
	Proto              uint8 // of the upper layer, extension headers skipped

	Fragment   bool // one of several, or an atomic fragment's header was there
	FragID     uint32
	FragOffset int // bytes
	FragMore   bool

	SrcPort, DstPort uint16 // UDP only
	// Upper is the upper layer from its header's first byte on.
	Upper []byte
	// Payload is what follows the UDP header; for other protocols the upper
	// layer's header and all that follows; for ARP its body. It ends where the
	// IP header says, without the link layer's padding.
	Payload []byte
	// Offset is where in the frame Payload begins, bytes.
	Offset int
	// Cut is set where the snap length took bytes that the headers promise.
	Cut bool
}

// Decode reads the headers of a frame into p. On ErrShort and ErrMalformed the
// fields decoded so far are valid.
func (p *Packet) Decode(link LinkType, data []byte) error {
	*p = Packet{}
	typ, rest, err := p.decodeLink(link, data)
	if err != nil {
		return err
	}
	p.EtherType, p.Offset = typ, len(data)-len(rest)
	switch typ {
	case etherTypeIPv4:
		return p.decodeIPv4(rest)
	case etherTypeIPv6:
		return p.decodeIPv6(rest)
	case etherTypeARP:
		p.Payload = rest
		return nil
	}
	return ErrNotIP
}

// decodeUpper fills in the upper layer from its first byte on. Fragments after
// the first have no header to read.
func (p *Packet) decodeUpper(b []byte) error {
	p.Upper, p.Payload = b, b
	if p.FragOffset > 0 || p.Proto != spd.ProtoUDP {
		return nil
	}
	return p.decodeUDP(b)
}

// decodeUDP reads RFC 768's header: source port, destination port, length,
// checksum, 16 bits each.
func (p *Packet) decodeUDP(b []byte) error {
	if len(b) < 8 {
		return ErrShort
	}
	p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	length := int(be16(b[4:]))
	p.Payload, p.Offset = b[8:], p.Offset+8
	switch {
	case length == 0 || p.FragMore: // a jumbogram, or more of it elsewhere
	case length < 8:
		return ErrMalformed
	case length > len(b):
		p.Cut = p.Cut || !p.Fragment
	default:
		p.Payload = b[8:length]
	}
	return nil
}

// IsARP reports whether the frame is ARP.
func (p *Packet) IsARP() bool { return p.EtherType == etherTypeARP }

// ICMPv6Type returns the type of an unfragmented ICMPv6 message.
func (p *Packet) ICMPv6Type() (typ uint8, ok bool) {
	if p.Proto != spd.ProtoICMPv6 || p.FragOffset > 0 || len(p.Payload) == 0 || !p.Dst.Is6() {
		return 0, false
	}
	return p.Payload[0], true
}

func be16(b []byte) uint16 { _ = b[1]; return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
