package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// loopback is the index of the loopback device where links are not known: it is
// the first device of every namespace.
const loopback = 1

// Through returns f with the devices that bear on its lookup: the one by which
// the packet leaves or comes in (Via), and the one with which the kernel
// compares selectors (IfIndex), which is often another. dev is the device that
// the packet leaves or comes in by, 0 where the routes are to tell.
func (k *KernelState) Through(dir spd.Direction, f spd.Flow, dev int) spd.Flow {
	bound := dev != 0
	switch {
	case bound:
	case dir == spd.Out:
		dev = k.routeTo(f.Dst)
	default:
		dev = k.routeTo(f.Src)
	}
	f.Via = dev
	switch {
	case dir == spd.Fwd:
		f.IfIndex = k.routeTo(f.Dst) // by which it goes on
	case dir == spd.In && (f.Dst.Is4() || !f.Dst.IsMulticast()):
		f.IfIndex = k.loopback() // local routes are routes to lo (ip6_rt_get_dev_rcu)
	case dir == spd.Out && !bound && !tellsDevice(f):
		f.IfIndex = 0
	default:
		f.IfIndex = dev
	}
	return f
}

// tellsDevice reports whether the kernel names the outgoing device to the
// lookup of such a packet: always for IPv4, and for IPv6 where the device is
// part of the address or the kernel makes the packet itself. For an IPv6 packet
// of an unbound socket it does not: selectors with a device do not match it.
func tellsDevice(f spd.Flow) bool {
	if f.Dst.Is4() || f.Dst.IsMulticast() || f.Dst.IsLinkLocalUnicast() || f.Src.IsLinkLocalUnicast() {
		return true
	}
	const echoReply = 129
	return f.Proto == spd.ProtoICMPv6 &&
		(f.SrcPort >= spd.RouterSolicitation && f.SrcPort <= spd.Redirect || f.SrcPort == echoReply)
}

func (k *KernelState) loopback() int {
	for _, l := range k.Links {
		if l.Name == "lo" {
			return l.Index
		}
	}
	return loopback
}

// routeTo returns the device by which a is reached, 0 where it is not known: lo
// for this host's own addresses, the device of a link-local address's zone,
// else that of the longest prefix among addresses and routes.
func (k *KernelState) routeTo(a netip.Addr) int {
	if a.Zone() != "" {
		for _, l := range k.Links {
			if l.Name == a.Zone() {
				return l.Index
			}
		}
	}
	a = a.WithZone("")
	best, dev := -1, 0
	consider := func(p netip.Prefix, ifindex int) {
		if p.IsValid() && p.Bits() > best && p.Masked().Contains(a) {
			best, dev = p.Bits(), ifindex
		}
	}
	for _, x := range k.Addresses {
		if x.Prefix.Addr() == a {
			return k.loopback()
		}
		consider(x.Prefix, x.IfIndex)
	}
	if a.IsMulticast() || a.IsLinkLocalUnicast() {
		return k.onlyDevice()
	}
	for _, r := range k.Routes {
		consider(r.Dst, r.IfIndex)
	}
	return dev
}

// onlyDevice returns the one device that has addresses beside lo, 0 where there
// are several.
func (k *KernelState) onlyDevice() (dev int) {
	lo := k.loopback()
	for _, x := range k.Addresses {
		switch {
		case x.IfIndex == lo || x.IfIndex == dev:
		case dev != 0:
			return 0
		default:
			dev = x.IfIndex
		}
	}
	return dev
}

// Owns reports whether a is an address of the host. What is not known of a text
// is not owned.
func (k *KernelState) Owns(a netip.Addr) bool {
	a = a.WithZone("")
	for _, x := range k.Addresses {
		if x.Prefix.Addr() == a {
			return true
		}
	}
	return false
}

// Discovery is one packet of neighbour discovery between two hosts.
type Discovery struct {
	What      string // in words: "solicitation, multicast"
	Direction spd.Direction
	Flow      spd.Flow
}

// Discoveries are the packets of neighbour discovery (RFC 4861 sections 7.2 and
// 7.3) that a host with the address own and its neighbour peer exchange, as the
// policies of own's host see them. dev is the device between them, 0 where the
// routes are to tell.
func (k *KernelState) Discoveries(own, peer netip.Addr, dev int) []Discovery {
	if dev == 0 {
		dev = k.routeTo(peer)
	}
	ownLL, peerLL := k.linkLocal(dev), k.linkLocalOf(peer, dev)
	const ns, na = spd.NeighborSolicitation, spd.NeighborAdvertisement
	all := []struct {
		what     string
		dir      spd.Direction
		src, dst netip.Addr
		typ      uint8
	}{
		{"solicitation, multicast: who has it?", spd.Out, own, SolicitedNode(peer.WithZone("")), ns},
		{"solicitation, unicast", spd.Out, own, peer, ns},
		{"probe: is it still there?", spd.Out, ownLL, peer, ns},
		{"advertisement: the answer", spd.Out, own, peer, na},
		{"advertisement: the answer to a probe", spd.Out, own, peerLL, na},
		{"solicitation, multicast: who has it?", spd.In, peer, SolicitedNode(own.WithZone("")), ns},
		{"solicitation, unicast", spd.In, peer, own, ns},
		{"probe: is it still there?", spd.In, peerLL, own, ns},
		{"advertisement: the answer", spd.In, peer, own, na},
		{"advertisement: the answer to a probe", spd.In, peer, ownLL, na},
	}
	var out []Discovery
	for _, d := range all {
		out = append(out, Discovery{d.what, d.dir, k.Through(d.dir, spd.ICMPv6Flow(d.src, d.dst, d.typ), dev)})
	}
	return out
}

// anyLinkLocal stands for a link-local address that is not known. Hardly any
// policy is for a single one.
var anyLinkLocal = netip.MustParseAddr("fe80::1")

// linkLocal returns this host's link-local address on a device.
func (k *KernelState) linkLocal(dev int) netip.Addr {
	for _, x := range k.Addresses {
		if a := x.Prefix.Addr(); a.Is6() && a.IsLinkLocalUnicast() && (x.IfIndex == dev || dev == 0) {
			return a
		}
	}
	return anyLinkLocal
}

// linkLocalOf returns the neighbour's: the one with its link-layer address.
func (k *KernelState) linkLocalOf(peer netip.Addr, dev int) netip.Addr {
	for _, n := range k.Neighbors {
		if n.Addr != peer.WithZone("") || n.LinkAddr == "" {
			continue
		}
		for _, o := range k.Neighbors {
			if o.LinkAddr == n.LinkAddr && o.Addr.Is6() && o.Addr.IsLinkLocalUnicast() && o.IfIndex == n.IfIndex {
				return o.Addr
			}
		}
	}
	return anyLinkLocal.Next()
}
