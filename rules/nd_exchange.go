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

// carried reports whether the packet must be protected, and an SA is there that
// does it.
func (q *ndPacket) carried() bool {
	return q.verdict.Decision == spd.Protect && q.verdict.MissingSA() == nil
}

// bypassMatched returns the bypass that lets the packet pass.
func (q *ndPacket) bypassMatched() *spd.Policy {
	if n := len(q.verdict.Policies); q.verdict.Decision == spd.Clear && n > 0 {
		return q.verdict.Policies[n-1]
	}
	return nil
}

// ndAudit is the neighbour discovery with one peer under this host's policies.
type ndAudit struct {
	ndPeer
	packets  []ndPacket
	order    ndOrder
	caught   []*ndPacket // those that matter here
	odd      []*ndPacket // those that Linux does not send
	kind     ndFault
	shadows  []ndShadow    // with ndShadowed
	spare    []ndShadow    // of the packets in odd: their bypasses are raised along
	bypasses []*spd.Policy // with ndOneWay: those that let a part pass
	helpless []*spd.Policy // with ndUncovered: those that were meant for it, and are for other packets
	aged     *ndPacket     // with ndByAge: one that passes because its bypass is older
}

// ndFault is what is wrong with the neighbour discovery with one peer.
type ndFault uint8

const (
	ndPasses    ndFault = iota
	ndUncovered         // a policy catches it, and there is no bypass
	ndShadowed          // there is a bypass, and another policy wins
	ndOneWay            // a bypass lets a part pass
	ndHalf              // the same, and the rest is what Linux does not send
	ndByAge             // it passes, and on some kernels it would not
)

// ndAudits judges the neighbour discovery with every peer of the host, and
// returns what is wrong with it.
func ndAudits(p *Pass) []ndAudit {
	j := newNDJudge(p.Host)
	var audits []ndAudit
	for _, peer := range ndPeers(p.State, p.Host) {
		if a := j.judge(peer); a.kind != ndPasses {
			audits = append(audits, a)
		}
	}
	return audits
}

// auditPeer judges it with one peer.
func auditPeer(h *analyze.Host, peer ndPeer) ndAudit { return newNDJudge(h).judge(peer) }

// ndJudge holds what the judgements of one host share.
type ndJudge struct {
	h     *analyze.Host
	order ndOrder
	db    spd.Database  // policies of equal priority in the order in which this kernel takes them
	bare  spd.Database  // without bypasses
	meant []*spd.Policy // bypasses that may have been meant for neighbour discovery
}

func newNDJudge(h *analyze.Host) *ndJudge {
	o := orderOn(h.Release)
	db := spd.Database{Policies: inOrder(h.DB.Policies, o), SAs: h.DB.SAs, Defaults: h.DB.Defaults, Devices: h.DB.Devices}
	return &ndJudge{h: h, order: o, db: db, bare: withoutBypasses(&db), meant: ndBypasses(&db)}
}

func (j *ndJudge) judge(peer ndPeer) ndAudit {
	a := ndAudit{ndPeer: peer, order: j.order, packets: ndPackets(j.h, &peer)}
	for i := range a.packets {
		q := &a.packets[i]
		q.verdict = j.db.Lookup(q.dir, q.flow)
		q.bare = q.verdict
		if q.verdict.Decision == spd.Clear && len(q.verdict.Policies) > 0 {
			q.bare = j.bare.Lookup(q.dir, q.flow)
		}
	}
	a.judge(j.meant)
	return a
}

// withoutBypasses returns the databases as they would be without bypasses.
func withoutBypasses(db *spd.Database) spd.Database {
	bare := spd.Database{SAs: db.SAs, Defaults: db.Defaults, Devices: db.Devices}
	for i := range db.Policies {
		if !db.Policies[i].Bypass() {
			bare.Policies = append(bare.Policies, db.Policies[i])
		}
	}
	return bare
}

// ndBypasses returns the policies that may have been meant to let neighbour
// discovery pass: bypasses of ICMPv6, of its types 135 or 136, of ICMP for
// IPv4 (a slip), and of whole addresses.
func ndBypasses(db *spd.Database) []*spd.Policy {
	var found []*spd.Policy
	for i := range db.Policies {
		p := &db.Policies[i]
		s := p.Selector
		switch {
		case !p.Bypass() || p.Socket || s.Family == spd.IPv4:
		case s.Proto == spd.ProtoICMPv6, s.Proto == spd.ProtoICMP, s.Proto == spd.ProtoAny:
			found = append(found, p)
		}
	}
	return found
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

// judge finds out what is wrong, given the bypasses that may have been meant.
func (a *ndAudit) judge(meant []*spd.Policy) {
	for i := range a.packets {
		switch q := &a.packets[i]; {
		case q.saved() && q.step != ndOther && kernelsDiffer(&q.verdict, a.order):
			if a.aged == nil || q.rank() < a.aged.rank() {
				a.aged = q
			}
		case !q.caught():
		case q.step == ndOther:
			a.odd = append(a.odd, q)
		default:
			a.caught = append(a.caught, q)
		}
	}
	switch {
	case len(a.caught) > 0:
	case a.aged != nil:
		a.kind = ndByAge
		return
	case len(a.odd) == 0:
		return
	}
	a.bypasses = a.partial(meant)
	if len(a.caught) == 0 {
		if a.caught = a.odd; len(a.bypasses) > 0 {
			a.kind = ndHalf
		}
		return
	}
	a.shadows = shadowsOf(a.caught, meant, a.order)
	switch {
	case len(a.shadows) > 0:
		a.kind, a.spare = ndShadowed, shadowsOf(a.odd, meant, a.order)
	case len(a.bypasses) > 0:
		a.kind = ndOneWay
	default:
		a.kind, a.helpless = ndUncovered, helpless(a.caught, meant)
	}
}

// partial returns the bypasses of ICMPv6 that let a part of it pass that would
// not pass without, or stand in another direction than the one needed.
func (a *ndAudit) partial(meant []*spd.Policy) []*spd.Policy {
	var found []*spd.Policy
	add := func(p *spd.Policy) {
		if p != nil && p.Selector.Proto == spd.ProtoICMPv6 && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	for i := range a.packets {
		if q := &a.packets[i]; q.saved() {
			add(q.bypassMatched())
		}
	}
	for _, q := range a.caught {
		for _, p := range meant {
			if p.Direction != q.dir && (p.Matches(q.flow) || p.Matches(mirrored(q.flow))) {
				add(p)
			}
		}
	}
	return found
}

// mirrored returns the packet with its ends exchanged.
func mirrored(f spd.Flow) spd.Flow {
	f.Src, f.Dst = f.Dst, f.Src
	return f
}
