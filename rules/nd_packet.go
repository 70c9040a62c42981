package rules

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ndStep is which part of neighbour discovery a packet belongs to. Which
// addresses it has depends on that (ndisc_solicit, ndisc_recv_ns).
type ndStep uint8

const (
	ndFirst ndStep = iota // first resolution: asked by multicast, from the address that is to be spoken from
	ndProbe               // is a known neighbour still there (NUD): asked by unicast, from the link-local address
	ndDAD                 // duplicate address detection: asked from no address
	// ndOther is a probe from the global address, which RFC 4861 section 7.2.2
	// prefers and Linux does not send.
	ndOther
)

// ndPacket is one packet of the neighbour discovery between two hosts, and what
// this host's policies do with it.
type ndPacket struct {
	dir     spd.Direction
	step    ndStep
	flow    spd.Flow
	verdict spd.Verdict
	bare    spd.Verdict // as it would be without any bypass
}

// answer reports whether it is an advertisement.
func (q *ndPacket) answer() bool { return q.flow.SrcPort == spd.NeighborAdvertisement }

// name says what it is, as this host sees it.
func (q *ndPacket) name() string {
	switch {
	case q.step == ndDAD:
		return "duplicate address detection"
	case q.step == ndProbe && q.answer():
		return "answer to a probe"
	case q.step == ndProbe:
		return "probe of a known neighbour"
	case q.answer():
		return "advertisement"
	}
	return "solicitation"
}

// caught reports whether a policy keeps the packet from passing in the clear.
func (q *ndPacket) caught() bool { return holds(&q.verdict) }

// saved reports whether it passes, and would not without bypasses.
func (q *ndPacket) saved() bool { return q.verdict.Decision == spd.Clear && holds(&q.bare) }

// holds reports whether a policy demands an SA or blocks. What a default action
// does is another rule's question.
func holds(v *spd.Verdict) bool { return holder(v) != nil }

// holder returns the policy that demands an SA or blocks, nil where none does.
func holder(v *spd.Verdict) *spd.Policy {
	switch v.Decision {
	case spd.Discard:
		for _, p := range v.Policies {
			if p.Action == spd.Block {
				return p
			}
		}
	case spd.Protect:
		for _, p := range v.Policies {
			if p.Requires() {
				return p
			}
		}
	}
	return nil
}

// carries reports whether the packet must be protected, and an SA is there that
// takes it to the peer or brings it: a tunnel to somebody else takes it away from
// the link.
func (a *ndAudit) carries(q *ndPacket) bool {
	if q.verdict.Decision != spd.Protect || q.verdict.MissingSA() != nil {
		return false
	}
	return !slices.ContainsFunc(q.verdict.Needs, func(n spd.Need) bool {
		end := n.SA.Dst
		if q.dir != spd.Out {
			end = n.SA.Src
		}
		return n.SA.Mode == spd.Tunnel && end != a.peer.WithZone("")
	})
}

// bypassMatched returns the bypass that lets the packet pass.
func (q *ndPacket) bypassMatched() *spd.Policy {
	if n := len(q.verdict.Policies); q.verdict.Decision == spd.Clear && n > 0 {
		return q.verdict.Policies[n-1]
	}
	return nil
}

// ndPackets lists what the two send each other. An end that has a permanent
// entry for the other never asks.
func ndPackets(h *analyze.Host, p *ndPeer) []ndPacket {
	local, peer := p.local.WithZone(""), p.peer.WithZone("")
	localLL, peerLL := ownLinkLocal(h, p.ifindex, local), linkLocalOf(peer)
	var all []ndPacket
	ask := func(dir spd.Direction, step ndStep, src, dst netip.Addr) {
		all = append(all, ndPacket{dir: dir, step: step, flow: ndFlow(dir, src, dst, spd.NeighborSolicitation, p.ifindex)})
	}
	answer := func(dir spd.Direction, step ndStep, src, dst netip.Addr) {
		all = append(all, ndPacket{dir: dir, step: step, flow: ndFlow(dir, src, dst, spd.NeighborAdvertisement, p.ifindex)})
	}
	if !p.static {
		ask(spd.Out, ndFirst, local, analyze.SolicitedNode(peer))
		answer(spd.In, ndFirst, peer, local)
		ask(spd.Out, ndProbe, localLL, peer)
		answer(spd.In, ndProbe, peer, localLL)
	}
	if !p.peerStatic {
		ask(spd.In, ndFirst, peer, analyze.SolicitedNode(local))
		answer(spd.Out, ndFirst, local, peer)
		ask(spd.In, ndProbe, peerLL, local)
		answer(spd.Out, ndProbe, local, peerLL)
	}
	ask(spd.Out, ndDAD, netip.IPv6Unspecified(), analyze.SolicitedNode(local))
	ask(spd.Out, ndOther, local, peer)
	ask(spd.In, ndOther, peer, local)
	return all
}

// ndFlow returns the packet as the policy lookup sees it. On the way in a
// selector's device is compared with the route's, which for a unicast packet to
// this host is not the one it came by.
func ndFlow(dir spd.Direction, src, dst netip.Addr, typ uint8, ifindex int) spd.Flow {
	f := spd.ICMPv6Flow(src, dst, typ)
	f.IfIndex, f.Via = ifindex, ifindex
	if dir == spd.In && !dst.IsMulticast() {
		f.IfIndex = 0
	}
	return f
}

// ownLinkLocal returns the host's link-local address on an interface.
func ownLinkLocal(h *analyze.Host, ifindex int, local netip.Addr) netip.Addr {
	for _, x := range h.Addresses {
		if a := x.Prefix.Addr(); x.IfIndex == ifindex && a.Is6() && a.IsLinkLocalUnicast() {
			return a
		}
	}
	return linkLocalOf(local)
}

// linkLocalOf returns a link-local address that a host with that address may
// have: the true one is not known, and policies name it as fe80::/10 if at all.
func linkLocalOf(a netip.Addr) netip.Addr {
	if a.IsLinkLocalUnicast() {
		return a
	}
	b := a.As16()
	copy(b[:8], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0})
	return netip.AddrFrom16(b)
}
