package spd

import (
	"fmt"
	"net/netip"
	"strings"
)

// Selector says which packets a policy or an SA is for (struct xfrm_selector;
// RFC 4301 section 4.4.1.1). Ports are compared under their masks: for ICMP and
// ICMPv6 the kernel keeps the type in SrcPort and the code in DstPort
// (xfrm_flowi_sport, xfrm_flowi_dport).
type Selector struct {
	Src         netip.Prefix `json:"src"`
	Dst         netip.Prefix `json:"dst"`
	Proto       uint8        `json:"proto,omitempty"` // 0: any
	SrcPort     uint16       `json:"sport,omitempty"`
	SrcPortMask uint16       `json:"sport_mask,omitempty"`
	DstPort     uint16       `json:"dport,omitempty"`
	DstPortMask uint16       `json:"dport_mask,omitempty"`
	IfIndex     int          `json:"ifindex,omitempty"` // 0: any
	Family      Family       `json:"family,omitempty"`
}

// String renders s the way `ip xfrm policy` does, type and code of ICMP by name.
func (s Selector) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "src %s dst %s", s.Src, s.Dst)
	if s.Proto != ProtoAny {
		fmt.Fprintf(&b, " proto %s", ProtocolName(s.Proto))
	}
	icmp := s.Proto == ProtoICMP || s.Proto == ProtoICMPv6
	writePort(&b, icmp, "type", "sport", s.SrcPort, s.SrcPortMask)
	writePort(&b, icmp, "code", "dport", s.DstPort, s.DstPortMask)
	if s.IfIndex != 0 {
		fmt.Fprintf(&b, " dev #%d", s.IfIndex)
	}
	return b.String()
}

func writePort(b *strings.Builder, icmp bool, icmpWord, portWord string, port, mask uint16) {
	if mask == 0 {
		return
	}
	word := portWord
	if icmp {
		word = icmpWord
	}
	fmt.Fprintf(b, " %s %d", word, port)
	if mask != 0xffff {
		fmt.Fprintf(b, "/%#x", mask)
	}
}

// Mark is a firewall mark with the mask under which it is compared
// (struct xfrm_mark).
type Mark struct {
	Value uint32 `json:"value"`
	Mask  uint32 `json:"mask"`
}

// Template is one SA that a policy asks for (struct xfrm_user_tmpl). In
// transport mode Src and Dst may be unspecified: the packet's own addresses are
// used then.
type Template struct {
	Src      netip.Addr `json:"src"`
	Dst      netip.Addr `json:"dst"`
	SPI      uint32     `json:"spi,omitempty"` // 0: any
	Proto    uint8      `json:"proto"`
	Mode     Mode       `json:"mode"`
	ReqID    uint32     `json:"reqid,omitempty"` // 0: any
	Optional bool       `json:"optional,omitempty"`
	Family   Family     `json:"family,omitempty"`
}

// String renders t in one line, like the tmpl line of `ip xfrm policy`.
func (t Template) String() string {
	s := fmt.Sprintf("%s %s", ProtocolName(t.Proto), t.Mode)
	if t.Mode == Tunnel || (t.Dst.IsValid() && !t.Dst.IsUnspecified()) {
		s += fmt.Sprintf(" %s → %s", t.Src, t.Dst)
	}
	if t.SPI != 0 {
		s += fmt.Sprintf(" spi %#08x", t.SPI)
	}
	if t.ReqID != 0 {
		s += fmt.Sprintf(" reqid %d", t.ReqID)
	}
	if t.Optional {
		s += " level use"
	}
	return s
}

// Policy is one entry of the SPD (struct xfrm_userpolicy_info with its
// attributes). Smaller Priority wins; among equals the older one.
type Policy struct {
	Selector  Selector   `json:"selector"`
	Direction Direction  `json:"dir"`
	Type      PolicyType `json:"type,omitempty"`
	Action    Action     `json:"action"`
	Priority  uint32     `json:"priority"`
	Index     uint32     `json:"index"`
	Mark      Mark       `json:"mark,omitzero"`
	IfID      uint32     `json:"if_id,omitempty"`
	Flags     uint8      `json:"flags,omitempty"` // XFRM_POLICY_LOCALOK 1, XFRM_POLICY_ICMP 2
	Templates []Template `json:"templates,omitempty"`
	Offload   *Offload   `json:"offload,omitempty"`
	Limits    Lifetime   `json:"limits,omitzero"`
	AddTime   uint64     `json:"add_time,omitempty"` // seconds since 1970, whole seconds only
	UseTime   uint64     `json:"use_time,omitempty"` // seconds since 1970, 0: never used
	// Socket marks a policy that belongs to one socket (IP_XFRM_POLICY): the
	// kernel dumps it with directions above Fwd, and it concerns only that
	// socket's packets. Direction holds the direction folded back.
	Socket bool `json:"socket,omitempty"`
}

// Offload names the device that an SA or policy is offloaded to
// (struct xfrm_user_offload).
type Offload struct {
	IfIndex int   `json:"ifindex"`
	Flags   uint8 `json:"flags,omitempty"` // XFRM_OFFLOAD_IPV6 1, INBOUND 2, PACKET 4
}

// Bypass reports whether p lets its packets pass in the clear.
func (p *Policy) Bypass() bool { return p.Action == Allow && len(p.Templates) == 0 }

// Requires reports whether p demands at least one SA: it has a template that is
// not optional ("level required").
func (p *Policy) Requires() bool {
	if p.Action != Allow {
		return false
	}
	for _, t := range p.Templates {
		if !t.Optional {
			return true
		}
	}
	return false
}

// Identity is what makes a policy unique in the kernel: of two policies with
// the same identity the second is refused with EEXIST (xfrm_policy_insert).
type Identity struct {
	Selector  Selector
	Direction Direction
	Type      PolicyType
	Mark      Mark
	IfID      uint32
}

// Identity returns p's identity.
func (p *Policy) Identity() Identity {
	return Identity{Selector: p.Selector, Direction: p.Direction, Type: p.Type, Mark: p.Mark, IfID: p.IfID}
}

// String renders p in one line.
func (p *Policy) String() string {
	s := fmt.Sprintf("dir %s %s", p.Direction, p.Selector)
	switch {
	case p.Action == Block:
		s += " action block"
	case p.Bypass():
		s += " bypass"
	}
	s += fmt.Sprintf(" priority %d", p.Priority)
	if p.Type != Main {
		s += " ptype " + p.Type.String()
	}
	if p.Mark.Mask != 0 {
		s += fmt.Sprintf(" mark %#x/%#x", p.Mark.Value, p.Mark.Mask)
	}
	if p.IfID != 0 {
		s += fmt.Sprintf(" if_id %#x", p.IfID)
	}
	for _, t := range p.Templates {
		s += ", " + t.String()
	}
	return s
}
