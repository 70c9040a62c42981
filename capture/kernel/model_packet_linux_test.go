package kernel

import (
	"encoding/binary"
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// frame is an Ethernet frame that holds an IP packet, fit to be put on the wire
// of a TAP device.
func frame(dstMAC [6]byte, ip []byte) []byte {
	kind := []byte{0x86, 0xdd}
	if ip[0]>>4 == 4 {
		kind = []byte{0x08, 0x00}
	}
	f := append(dstMAC[:], 2, 0, 0, 0, 0, 2)
	return append(append(f, kind...), ip...)
}

// ipPacket makes the IP packet of a flow around a payload. Hop limit 64 keeps
// neighbour discovery from believing in what is not its own.
func ipPacket(f spd.Flow, hops byte, payload []byte) []byte {
	if f.Dst.Is4() {
		h := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, hops, f.Proto, 0, 0}
		h = append(append(h, f.Src.AsSlice()...), f.Dst.AsSlice()...)
		binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
		binary.BigEndian.PutUint16(h[10:], internetChecksum(0, h))
		return append(h, payload...)
	}
	h := []byte{0x60, 0, 0, 0, 0, 0, f.Proto, hops}
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	h = append(append(h, f.Src.WithZone("").AsSlice()...), f.Dst.WithZone("").AsSlice()...)
	return append(h, payload...)
}

// transportPayload makes what follows the IP header: the header of the flow's
// protocol, then the cookie by which the packet is known.
func transportPayload(f spd.Flow, cookie uint64) []byte {
	var b []byte
	at := -1 // of the checksum
	switch f.Proto {
	case spd.ProtoICMP, spd.ProtoICMPv6:
		b, at = []byte{byte(f.SrcPort), byte(f.DstPort), 0, 0, 0, 0, 0, 0}, 2
	case spd.ProtoUDP:
		b, at = binary.BigEndian.AppendUint16(nil, f.SrcPort), 6
		b = binary.BigEndian.AppendUint16(b, f.DstPort)
		b = append(b, 0, 16, 0, 0)
	}
	b = binary.BigEndian.AppendUint64(b, cookie)
	if at >= 0 {
		binary.BigEndian.PutUint16(b[at:], internetChecksum(pseudoHeader(f, len(b)), b))
	}
	return b
}

// pseudoHeader sums what RFC 8200 section 8.1 and RFC 768 put before the
// payload; ICMP of IPv4 has none.
func pseudoHeader(f spd.Flow, n int) (sum uint32) {
	if f.Proto == spd.ProtoICMP {
		return 0
	}
	b := append(f.Src.WithZone("").AsSlice(), f.Dst.WithZone("").AsSlice()...)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum + uint32(n) + uint32(f.Proto)
}

// internetChecksum is that of RFC 1071.
func internetChecksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// searchFor is the neighbour solicitation with which asker looks for target:
// the kernel that owns target answers it.
func searchFor(asker, target netip.Addr) []byte {
	f := spd.ICMPv6Flow(asker, target, spd.NeighborSolicitation)
	b := append([]byte{spd.NeighborSolicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	b = append(b, 1, 1, 2, 0, 0, 0, 0, 2) // source link-layer address
	binary.BigEndian.PutUint16(b[2:], internetChecksum(pseudoHeader(f, len(b)), b))
	return ipPacket(f, 255, b)
}

// seen is a packet that came out of a TAP device.
type seen struct {
	src, dst netip.Addr
	proto    uint8
	payload  []byte
}

func parseFrame(b []byte) (p seen, ok bool) {
	if len(b) < 14+20 {
		return p, false
	}
	switch ip := b[14:]; {
	case b[12] == 0x08 && b[13] == 0 && ip[0] == 0x45:
		return seen{netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:])), ip[9], ip[20:]}, true
	case b[12] == 0x86 && b[13] == 0xdd && len(ip) >= 40:
		return seen{netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), ip[6], ip[40:]}, true
	}
	return p, false
}

// cookie returns the last 8 bytes.
func (p seen) cookie() uint64 {
	if len(p.payload) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(p.payload[len(p.payload)-8:])
}
