package rules

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
)

// ndReach is how a host reaches an address.
type ndReach uint8

const (
	ndUnknown ndReach = iota // the input does not tell
	ndDirect                 // on a link of its own
	ndRouted                 // through a gateway, by a link without neighbour discovery, or not at all
)

// ndLinks answers which addresses are on a host's own links.
type ndLinks struct {
	h      *analyze.Host
	own    map[netip.Addr]bool
	known  bool // addresses and routes were seen
	routes map[netip.Prefix]analyze.Route
	bits   []int // lengths of the prefixes in routes, longest first
	near   map[netip.Addr]int
}

func newNDLinks(h *analyze.Host) ndLinks {
	l := ndLinks{
		h: h, own: map[netip.Addr]bool{}, routes: map[netip.Prefix]analyze.Route{}, near: map[netip.Addr]int{},
		known: len(h.Addresses) > 0 && !h.Lacks(analyze.PartAddresses) && !h.Lacks(analyze.PartRoutes),
	}
	for _, x := range h.Addresses {
		l.own[x.Prefix.Addr()] = true
	}
	for _, r := range h.Routes {
		if r.Dst.Addr().Is4() {
			continue
		}
		if o, ok := l.routes[r.Dst]; !ok || r.Metric < o.Metric {
			l.routes[r.Dst] = r
		}
		if !slices.Contains(l.bits, r.Dst.Bits()) {
			l.bits = append(l.bits, r.Dst.Bits())
		}
	}
	slices.SortFunc(l.bits, func(a, b int) int { return b - a })
	for _, n := range h.Neighbors() {
		if n.LinkAddr != "" {
			l.near[n.Addr] = n.IfIndex
		}
	}
	return l
}

// owns reports whether a is the host's own, as far as is known.
func (l *ndLinks) owns(a netip.Addr) bool { return !l.known || l.own[a.WithZone("")] }

// to returns how the host reaches a, and by which interface. A connected route
// is one without a gateway.
func (l *ndLinks) to(a netip.Addr) (ndReach, int) {
	if dev, ok := l.near[a]; ok {
		return l.discovers(dev)
	}
	if !l.known {
		return ndUnknown, 0
	}
	if a.IsLinkLocalUnicast() {
		return l.linkLocal(a)
	}
	for _, n := range l.bits {
		p, err := a.Prefix(n)
		if r, ok := l.routes[p]; err == nil && ok {
			if r.Gateway.IsValid() {
				return ndRouted, r.IfIndex
			}
			return l.discovers(r.IfIndex)
		}
	}
	return ndRouted, 0
}

// linkLocal: the address alone does not tell on which link it is, unless there
// is only one.
func (l *ndLinks) linkLocal(netip.Addr) (ndReach, int) {
	dev := 0
	for _, x := range l.h.Addresses {
		if x.Prefix.Addr().IsLinkLocalUnicast() && x.Prefix.Addr().Is6() {
			if dev != 0 && dev != x.IfIndex {
				return ndUnknown, 0
			}
			dev = x.IfIndex
		}
	}
	if dev == 0 {
		return ndUnknown, 0
	}
	return l.discovers(dev)
}

// pointToPoint are the kinds of links whose other end is not looked for
// (IFF_NOARP).
var pointToPoint = []string{
	"xfrm", "vti", "vti6", "ipip", "sit", "gre", "ip6tnl", "ip6gre", "wireguard", "tun", "ppp", "nlmon", "vcan",
}

// discovers tells a link with neighbour discovery from one without.
func (l *ndLinks) discovers(dev int) (ndReach, int) {
	for _, k := range l.h.Links {
		if k.Index != dev {
			continue
		}
		tap := k.Kind == "tun" && k.LinkAddr != ""
		if k.Name == "lo" || (slices.Contains(pointToPoint, k.Kind) && !tap) {
			return ndRouted, dev
		}
	}
	return ndDirect, dev
}
