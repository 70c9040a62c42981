package remedy

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// check refuses peers that have no neighbour discovery.
func (o NDOptions) check() error {
	for _, p := range o.Peers {
		switch {
		case p.Is4() || p.Is4In6():
			return refuse(Families, "%s is an IPv4 address: ARP finds it, which no IPsec policy touches", p)
		case p.IsMulticast():
			return refuse(Multicast, "%s is a group, not a host", p)
		case !p.IsValid() || p.IsUnspecified() || p.IsLoopback():
			return refuse(BadAddress, "%s is not the address of a neighbour", p)
		}
	}
	return nil
}

func (o NDOptions) params() map[string]string {
	types := "all"
	if t := o.types(); t != nil {
		types = strings.ReplaceAll(strings.Trim(fmt.Sprint(t), "[]"), " ", ",")
	}
	m := map[string]string{"types": types}
	if len(o.Peers) > 0 {
		m["peer"] = join(o.Peers)
	}
	return m
}

func join(addrs []netip.Addr) string {
	var s []string
	for _, a := range addrs {
		s = append(s, a.String())
	}
	return strings.Join(s, ",")
}

func (o NDOptions) title() string {
	s := "let neighbour discovery pass"
	if o.AllICMPv6 {
		s = "let all of ICMPv6 pass"
	}
	if len(o.Peers) > 0 {
		s += " with " + strings.ReplaceAll(join(o.Peers), ",", ", ")
	}
	return s
}

var typeNames = map[uint16]string{
	spd.RouterSolicitation: "router solicitations", spd.RouterAdvertisement: "router advertisements",
	spd.NeighborSolicitation: "neighbour solicitations", spd.NeighborAdvertisement: "neighbour advertisements",
	spd.Redirect: "redirects",
}

func typeWords(s spd.Selector) string {
	if s.SrcPortMask == 0 {
		return "all ICMPv6 messages"
	}
	return typeNames[s.SrcPort]
}

func dirWords(d spd.Direction) string {
	return map[spd.Direction]string{spd.Out: " on the way out", spd.In: " on the way in", spd.Fwd: " to those for whom this host answers"}[d]
}

// costs says what goes in the clear, and what the other end needs.
func (b *ndBypass) costs() {
	switch {
	case b.o.AllICMPv6:
		b.note("in the clear from now on: all of ICMPv6. That is ping and its answers, and errors (unreachable, packet too big, time " +
			"exceeded), which carry the beginning of the packet that they are about; router discovery and multicast listener reports as well")
	case b.o.AllND:
		b.note("in the clear from now on: neighbour and router discovery and redirects, types 133 to 137; on the link only, since they are not " +
			"taken with a hop limit other than 255 (RFC 4861 section 11.2)")
	default:
		b.note("in the clear from now on: neighbour solicitations and advertisements, types 135 and 136; on the link only, since they are not " +
			"taken with a hop limit other than 255 (RFC 4861 section 11.2)")
	}
	for _, p := range b.o.Peers {
		if _, near := b.onLink(p); !near && !p.IsLinkLocalUnicast() && len(b.Addresses) > 0 {
			b.note("%s is on no link of this host: it is the gateway towards it that neighbour discovery looks for", p)
		}
	}
	b.note("the peer's policies catch its own part: it needs the same")
}
