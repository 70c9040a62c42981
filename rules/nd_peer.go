package rules

import (
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ndPeer is a host with which this one does neighbour discovery, or may do.
type ndPeer struct {
	local, peer netip.Addr // link-local ones have the zone under which the wire knows them
	ifindex     int        // 0: unknown
	// direct is set where the peer is known to be on the same link.
	direct bool
	// named is set where a policy is for just these two or for a tunnel between
	// them; else one for whole networks covers them.
	named bool
	entry string // this host's neighbour entry: its state, "" where there is none
	since analyze.Sighting
	// static and peerStatic are set where an end has a permanent entry for the
	// other, and so never asks.
	static, peerStatic bool
	met                bool // the other end's table was seen
}

// maxPeers bounds the peers of one host that are judged.
const maxPeers = 1 << 16

// ndSearch looks for a host's peers.
type ndSearch struct {
	h     *analyze.Host
	state *analyze.State
	links ndLinks
	seen  map[[2]netip.Addr]int // place in peers
	peers []ndPeer
	wide  bool // a policy covers whole networks
}

// ndPeers returns the hosts with which neighbour discovery is done, or may be
// done, under this host's IPsec policies: those that a policy names, and where
// one covers networks (wide), the neighbours and gateways in them. A peer behind
// a gateway is none.
func ndPeers(state *analyze.State, h *analyze.Host) (peers []ndPeer, wide bool) {
	s := &ndSearch{h: h, state: state, links: newNDLinks(h), seen: map[[2]netip.Addr]int{}}
	for i := range h.DB.Policies {
		if p := &h.DB.Policies[i]; requiresND(p) {
			s.named(p)
		}
	}
	if s.wide {
		s.neighbours()
	}
	return s.peers, s.wide
}

// requiresND reports whether p may catch neighbour discovery: what goes through
// an xfrm interface (if_id) is none.
func requiresND(p *spd.Policy) bool {
	return !p.Socket && p.Direction != spd.Fwd && p.Selector.Family != spd.IPv4 && p.IfID == 0 && p.Requires()
}

// sides returns a selector's prefixes from this host's side.
func sides(p *spd.Policy) (local, remote netip.Prefix) {
	if p.Direction == spd.Out {
		return p.Selector.Src, p.Selector.Dst
	}
	return p.Selector.Dst, p.Selector.Src
}

// named adds the peers that a policy names.
func (s *ndSearch) named(p *spd.Policy) {
	local, remote := sides(p)
	if remote.IsValid() && remote.IsSingleIP() {
		for _, a := range s.locals(local, remote.Addr()) {
			s.add(a, remote.Addr(), local.IsSingleIP())
		}
	} else {
		s.wide = true
	}
	for i := range p.Templates {
		t := &p.Templates[i]
		a, b := t.Src, t.Dst
		if p.Direction != spd.Out {
			a, b = b, a
		}
		if t.Mode == spd.Tunnel && covers(local, a) && covers(remote, b) && s.links.owns(a) {
			s.add(a, b, true)
		}
	}
}

// covers takes the zero prefix of an open selector as "any".
func covers(p netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && (!p.IsValid() || p.Contains(a.WithZone("")))
}

// locals returns the own addresses in a prefix from which the host may talk to
// a neighbour.
func (s *ndSearch) locals(within netip.Prefix, peer netip.Addr) []netip.Addr {
	if within.IsValid() && within.IsSingleIP() {
		if s.links.owns(within.Addr()) {
			return []netip.Addr{within.Addr()}
		}
		return nil
	}
	var own []netip.Addr
	for _, x := range s.h.Addresses {
		a := x.Prefix.Addr()
		if x.Prefix.Bits() < a.BitLen() && x.Prefix.Masked().Contains(peer.WithZone("")) && covers(within, a) {
			own = append(own, a)
		}
	}
	return own
}

// neighbours adds those of the neighbour table, also those that are looked for
// in vain, and the gateways.
func (s *ndSearch) neighbours() {
	everything := netip.Prefix{}
	for _, n := range s.h.Neighbors() {
		sought := n.State == "INCOMPLETE" || n.State == "FAILED"
		if (n.LinkAddr != "" || sought) && n.State != "NOARP" {
			s.addFrom(everything, n.Addr, n.IfIndex)
		}
	}
	for _, r := range s.h.Routes {
		if r.Gateway.IsValid() {
			s.addFrom(everything, r.Gateway, r.IfIndex)
		}
	}
}

func (s *ndSearch) addFrom(within netip.Prefix, peer netip.Addr, ifindex int) {
	for _, x := range s.h.Addresses {
		a := x.Prefix.Addr()
		if x.IfIndex == ifindex && x.Prefix.Bits() < a.BitLen() && x.Prefix.Masked().Contains(peer.WithZone("")) {
			s.add(a, peer, false)
		}
	}
}

// add takes up a peer, unless it is known, is no neighbour, or there are too
// many.
func (s *ndSearch) add(local, peer netip.Addr, named bool) {
	local, peer = local.WithZone(""), peer.WithZone("")
	if !unicast6(local) || !unicast6(peer) || (s.links.known && s.links.own[peer]) {
		return
	}
	k := [2]netip.Addr{local, peer}
	if i, ok := s.seen[k]; ok {
		if i >= 0 {
			s.peers[i].named = s.peers[i].named || named
		}
		return
	}
	s.seen[k] = -1
	kind, ifindex := s.links.to(peer)
	if kind == ndRouted || len(s.peers) >= maxPeers {
		return
	}
	q := ndPeer{local: local, peer: peer, ifindex: ifindex, direct: kind == ndDirect, named: named}
	s.meet(&q)
	s.seen[k] = len(s.peers)
	s.peers = append(s.peers, q)
}

// meet adds what the neighbour tables of both ends tell.
func (s *ndSearch) meet(q *ndPeer) {
	if n, since, ok := s.h.Neighbor(q.peer); ok {
		q.entry, q.since, q.static = n.State, since, n.State == "PERMANENT"
	}
	for _, o := range s.state.Hosts {
		if o != s.h && o.KernelSeen && o.Owns(q.peer) && joined(s.state, s.h, o) {
			n, _, ok := o.Neighbor(q.local)
			q.met, q.peerStatic = true, ok && n.State == "PERMANENT"
		}
	}
	q.local, q.peer = s.zoned(q.local, q.ifindex), s.zoned(q.peer, q.ifindex)
}

// mayNotAsk reports whether neither end may ask, since this one has a permanent
// entry, and whether the other has one too is not known.
func (q *ndPeer) mayNotAsk() bool { return q.static && !q.met }

// zoned gives a link-local address the zone under which the wire knows it.
func (s *ndSearch) zoned(a netip.Addr, ifindex int) netip.Addr {
	if a.IsLinkLocalUnicast() {
		return a.WithZone(s.h.InterfaceName(ifindex))
	}
	return a
}

func unicast6(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback()
}
