package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// NextHopUnresolved finds a gateway that does not answer, where the way to an
// IPsec peer leads through it.
var NextHopUnresolved = &Rule{
	ID:       "next-hop-unresolved",
	Severity: Error,
	Title:    "nobody answers for the gateway's address",
	Doc: Doc{
		Symptom: "IKE seems to get no answer, and on the wire there is no IKE at all: only ARP requests or neighbour solicitations for " +
			"the gateway.",
		Cause: "The peer is beyond a gateway, and the gateway's link-layer address cannot be found: it is switched off, has another address, or " +
			"is on another VLAN. The kernel holds or drops every packet to the peer, those of IKE among them; to the daemon they are sent. " +
			"The peer and IPsec have no part in it.",
		Recognised: "At least three ARP requests or solicitations of this host over more than 5 s for the gateway of a route, without any " +
			"answer (one full resolution lasts 3 s). An error where the way to a peer that policies protect, or that an SA is wanted for, " +
			"leads through it by the main routing table, and certain where the neighbour table has it as INCOMPLETE or FAILED as well; else " +
			"for information. It needs this host's routes: from the wire alone it is nd-no-answer.",
		Remedy: "See that the gateway is up and has this address on this link, and that the route names the right one.",
		Sources: []string{
			"RFC 826 (ARP); RFC 1122 section 2.3.2 (ARP in hosts)",
			"RFC 4861 section 5.2 (next-hop determination), section 7.2.2 (neighbour solicitations), section 10 (timers)",
			"Linux net/core/neighbour.c: __neigh_event_send, neigh_probe",
		},
	},
	Check: checkNextHop,
}

func checkNextHop(p *Pass) {
	if !p.Host.KernelSeen || p.Host.Lacks(analyze.PartRoutes) {
		return
	}
	for _, c := range ndCases(p) {
		if c.deadlock() {
			return
		}
		if c.kind == ndSilent && p.Host.Owns(c.asker) && isGateway(p.Host, c.target) {
			reportNextHop(p, &c)
			return
		}
	}
	if !p.found {
		return
	}
	if at, ok := ndSettled(p); ok {
		p.ResolvePair(at, "an answer came")
	}
}

// isGateway reports whether a route leads through that neighbour.
func isGateway(h *analyze.Host, a netip.Addr) bool {
	dev := h.InterfaceIndex(a.Zone())
	return slices.ContainsFunc(h.Routes, func(r analyze.Route) bool {
		return r.Gateway.IsValid() && r.Gateway == a.WithZone("") && (dev == 0 || r.IfIndex == dev)
	})
}

// maxBehind bounds the pairs that are named as cut off.
const maxBehind = 64

// behind returns the pairs of this host that IPsec is to protect and whose way
// leads through a gateway: those that are under judgement, then those that
// policies name.
func behind(p *Pass, gateway netip.Addr) (pairs []analyze.PairKey) {
	add := func(local, peer netip.Addr) {
		k := analyze.MakePairKey(local, peer)
		if len(pairs) < maxBehind && p.Host.Gateway(peer) == gateway && !slices.Contains(pairs, k) {
			pairs = append(pairs, k)
		}
	}
	for _, v := range p.State.Active() {
		if v.Host == p.Host && v.Local.IsValid() && v.Involved() {
			add(v.Local, v.Peer)
		}
	}
	for i := range p.Host.DB.Policies {
		q := &p.Host.DB.Policies[i]
		if q.Direction != spd.Out || q.Socket || !q.Requires() {
			continue
		}
		if local, peer, ok := policyEnds(q); ok {
			add(local, peer)
		}
	}
	return pairs
}

func reportNextHop(p *Pass, c *ndCase) {
	f := p.Finding()
	f.affects = behind(p, c.target)
	if len(f.affects) == 0 {
		f.Severity = Info
	}
	r, what := c.res, "neighbour solicitation"
	if r.ARP {
		what = "ARP request"
	}
	f.Explanation = fmt.Sprintf("%s has asked for the link-layer address of its gateway %s for %s (%s), and no answer was seen. Before there is "+
		"one, nothing leaves for hosts beyond it%s.", c.asker, c.target, seconds(p.Since(r.First)), plural(uint64(r.Count), what), beyondWords(p.Host, f.affects))
	f.Evidence = solicitationEvidence(r)
	if n, since, ok := p.Host.Neighbor(c.target); ok && (n.State == "INCOMPLETE" || n.State == "FAILED") {
		f.Confidence = Certain
		f.Evidence = append(f.Evidence, Saw(since, "the neighbour table has the gateway %s as %s", c.target, n.State))
	}
	if len(f.affects) > 0 {
		f.Evidence = append(f.Evidence, Saw(p.Looked(), "the route to %s leads through %s", peerOf(p.Host, f.affects[0]), c.target))
	}
	f.Remedies = p.runHere([]remedy.Remedy{{
		Action: "look", Params: map[string]string{"gateway": c.target.String()},
		Title:   "see whether the route names the right gateway; then look at the gateway itself and its link",
		Command: "ip route get " + peerOrGateway(p.Host, f.affects, c),
	}})
	p.Report(f)
}

// peerOrGateway is the address whose route is to be looked at.
func peerOrGateway(h *analyze.Host, pairs []analyze.PairKey, c *ndCase) string {
	if len(pairs) > 0 {
		return peerOf(h, pairs[0]).WithZone("").String()
	}
	return c.target.WithZone("").String()
}

// peerOf is the end of a pair that is not this host.
func peerOf(h *analyze.Host, k analyze.PairKey) netip.Addr {
	if h.Owns(k.A) {
		return k.B
	}
	return k.A
}

// beyondWords names the peers that are cut off.
func beyondWords(h *analyze.Host, pairs []analyze.PairKey) string {
	if len(pairs) == 0 {
		return ""
	}
	var names []string
	for i, k := range pairs {
		if i == 4 {
			names = append(names, fmt.Sprintf("%d more", len(pairs)-i))
			break
		}
		names = append(names, peerOf(h, k).String())
	}
	return ", neither IKE nor anything else: " + strings.Join(names, ", ")
}
