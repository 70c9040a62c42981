package spd

import "net/netip"

// Flow is a packet as the policy lookup sees it (struct flowi). For ICMP and
// ICMPv6 SrcPort is the type and DstPort the code.
type Flow struct {
	Src, Dst         netip.Addr
	Proto            uint8
	SrcPort, DstPort uint16
	// IfIndex is the device with which selectors are compared
	// (flowi_oif); 0: none or unknown, matches only selectors without one.
	IfIndex int
	Mark    uint32 // firewall mark
	IfID    uint32 // of the xfrm interface it goes through; 0: none
	// Via is the device by which the packet really leaves, or came in: its
	// settings may exempt the packet. 0: unknown, or IfIndex on the way out.
	Via int
}

// ICMPv6 neighbour discovery types (RFC 4861 section 4).
const (
	RouterSolicitation    = 133
	RouterAdvertisement   = 134
	NeighborSolicitation  = 135
	NeighborAdvertisement = 136
	Redirect              = 137
)

// ICMPv6Flow returns the flow of an ICMPv6 message of that type, code 0, as
// icmpv6_flow_init makes it for neighbour discovery.
func ICMPv6Flow(src, dst netip.Addr, typ uint8) Flow {
	return Flow{Src: src, Dst: dst, Proto: ProtoICMPv6, SrcPort: uint16(typ)}
}

// Matches reports whether p selects f: family, addresses, protocol, ports,
// interface, mark and if_id (xfrm_policy_match).
func (p *Policy) Matches(f Flow) bool {
	return p.IfID == f.IfID && f.Mark&p.Mark.Mask == p.Mark.Value && p.Selector.Matches(f)
}

// Matches reports whether s selects f (__xfrm4_selector_match,
// __xfrm6_selector_match).
func (s *Selector) Matches(f Flow) bool {
	return s.matchesFamily(f.Dst) &&
		containsAddr(s.Dst, f.Dst) && containsAddr(s.Src, f.Src) &&
		(s.Proto == ProtoAny || s.Proto == f.Proto) &&
		(f.SrcPort^s.SrcPort)&s.SrcPortMask == 0 &&
		(f.DstPort^s.DstPort)&s.DstPortMask == 0 &&
		(s.IfIndex == 0 || s.IfIndex == f.IfIndex)
}

func (s *Selector) matchesFamily(a netip.Addr) bool {
	switch s.Family {
	case IPv4:
		return a.Is4()
	case IPv6:
		return a.Is6()
	}
	return true
}

// containsAddr ignores zones, which the kernel keeps in the device instead, and
// takes the zero prefix of an open selector as "any".
func containsAddr(p netip.Prefix, a netip.Addr) bool {
	return !p.IsValid() || p.Contains(a.WithZone(""))
}
