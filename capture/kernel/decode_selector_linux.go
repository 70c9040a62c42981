package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ntohs and ntohl turn a field that package nl read in the machine's order back
// into what the network order says.
func ntohs(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}

func ntohl(v uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, v))
}

// family translates AF_INET and AF_INET6; others are open.
func family(af uint16) spd.Family {
	switch af {
	case unix.AF_INET:
		return spd.IPv4
	case unix.AF_INET6:
		return spd.IPv6
	}
	return spd.Unspecified
}

// address decodes an xfrm_address_t by the family that stands beside it: the
// bytes alone do not tell (fe80:: begins like 254.128.0.0). It is the zero Addr
// for an open family.
func address(a *nl.XfrmAddress, f spd.Family) netip.Addr {
	switch f {
	case spd.IPv4:
		return netip.AddrFrom4([4]byte(a[:4]))
	case spd.IPv6:
		return netip.AddrFrom16(*a)
	}
	return netip.Addr{}
}

func prefix(a *nl.XfrmAddress, bits uint8, f spd.Family) (netip.Prefix, error) {
	addr := address(a, f)
	if !addr.IsValid() {
		return netip.Prefix{}, nil
	}
	p := netip.PrefixFrom(addr, int(bits))
	if !p.IsValid() {
		return p, fmt.Errorf("prefix length %d of %s", bits, addr)
	}
	return p, nil
}

// decodeSelector translates struct xfrm_selector.
func decodeSelector(s *nl.XfrmSelector) (spd.Selector, error) {
	f := family(s.Family)
	src, err := prefix(&s.Saddr, s.PrefixlenS, f)
	if err != nil {
		return spd.Selector{}, fmt.Errorf("selector source: %w", err)
	}
	dst, err := prefix(&s.Daddr, s.PrefixlenD, f)
	if err != nil {
		return spd.Selector{}, fmt.Errorf("selector destination: %w", err)
	}
	return spd.Selector{
		Src: src, Dst: dst, Proto: s.Proto, IfIndex: int(s.Ifindex), Family: f,
		SrcPort: ntohs(s.Sport), SrcPortMask: ntohs(s.SportMask),
		DstPort: ntohs(s.Dport), DstPortMask: ntohs(s.DportMask),
	}, nil
}

// decodeMark translates struct xfrm_mark.
func decodeMark(b []byte) (spd.Mark, error) {
	m, err := view(b, nl.SizeofXfrmMark, nl.DeserializeXfrmMark, "xfrm_mark")
	if err != nil {
		return spd.Mark{}, err
	}
	return spd.Mark{Value: m.Value, Mask: m.Mask}, nil
}

// decodeOffload translates struct xfrm_user_offload: int ifindex, __u8 flags.
func decodeOffload(b []byte) (*spd.Offload, error) {
	if err := need(b, 5, "xfrm_user_offload"); err != nil {
		return nil, err
	}
	return &spd.Offload{IfIndex: int(int32(binary.NativeEndian.Uint32(b))), Flags: b[4]}, nil
}
