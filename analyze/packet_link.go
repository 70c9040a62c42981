package analyze

import "encoding/binary"

// maxVLANTags bounds the tags that are skipped: 802.1Q inside 802.1ad is two,
// some providers stack more.
const maxVLANTags = 4

// NetworkLayer returns where the network layer of a frame begins, and its
// EtherType. The errors are those of Packet.Decode.
func NetworkLayer(link LinkType, data []byte) (etherType uint16, offset int, err error) {
	var p Packet
	etherType, rest, err := p.decodeLink(link, data)
	return etherType, len(data) - len(rest), err
}

// decodeLink skips the link layer and returns the EtherType of what follows.
func (p *Packet) decodeLink(link LinkType, b []byte) (uint16, []byte, error) {
	switch link {
	case LinkEthernet:
		return p.decodeEthernet(b)
	case LinkSLL:
		return p.decodeSLL(b)
	case LinkSLL2:
		return p.decodeSLL2(b)
	case LinkNull, LinkLoop:
		return decodeLoop(link, b)
	case LinkRaw, LinkRawBSD, LinkRawOBSD, LinkIPv4, LinkIPv6:
		return rawIP(b)
	}
	return 0, nil, ErrLinkType
}

// decodeEthernet reads destination (6), source (6) and EtherType (2).
func (p *Packet) decodeEthernet(b []byte) (uint16, []byte, error) {
	if len(b) < 14 {
		return 0, nil, ErrShort
	}
	copy(p.EtherDst[:], b[0:6])
	copy(p.EtherSrc[:], b[6:12])
	return skipTags(be16(b[12:]), b[14:])
}

// skipTags skips 802.1Q and 802.1ad tags: control information (2), EtherType (2).
func skipTags(typ uint16, b []byte) (uint16, []byte, error) {
	for range maxVLANTags {
		if typ != etherTypeVLAN && typ != etherTypeQinQ && typ != etherTypeOldQ {
			break
		}
		if len(b) < 4 {
			return 0, nil, ErrShort
		}
		typ, b = be16(b[2:]), b[4:]
	}
	return typ, b, nil
}

// decodeSLL reads LINKTYPE_LINUX_SLL: packet type (2), ARPHRD (2), address
// length (2), address (8), protocol (2).
func (p *Packet) decodeSLL(b []byte) (uint16, []byte, error) {
	if len(b) < 16 {
		return 0, nil, ErrShort
	}
	if be16(b[4:]) == 6 {
		copy(p.EtherSrc[:], b[6:12])
	}
	return skipTags(be16(b[14:]), b[16:])
}

// decodeSLL2 reads LINKTYPE_LINUX_SLL2: protocol (2), reserved (2), interface
// index (4), ARPHRD (2), packet type (1), address length (1), address (8).
func (p *Packet) decodeSLL2(b []byte) (uint16, []byte, error) {
	if len(b) < 20 {
		return 0, nil, ErrShort
	}
	if b[11] == 6 {
		copy(p.EtherSrc[:], b[12:18])
	}
	return skipTags(be16(b), b[20:])
}

// decodeLoop reads the address family of LINKTYPE_NULL (byte order of the
// capturing host, so both are tried) and LINKTYPE_LOOP (network order).
func decodeLoop(link LinkType, b []byte) (uint16, []byte, error) {
	if len(b) < 4 {
		return 0, nil, ErrShort
	}
	family := binary.BigEndian.Uint32(b)
	if link == LinkNull && family > 0xffff {
		family = binary.LittleEndian.Uint32(b)
	}
	switch family {
	case 2: // AF_INET everywhere
		return etherTypeIPv4, b[4:], nil
	case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS
		return etherTypeIPv6, b[4:], nil
	}
	return 0, nil, ErrNotIP
}

// rawIP tells IPv4 from IPv6 by the version field.
func rawIP(b []byte) (uint16, []byte, error) {
	if len(b) == 0 {
		return 0, nil, ErrShort
	}
	switch b[0] >> 4 {
	case 4:
		return etherTypeIPv4, b, nil
	case 6:
		return etherTypeIPv6, b, nil
	}
	return 0, nil, ErrNotIP
}
