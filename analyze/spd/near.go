package spd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// NearMiss is a policy that would let a packet pass and does not match it.
type NearMiss struct {
	Policy  *Policy
	Differs []Difference // never empty
}

// Difference is one thing in which a policy does not match a packet.
type Difference struct {
	// Aspect is "dir", "family", "src", "dst", "proto", "type", "code",
	// "sport", "dport", "mark", "if_id" or "dev".
	Aspect string
	Policy string // what the policy says
	Packet string // what the packet has
}

// String renders d as "type 135, the packet has 136".
func (d Difference) String() string {
	switch d.Aspect {
	case "dir":
		return fmt.Sprintf("it is for dir %s, the packet goes %s", d.Policy, d.Packet)
	case "src", "dst":
		return fmt.Sprintf("its %s %s does not hold %s", d.Aspect, d.Policy, d.Packet)
	}
	return fmt.Sprintf("its %s is %s, the packet has %s", d.Aspect, d.Policy, d.Packet)
}

// Bounds on near misses: one that differs in more was not meant for the packet.
const (
	maxNear        = 8
	maxDifferences = 2
)

// near returns the policies that would let f pass and miss it in little.
func (db *Database) near(dir Direction, f Flow) (out []NearMiss) {
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Socket || p.Action != Allow || p.Requires() {
			continue
		}
		if d := p.differences(dir, f); len(d) > 0 && len(d) <= maxDifferences {
			out = append(out, NearMiss{p, d})
		}
	}
	slices.SortStableFunc(out, func(a, b NearMiss) int { return cmp.Compare(len(a.Differs), len(b.Differs)) })
	return out[:min(len(out), maxNear)]
}

// differences returns in what p does not match f. A policy for a single other
// host, or for the other address family, differs in everything.
func (p *Policy) differences(dir Direction, f Flow) []Difference {
	s := &p.Selector
	addresses, ok := s.addressDifferences(f.Src, f.Dst)
	if p.Direction != dir && p.Direction != Fwd && dir != Fwd { // out of one end is in at the other
		if swapped, fits := s.addressDifferences(f.Dst, f.Src); fits && (!ok || len(swapped) < len(addresses)) {
			addresses, ok = swapped, true
		}
	}
	if !ok {
		return nil
	}
	var d differences
	d.add(p.Direction != dir, "dir", p.Direction.String(), dir.String())
	d = append(d, addresses...)
	d.addSelector(s, f)
	d.add(f.Mark&p.Mark.Mask != p.Mark.Value, "mark", fmt.Sprintf("%#x/%#x", p.Mark.Value, p.Mark.Mask), fmt.Sprintf("%#x", f.Mark))
	d.add(p.IfID != f.IfID, "if_id", orNone(p.IfID != 0, fmt.Sprintf("%#x", p.IfID)), orNone(f.IfID != 0, fmt.Sprintf("%#x", f.IfID)))
	return d
}

func (s *Selector) addressDifferences(src, dst netip.Addr) (d differences, ok bool) {
	if !s.matchesFamily(dst) {
		return nil, false
	}
	for _, side := range []struct {
		aspect string
		prefix netip.Prefix
		addr   netip.Addr
	}{{"src", s.Src, src}, {"dst", s.Dst, dst}} {
		if containsAddr(side.prefix, side.addr) {
			continue
		}
		if side.prefix.IsSingleIP() {
			return nil, false
		}
		d.add(true, side.aspect, side.prefix.String(), side.addr.String())
	}
	return d, true
}

type differences []Difference

func (d *differences) add(differ bool, aspect, policy, packet string) {
	if differ {
		*d = append(*d, Difference{aspect, policy, packet})
	}
}

// addSelector compares what is beside the addresses. Ports of another protocol
// mean something else: where the protocol differs they are not compared.
func (d *differences) addSelector(s *Selector, f Flow) {
	if s.Proto != ProtoAny && s.Proto != f.Proto {
		d.add(true, "proto", protocolWords(s.Proto), protocolWords(f.Proto))
	} else {
		sport, dport := "sport", "dport"
		if f.Proto == ProtoICMP || f.Proto == ProtoICMPv6 {
			sport, dport = "type", "code"
		}
		d.add((f.SrcPort^s.SrcPort)&s.SrcPortMask != 0, sport, portWords(s.SrcPort, s.SrcPortMask), fmt.Sprint(f.SrcPort))
		d.add((f.DstPort^s.DstPort)&s.DstPortMask != 0, dport, portWords(s.DstPort, s.DstPortMask), fmt.Sprint(f.DstPort))
	}
	d.add(s.IfIndex != 0 && s.IfIndex != f.IfIndex, "dev", fmt.Sprintf("#%d", s.IfIndex), orNone(f.IfIndex != 0, fmt.Sprintf("#%d", f.IfIndex)))
}

func protocolWords(p uint8) string { return fmt.Sprintf("%s (%d)", ProtocolName(p), p) }

func portWords(port, mask uint16) string {
	if mask == 0xffff {
		return fmt.Sprint(port)
	}
	return fmt.Sprintf("%d/%#x", port, mask)
}

func orNone(ok bool, s string) string {
	if !ok {
		return "none"
	}
	return s
}
