package remedy

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// NDOptions say how much is to pass in the clear. The zero value is neighbour
// solicitations and advertisements with everybody.
type NDOptions struct {
	Peers     []netip.Addr // IPv6; none: everybody
	AllND     bool         // router discovery and redirects too: types 133, 134, 137
	AllICMPv6 bool         // everything of ICMPv6, ping and errors too
}

// types returns the ICMPv6 types that are to pass, nil for all.
func (o NDOptions) types() []uint16 {
	switch {
	case o.AllICMPv6:
		return nil
	case o.AllND:
		return []uint16{
			spd.NeighborSolicitation, spd.NeighborAdvertisement, spd.RouterSolicitation, spd.RouterAdvertisement, spd.Redirect,
		}
	}
	return []uint16{spd.NeighborSolicitation, spd.NeighborAdvertisement}
}

var (
	anyIPv6   = netip.MustParsePrefix("::/0")
	linkLocal = netip.MustParsePrefix("fe80::/10")
	// allNodes and allRouters are the groups of router discovery (RFC 4861
	// section 4.1 and 4.2).
	allNodes   = netip.MustParsePrefix("ff02::1/128")
	allRouters = netip.MustParsePrefix("ff02::2/128")
)

// solicitedNode returns the group in which a's owner is asked for (RFC 4291
// section 2.7.1).
func solicitedNode(a netip.Addr) netip.Prefix {
	g := [16]byte{0xff, 0x02, 11: 0x01, 12: 0xff}
	b := a.As16()
	copy(g[13:], b[13:])
	return netip.PrefixFrom(netip.AddrFrom16(g), 128)
}

// wanted is a selector that is to pass in the clear in one direction.
type wanted struct {
	dir spd.Direction
	sel spd.Selector
}

// identity is that of the bypass among the policies of a type.
func (w *wanted) identity(t spd.PolicyType) spd.Identity {
	return spd.Identity{Selector: w.sel, Direction: w.dir, Type: t}
}

// wants returns what is to pass, in the order in which it is shown.
func (o NDOptions) wants(fwd bool) []wanted {
	var all []wanted
	for _, dir := range []spd.Direction{spd.Out, spd.In, spd.Fwd} {
		if dir == spd.Fwd && !fwd {
			continue
		}
		for _, far := range o.far(dir) {
			all = append(all, wanted{dir, bypassSelector(dir, far)})
		}
	}
	return all
}

// far is the far side of packets of one ICMPv6 type; typ is -1 for any.
type far struct {
	prefix netip.Prefix
	typ    int
}

// far returns the far sides of a direction. With a peer P these are, out:
//
//	135 to P's solicited-node group, to resolve P, from whatever address this host has
//	135 to P, the NUD probe, which Linux sends from the link-local address (ndisc_solicit)
//	136 to P, the answer to P's solicitation
//	136 to fe80::/10, the answer to P's NUD probe, which comes from P's link-local
//	    address; that address is not known, and is on this link anyway
//
// and in: 135 from P and from fe80::/10, 136 from P, since an advertisement has
// the address that was asked for as its source. What P sends to a group of
// this host's has P as its source.
func (o NDOptions) far(dir spd.Direction) []far {
	if len(o.Peers) == 0 {
		if o.AllICMPv6 {
			return []far{{anyIPv6, -1}}
		}
		var all []far
		for _, t := range o.types() {
			all = append(all, far{anyIPv6, int(t)})
		}
		return all
	}
	var all []far
	for _, p := range o.Peers {
		all = appendNew(all, o.farPeer(dir, p)...)
	}
	return all
}

func (o NDOptions) farPeer(dir spd.Direction, p netip.Addr) []far {
	const ns, na = spd.NeighborSolicitation, spd.NeighborAdvertisement
	host := netip.PrefixFrom(p.WithZone(""), 128)
	all := []far{{host, ns}, {linkLocal, ns}, {host, na}}
	if dir == spd.Out {
		all = []far{{solicitedNode(p), ns}, {host, ns}, {host, na}, {linkLocal, na}}
	}
	if o.AllICMPv6 {
		return append(all, far{host, -1})
	}
	if !o.AllND {
		return all
	}
	all = append(all, far{host, spd.Redirect}, far{linkLocal, spd.Redirect}, far{host, spd.RouterSolicitation},
		far{linkLocal, spd.RouterSolicitation}, far{linkLocal, spd.RouterAdvertisement})
	if dir == spd.Out { // what comes from a router has its link-local address as its source
		all = append(all, far{allRouters, spd.RouterSolicitation}, far{host, spd.RouterAdvertisement}, far{allNodes, spd.RouterAdvertisement})
	}
	return all
}

func appendNew(all []far, more ...far) []far {
	for _, f := range more {
		known := false
		for _, o := range all {
			known = known || o == f
		}
		if !known {
			all = append(all, f)
		}
	}
	return all
}

// bypassSelector makes the selector of a far side: the near side is this host.
func bypassSelector(dir spd.Direction, f far) spd.Selector {
	s := spd.Selector{Src: f.prefix, Dst: anyIPv6, Proto: spd.ProtoICMPv6, Family: spd.IPv6}
	if dir == spd.Out {
		s.Src, s.Dst = s.Dst, s.Src
	}
	if f.typ >= 0 {
		s.SrcPort, s.SrcPortMask = uint16(f.typ), 0xffff
	}
	return s
}
