package capture

import (
	"encoding/binary"
	"errors"
)

// Offsets in struct tpacket_block_desc with its tpacket_hdr_v1:
//
//	| version (4) | offset_to_priv (4) | block_status (4) | num_pkts (4) |
//	| offset_to_first_pkt (4) | blk_len (4) | seq_num (8) | times (16)  |
const (
	blockStatusAt  = 8
	blockFramesAt  = 12
	blockFirstAt   = 16
	blockHeaderLen = 48
)

// Lengths of struct tpacket3_hdr and of the struct sockaddr_ll behind it.
const (
	frameHeaderLen   = 48
	frameSockaddrLen = 20
)

// Bits of tpacket3_hdr's tp_status, and values of sockaddr_ll's sll_pkttype
// (linux/if_packet.h).
const (
	statusVLANValid = 1 << 4
	statusTPIDValid = 1 << 6

	packetOutgoing = 4
)

// errRing is returned for a block whose headers lead out of it.
var errRing = errors.New("capture ring is damaged")

// ringFrame is one frame in the ring. Its bytes are the ring's.
type ringFrame struct {
	at     int64  // nanoseconds since 1970
	data   []byte // what was copied, from the link layer's header on
	net    int    // offset of the network header in data
	length int    // of the frame before it was cut to data

	// From sockaddr_ll.
	index    int    // of the interface
	protocol uint16 // EtherType
	hatype   uint16 // ARPHRD_…
	pkttype  uint8  // PACKET_…
	halen    uint8
	addr     [8]byte // of the sender

	// The 802.1Q tag that the kernel took out of the frame; tpid is 0 where
	// there was none.
	tpid, tci uint16
}

// blockFrames calls f for each frame of a block until f returns false. f must
// not keep the frame.
func blockFrames(block []byte, f func(*ringFrame) bool) error {
	if len(block) < blockHeaderLen {
		return errRing
	}
	count := binary.NativeEndian.Uint32(block[blockFramesAt:])
	at := uint64(binary.NativeEndian.Uint32(block[blockFirstAt:]))
	var frame ringFrame
	for range count {
		if at > uint64(len(block)) {
			return errRing
		}
		next, ok := frame.parse(block[at:])
		if !ok {
			return errRing
		}
		if !f(&frame) || next == 0 {
			return nil
		}
		at += uint64(next)
	}
	return nil
}

// parse reads a frame's headers, in the host's byte order unless it says else,
// and returns the distance to the next one:
//
//	tpacket3_hdr: next_offset (4) sec (4) nsec (4) snaplen (4) len (4)
//	    status (4) mac (2) net (2) rxhash (4) vlan_tci (4) vlan_tpid (2)
//	    padding (10)
//	sockaddr_ll: family (2) protocol (2, network order) ifindex (4)
//	    hatype (2) pkttype (1) halen (1) addr (8)
//
// The bytes copied begin at mac, the network header, as the kernel sees it, at
// net.
func (f *ringFrame) parse(b []byte) (next uint32, ok bool) {
	if len(b) < frameHeaderLen+frameSockaddrLen {
		return 0, false
	}
	u16, u32 := binary.NativeEndian.Uint16, binary.NativeEndian.Uint32
	ll := b[frameHeaderLen:]
	*f = ringFrame{
		at:       int64(u32(b[4:]))*1e9 + int64(u32(b[8:])),
		length:   int(u32(b[16:])),
		index:    int(int32(u32(ll[4:]))),
		protocol: binary.BigEndian.Uint16(ll[2:]),
		hatype:   u16(ll[8:]),
		pkttype:  ll[10],
		halen:    ll[11],
		addr:     [8]byte(ll[12:20]),
	}
	f.setTag(u32(b[20:]), uint16(u32(b[32:])), u16(b[36:]))
	mac, net, snap := int(u16(b[24:])), int(u16(b[26:])), int(u32(b[12:]))
	if snap > len(b)-mac || net < mac {
		return 0, false
	}
	f.data = b[mac : mac+snap]
	f.net = min(net-mac, snap)
	return u32(b), true
}

// setTag notes the tag that the status says is valid. Kernels before 3.14 knew
// 802.1Q only and gave no TPID.
func (f *ringFrame) setTag(status uint32, tci, tpid uint16) {
	if status&statusVLANValid == 0 {
		return
	}
	f.tci, f.tpid = tci, etherVLAN
	if status&statusTPIDValid != 0 {
		f.tpid = tpid
	}
}

// outgoing reports whether this host sent the frame.
func (f *ringFrame) outgoing() bool { return f.pkttype == packetOutgoing }

// isEthernet reports whether data begins with an Ethernet header.
func (f *ringFrame) isEthernet() bool {
	return f.hatype == hatypeEther || f.hatype == hatypeLoopback
}

// payload returns what follows the link layer's header, with its EtherType. A
// VLAN tag in an Ethernet frame is part of the payload.
func (f *ringFrame) payload() (etherType uint16, b []byte) {
	if f.isEthernet() && len(f.data) >= 14 {
		return binary.BigEndian.Uint16(f.data[12:]), f.data[14:]
	}
	return f.protocol, f.data[f.net:]
}
