package capture

import (
	"encoding/binary"

	"ipsecdiag/analyze"
)

// Hardware types (linux/if_arp.h) of devices that carry bare IP, and of those
// with an Ethernet header.
const (
	hatypeEther    = 1
	hatypePPP      = 512
	hatypeRawIP    = 519
	hatypeTunnel   = 768 // ipip, vti
	hatypeTunnel6  = 769
	hatypeLoopback = 772
	hatypeSIT      = 776
	hatypeNone     = 0xfffe // tun, xfrm, wireguard
)

// linkOf returns the link type in which frames of one interface are handed on:
// Ethernet, bare IP, or Linux cooked capture for all that is neither.
func linkOf(hatype uint16) analyze.LinkType {
	switch hatype {
	case hatypeEther, hatypeLoopback:
		return analyze.LinkEthernet
	case hatypeNone, hatypePPP, hatypeRawIP, hatypeTunnel, hatypeTunnel6, hatypeSIT:
		return analyze.LinkRaw
	}
	return analyze.LinkSLL2
}

// framer gives the frames of a ring the form of one link type: all frames of a
// recording must have the same, and several interfaces may differ, so they are
// shown the way `tcpdump -i any` does, as LINKTYPE_LINUX_SLL2.
type framer struct {
	link analyze.LinkType
	buf  []byte
}

// frame returns the frame's bytes, and its length before it was cut. The bytes
// are the ring's or the framer's, good until the next call.
func (r *framer) frame(f *ringFrame) (data []byte, length int) {
	switch {
	case r.link == analyze.LinkSLL2:
		r.buf = appendSLL2(r.buf[:0], f)
		data = r.buf
	case r.link == analyze.LinkRaw:
		_, data = f.payload()
	case f.tpid != 0 && len(f.data) >= 12:
		r.buf = appendTagged(r.buf[:0], f)
		data = r.buf
	default:
		data = f.data
	}
	return data, f.length + len(data) - len(f.data)
}

// appendTagged puts the 802.1Q tag that the kernel took out behind the two
// hardware addresses, where it was on the wire.
func appendTagged(b []byte, f *ringFrame) []byte {
	b = append(b, f.data[:12]...)
	b = binary.BigEndian.AppendUint16(b, f.tpid)
	b = binary.BigEndian.AppendUint16(b, f.tci)
	return append(b, f.data[12:]...)
}

// sll2Len is the length of the header of LINKTYPE_LINUX_SLL2, bytes.
const sll2Len = 20

// appendSLL2 appends the header of LINKTYPE_LINUX_SLL2 and the packet: protocol
// (2), reserved (2), interface index (4), ARPHRD (2), packet type (1), address
// length (1), address (8). The tag that the kernel took out is not shown.
func appendSLL2(b []byte, f *ringFrame) []byte {
	etherType, payload := f.payload()
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(f.index))
	b = binary.BigEndian.AppendUint16(b, f.hatype)
	b = append(b, f.pkttype, f.halen)
	b = append(b, f.addr[:]...)
	return append(b, payload...)
}

// direction tells what this host sent from what it received.
func direction(f *ringFrame) analyze.Direction {
	if f.outgoing() {
		return analyze.DirOut
	}
	return analyze.DirIn
}

// shownTwice reports whether the frame is loopback's outgoing view of a packet,
// which the same device shows again as incoming.
func shownTwice(f *ringFrame) bool {
	return f.hatype == hatypeLoopback && f.outgoing()
}
