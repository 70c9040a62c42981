package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// NDBypassOneWay finds a bypass that lets only a part of neighbour discovery
// pass.
var NDBypassOneWay = &Rule{
	ID:       "nd-bypass-one-way",
	Severity: Error,
	Title:    "a bypass lets only a part of neighbour discovery pass",
	Doc: Doc{
		Symptom: "A bypass for neighbour discovery was added, on the wire the solicitations are answered, and yet the neighbour entry stays " +
			"INCOMPLETE and nothing passes.",
		Cause: "A bypass is needed in both directions and for both types. Out only: the advertisement leaves one host in the clear, and the " +
			"inbound policy of the other drops it because it did not come under an SA (XfrmInTmplMismatch counts it). In only: it never " +
			"leaves. Type 135 only: the question passes and the answer does not. A policy with dir fwd is for packets that a router " +
			"forwards, which neighbour discovery never is.",
		Recognised: "Each packet of neighbour discovery with each peer is looked up in both directions: some pass through a bypass of ICMPv6, " +
			"others are caught and have none. Live: the advertisement is on this host's wire, the host asks again, and XfrmInTmplMismatch " +
			"rises. A warning where SAs made by hand carry it all the same. For information only where what has no bypass is a probe from a global address, which Linux does not send.",
		Remedy: "Let both types, 135 and 136, pass in both directions, in and out, on both hosts.",
		Sources: []string{
			"RFC 4861 section 7.2 (solicitation and advertisement)",
			"Linux net/ipv6/icmp.c: icmpv6_rcv; net/xfrm/xfrm_policy.c: __xfrm_policy_check (XfrmInTmplMismatch)",
			"RFC 4301 section 4.4.1 (SPD-O and SPD-I)",
		},
	},
	Check: checkNDBypassOneWay,
	Audit: auditNDBypassOneWay,
	Needs: []string{analyze.PartPolicies},
}

func auditNDBypassOneWay(p *Pass) {
	all := p.ndAudits()
	for i := range all {
		switch a := &all[i]; {
		case oneOfCrowd(p, a):
		case a.kind == ndOneWay:
			reportOneWay(p, a)
		case a.kind == ndHalf:
			reportHalf(p, a)
		}
	}
}

func reportOneWay(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	q := a.first()
	f.Explanation = fmt.Sprintf("On %s a bypass lets a part of neighbour discovery pass (%s) and leaves out another (%s): %s %s. %s",
		hostWords(p.Host), typesOf(a.bypasses), gaps(a.caught), holderWords(holder(&q.verdict)), catchesWords(a, q), latentWords(p, a)) + strayWords(a.bypasses)
	f.Evidence = append(bypassEvidence(p, a), ndEvidence(p, a)...)
	f.Remedies = ndBypass(p, a.asCase())
	p.Report(f)
}

func reportHalf(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	f.Severity, f.Confidence = Info, Likely
	q := a.first()
	f.Explanation = fmt.Sprintf("On %s a bypass lets neighbour discovery with %s pass (%s), except a probe of a known neighbour that comes "+
		"from a global address (%s), which %s catches. Linux sends its probes from the link-local address, and nothing catches those; "+
		"another system may lose its probe, and asks anew by multicast.",
		hostWords(p.Host), a.peer, typesOf(a.bypasses), gaps(a.caught), holderWords(holder(&q.verdict)))
	f.Evidence = append(bypassEvidence(p, a), ndEvidence(p, a)...)
	f.Remedies = ndBypass(p, a.asCase())
	p.Report(f)
}

// maxBypasses bounds the bypasses that are shown as evidence.
const maxBypasses = 4

func bypassEvidence(p *Pass, a *ndAudit) []Evidence {
	var ev []Evidence
	for _, b := range a.bypasses {
		if len(ev) < maxBypasses {
			ev = append(ev, p.SawPolicy(b))
		}
	}
	return ev
}

// typesOf says what bypasses let pass: "out: types 135 and 136; fwd: all
// ICMPv6".
func typesOf(bypasses []*spd.Policy) string {
	var parts []string
	for _, dir := range []spd.Direction{spd.Out, spd.In, spd.Fwd} {
		var types []uint16
		whole := false
		for _, b := range bypasses {
			if b.Direction == dir {
				types = append(types, b.Selector.SrcPort)
				whole = whole || b.Selector.SrcPortMask != 0xffff
			}
		}
		switch {
		case whole:
			parts = append(parts, dir.String()+": all ICMPv6")
		case len(types) > 0:
			parts = append(parts, dir.String()+": "+typeList(types))
		}
	}
	return strings.Join(parts, "; ")
}

// typeList renders ICMPv6 types: "type 135", "types 135 and 136".
func typeList(types []uint16) string {
	slices.Sort(types)
	types = slices.Compact(types)
	var words []string
	for _, t := range types {
		words = append(words, strconv.Itoa(int(t)))
	}
	if len(words) == 1 {
		return "type " + words[0]
	}
	last := len(words) - 1
	return "types " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// gaps says which directions and types are caught: "in: type 136".
func gaps(caught []*ndPacket) string {
	var parts []string
	for _, dir := range []spd.Direction{spd.Out, spd.In} {
		var types []uint16
		for _, q := range caught {
			if q.dir == dir {
				types = append(types, q.flow.SrcPort)
			}
		}
		if len(types) > 0 {
			parts = append(parts, dir.String()+": "+typeList(types))
		}
	}
	return strings.Join(parts, "; ")
}

// strayWords tells of bypasses for forwarded packets.
func strayWords(bypasses []*spd.Policy) string {
	if slices.ContainsFunc(bypasses, func(b *spd.Policy) bool { return b.Direction != spd.Fwd }) {
		return ""
	}
	return " Direction fwd is for packets that a router forwards, which neighbour discovery never is."
}

// checkNDBypassOneWay adds what is seen live: the advertisement comes in on this
// host's wire and its kernel drops it.
func checkNDBypassOneWay(p *Pass) {
	if at, words, ok := ndOver(p); ok {
		p.ResolvePair(at, "%s", words)
		return
	}
	for _, c := range ndCases(p) {
		if c.kind != ndAnswerRefused {
			continue
		}
		peer := ndPeer{local: c.asker, peer: c.target, ifindex: p.Host.InterfaceIndex(c.res.First.Origin().Interface), direct: true, named: true}
		if a := auditPeer(p.Host, peer); a.kind == ndOneWay {
			reportOneWay(p, &a)
			f := &p.reports[len(p.reports)-1]
			f.Confidence = c.confidence
			f.Evidence = append(f.Evidence,
				Saw(c.res.LastAnswer, "the advertisement of %s arrives in the clear, and %s asks again", c.target, c.asker),
				Saw(c.lostTo, "%s has risen by %d", analyze.XfrmInTmplMismatch, c.lost))
		}
		return
	}
}
