package remedy

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// overlap reports whether a packet can match both selectors.
func overlap(a, b *spd.Selector) bool {
	return families(a, b) && prefixes(a.Src, b.Src) && prefixes(a.Dst, b.Dst) &&
		(a.Proto == b.Proto || a.Proto == spd.ProtoAny || b.Proto == spd.ProtoAny) &&
		(a.SrcPort^b.SrcPort)&a.SrcPortMask&b.SrcPortMask == 0 &&
		(a.DstPort^b.DstPort)&a.DstPortMask&b.DstPortMask == 0 &&
		(a.IfIndex == b.IfIndex || a.IfIndex == 0 || b.IfIndex == 0)
}

// contest reports whether two policies can be weighed against each other: the
// same direction and type, and a packet that matches both.
func contest(a, b *spd.Policy) bool {
	return a.Direction == b.Direction && a.Type == b.Type && a.IfID == b.IfID &&
		(a.Mark.Value^b.Mark.Value)&a.Mark.Mask&b.Mark.Mask == 0 && overlap(&a.Selector, &b.Selector)
}

// covers reports whether every packet of b matches a.
func covers(a, b *spd.Selector) bool {
	return families(a, b) && within(a.Src, b.Src) && within(a.Dst, b.Dst) &&
		(a.Proto == b.Proto || a.Proto == spd.ProtoAny) &&
		under(a.SrcPort, a.SrcPortMask, b.SrcPort, b.SrcPortMask) &&
		under(a.DstPort, a.DstPortMask, b.DstPort, b.DstPortMask) &&
		(a.IfIndex == b.IfIndex || a.IfIndex == 0)
}

func families(a, b *spd.Selector) bool {
	return a.Family == b.Family || a.Family == spd.Unspecified || b.Family == spd.Unspecified
}

// prefixes reports whether two prefixes have an address in common; the zero
// prefix of an open selector is any.
func prefixes(a, b netip.Prefix) bool { return !a.IsValid() || !b.IsValid() || a.Overlaps(b) }

func within(outer, inner netip.Prefix) bool {
	return !outer.IsValid() || (inner.IsValid() && outer.Bits() <= inner.Bits() && outer.Overlaps(inner))
}

func under(port, mask, inner, innerMask uint16) bool {
	return mask&^innerMask == 0 && (port^inner)&mask == 0
}

// longer returns the one of two overlapping prefixes that is part of the other.
func longer(a, b netip.Prefix) netip.Prefix {
	if !a.IsValid() || (b.IsValid() && b.Bits() > a.Bits()) {
		return b
	}
	return a
}
