package rules

import (
	"fmt"

	"ipsecdiag/analyze/spd"
)

// ndShadow is a bypass that is for a packet of neighbour discovery and does not
// help it.
type ndShadow struct {
	packet *ndPacket
	bypass *spd.Policy
	winner *spd.Policy // that catches the packet
	by     ndDefeat
	order  spd.Order
}

// ndDefeat is why a bypass does not help.
type ndDefeat uint8

const (
	byPriority ndDefeat = iota // the other one has the smaller number
	byAge                      // the same number: the other one is older
	bySub                      // the other one is a sub policy, the bypass is not
	byMain                     // the bypass is a sub policy, and main policies still apply
	byMark                     // the bypass wants a mark that the packet has not
	byIfID                     // the bypass is for an xfrm interface
	byDevice                   // the bypass is for another device than the kernel compares
)

// shadowsOf returns a bypass for each packet that has one in vain: of several
// the one that comes nearest.
func shadowsOf(caught []*ndPacket, meant []*spd.Policy, o spd.Order) []ndShadow {
	var found []ndShadow
	for _, q := range caught {
		best := ndShadow{packet: q, winner: holder(&q.verdict), order: o}
		for _, p := range meant {
			by, ok := defeat(p, best.winner, q)
			if ok && (best.bypass == nil || by < best.by || (by == best.by && p.Priority < best.bypass.Priority)) {
				best.bypass, best.by = p, by
			}
		}
		if best.bypass != nil {
			found = append(found, best)
		}
	}
	return found
}

// defeat tells why p, a bypass for the packet, does not win over w. It is not
// ok where p is for other packets, or for more than ICMPv6: such a one was not
// meant for neighbour discovery.
func defeat(p, w *spd.Policy, q *ndPacket) (by ndDefeat, ok bool) {
	open := q.flow
	if p.Selector.IfIndex != 0 {
		open.IfIndex = p.Selector.IfIndex
	}
	switch {
	case p.Direction != q.dir || p.Selector.Proto != spd.ProtoICMPv6 || !p.Selector.Matches(open):
		return 0, false
	case p.IfID != q.flow.IfID:
		return byIfID, true
	case q.flow.Mark&p.Mark.Mask != p.Mark.Value:
		return byMark, true
	case open.IfIndex != q.flow.IfIndex:
		return byDevice, true
	case w.Type == spd.Sub && p.Type == spd.Main:
		return bySub, true
	case w.Type == spd.Main && p.Type == spd.Sub:
		return byMain, true
	case w.Priority < p.Priority:
		return byPriority, true
	}
	return byAge, true
}

// words say why the bypass does not help.
func (s *ndShadow) words() string {
	switch s.by {
	case bySub:
		return "policies with ptype sub are asked first, and what one of them demands no main policy takes back"
	case byMain:
		return "it is a sub policy, and main policies still apply to what a sub policy lets pass"
	case byMark:
		return fmt.Sprintf("it is for packets with mark %#x/%#x, and those of neighbour discovery have none", s.bypass.Mark.Value, s.bypass.Mark.Mask)
	case byIfID:
		return fmt.Sprintf("it is for the xfrm interface with if_id %#x, and neighbour discovery goes through none", s.bypass.IfID)
	case byDevice:
		if s.bypass.Direction == spd.In && !s.packet.flow.Dst.IsMulticast() {
			return "it names a device: on the way in the kernel compares that with the route's, which for this host's own addresses is another"
		}
		return "it is for another device"
	case byAge:
		return tieWords(s.winner, s.bypass, s.order)
	}
	words := fmt.Sprintf("the smaller number wins, %d before %d", s.winner.Priority, s.bypass.Priority)
	if s.winner.Priority == 0 {
		words += ": 0 is what ip xfrm gives without a priority, and nothing beats it"
	}
	return words
}

// short says the same in a few words, for the evidence.
func (s *ndShadow) short() string {
	switch s.by {
	case byPriority:
		return fmt.Sprintf("its number is larger than %d", s.winner.Priority)
	case byAge:
		return "it loses the tie"
	case bySub:
		return "a sub policy demands the SA"
	case byMain:
		return "a main policy demands the SA"
	}
	return "it is for other packets"
}

// helpless returns the bypasses that look as if they were meant for a packet
// and are for others: another type, code, protocol or address.
func helpless(caught []*ndPacket, meant []*spd.Policy) []*spd.Policy {
	var found []*spd.Policy
	for _, p := range meant {
		if len(found) == maxHelpless {
			break
		}
		for _, q := range caught {
			if p.Direction == q.dir && otherwise(p, q) != "" {
				found = append(found, p)
				break
			}
		}
	}
	return found
}

// maxHelpless bounds what is told of bypasses that are for other packets.
const maxHelpless = 4

// otherwise says in which one thing a bypass misses a packet, "" where it is
// more than one or none.
func otherwise(p *spd.Policy, q *ndPacket) string {
	s, f := p.Selector, q.flow
	typed := (f.SrcPort^s.SrcPort)&s.SrcPortMask == 0
	coded := (f.DstPort^s.DstPort)&s.DstPortMask == 0
	there := covers(s.Src, f.Src) && covers(s.Dst, f.Dst)
	switch icmp6 := s.Proto == spd.ProtoICMPv6; {
	case s.Proto == spd.ProtoICMP && there && typed && coded:
		return "protocol 1 is the ICMP of IPv4; that of IPv6 is 58, ipv6-icmp"
	case !icmp6:
		return ""
	case there && typed && !coded:
		return fmt.Sprintf("it is for code %d, and neighbour discovery has code 0", s.DstPort)
	case there && coded && !typed:
		return fmt.Sprintf("it is for type %d", s.SrcPort)
	case typed && coded && !there:
		return fmt.Sprintf("it does not cover %s → %s", f.Src, f.Dst)
	}
	return ""
}
