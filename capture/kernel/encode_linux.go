package kernel

import (
	"encoding/binary"
	"net/netip"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// htons and htonl turn a number into the field whose bytes, in the machine's
// order, say it in network order. The way there is the way back.
func htons(v uint16) uint16 { return ntohs(v) }
func htonl(v uint32) uint32 { return ntohl(v) }

// addressFamily is family's inverse.
func addressFamily(f spd.Family) uint16 {
	switch f {
	case spd.IPv4:
		return unix.AF_INET
	case spd.IPv6:
		return unix.AF_INET6
	}
	return unix.AF_UNSPEC
}

// encodeAddress is address's inverse. An address without a value is all zeros.
func encodeAddress(a netip.Addr) (out nl.XfrmAddress) {
	if a.IsValid() {
		copy(out[:], a.AsSlice())
	}
	return out
}

// encodeSelector is decodeSelector's inverse.
func encodeSelector(s spd.Selector) nl.XfrmSelector {
	return nl.XfrmSelector{
		Saddr: encodeAddress(s.Src.Addr()), Daddr: encodeAddress(s.Dst.Addr()),
		PrefixlenS: prefixBits(s.Src), PrefixlenD: prefixBits(s.Dst),
		Sport: htons(s.SrcPort), SportMask: htons(s.SrcPortMask),
		Dport: htons(s.DstPort), DportMask: htons(s.DstPortMask),
		Family: addressFamily(s.Family), Proto: s.Proto, Ifindex: int32(s.IfIndex),
	}
}

func prefixBits(p netip.Prefix) uint8 {
	if !p.IsValid() {
		return 0
	}
	return uint8(p.Bits())
}

// encodeLifetime is decodeLifetime's inverse: 0 becomes XFRM_INF where the
// kernel counts something, and stays 0 for times, where 0 is "never" there too.
func encodeLifetime(l spd.Lifetime) nl.XfrmLifetimeCfg {
	limit := func(v uint64) uint64 {
		if v == 0 {
			return nl.XFRM_INF
		}
		return v
	}
	return nl.XfrmLifetimeCfg{
		SoftByteLimit: limit(l.SoftBytes), HardByteLimit: limit(l.HardBytes),
		SoftPacketLimit: limit(l.SoftPackets), HardPacketLimit: limit(l.HardPackets),
		SoftAddExpiresSeconds: l.SoftAdd, HardAddExpiresSeconds: l.HardAdd,
		SoftUseExpiresSeconds: l.SoftUse, HardUseExpiresSeconds: l.HardUse,
	}
}

// appendAttr adds an attribute (struct nlattr) and the padding that follows it.
func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align4(len(value))-len(value))...)
}

func appendU32Attr(b []byte, kind uint16, v uint32) []byte {
	return appendAttr(b, kind, binary.NativeEndian.AppendUint32(nil, v))
}

// appendMark adds XFRMA_MARK where there is a mark.
func appendMark(b []byte, m spd.Mark) []byte {
	if m == (spd.Mark{}) {
		return b
	}
	v := binary.NativeEndian.AppendUint32(nil, m.Value)
	return appendAttr(b, nl.XFRMA_MARK, binary.NativeEndian.AppendUint32(v, m.Mask))
}

// appendIfID adds XFRMA_IF_ID where there is one.
func appendIfID(b []byte, id uint32) []byte {
	if id == 0 {
		return b
	}
	return appendU32Attr(b, nl.XFRMA_IF_ID, id)
}
