package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// NDUnderPolicy finds neighbour discovery that a policy would catch.
var NDUnderPolicy = &Rule{
	ID:       "nd-under-policy",
	Severity: Error,
	Title:    "an IPsec policy catches neighbour discovery",
	Doc:      ndUnderPolicyDoc,
	Audit:    auditNDUnderPolicy,
	Needs:    []string{analyze.PartPolicies},
}

func auditNDUnderPolicy(p *Pass) {
	var crowd []*ndAudit
	all := p.ndAudits()
	for i := range all {
		a := &all[i]
		switch {
		case a.kind != ndUncovered:
		case a.named:
			reportUnderPolicy(p, a)
		default:
			crowd = append(crowd, a)
		}
	}
	if len(crowd) > 0 {
		reportCrowd(p, crowd)
	}
}

func reportUnderPolicy(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	switch {
	case a.manual(p.Host), a.distant():
		f.Severity = Info
	case !a.direct, a.mayNotAsk():
		f.Severity = Warning
	}
	f.Explanation = underPolicyWords(p, a)
	f.Evidence = ndEvidence(p, a)
	for _, b := range a.helpless {
		f.Evidence = append(f.Evidence, Saw(p.Looked(), "does not help, %s: %s", missesWords(a, b), b))
	}
	if f.Severity > Info {
		f.Remedies = ndBypass(p, a.asCase())
	}
	p.Report(f)
}

func underPolicyWords(p *Pass, a *ndAudit) string {
	where, q := hostWords(p.Host), a.first()
	var s strings.Builder
	fmt.Fprintf(&s, "On %s %s %s, and no bypass lets it pass. ", where, holderWords(holder(&q.verdict)), catchesWords(a, q))
	if !a.direct {
		fmt.Fprintf(&s, "Whether %s is on the same link is not known; if it is behind a router, this does no harm. ", a.peer)
	}
	s.WriteString(latentWords(p, a))
	return s.String()
}

// manual reports whether everything that is caught is carried by SAs made by
// hand: they have no lifetime, and no IKE daemon is there that made them.
func (a *ndAudit) manual(h *analyze.Host) bool {
	if len(h.Daemons()) > 0 {
		return false
	}
	return !slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return !a.carries(q) || mortal(&q.verdict) })
}

// distant reports whether nothing tells that the peer is on the same link, and its
// subnet prefix (RFC 4291 section 2.5.1) is another: behind a router, most likely.
func (a *ndAudit) distant() bool {
	if a.direct || !a.local.IsGlobalUnicast() || !a.peer.IsGlobalUnicast() {
		return false
	}
	here, err := a.local.Prefix(64)
	return err == nil && !here.Contains(a.peer)
}

func mortal(v *spd.Verdict) bool {
	return slices.ContainsFunc(v.Needs, func(n spd.Need) bool {
		l := n.SA.Limits
		return l.HardAdd+l.HardUse+l.HardBytes+l.HardPackets > 0
	})
}

// maxCrowd bounds how many neighbours are named.
const maxCrowd = 8

// reportCrowd tells of the neighbours that no policy names, under policies for
// whole networks: one finding for all.
func reportCrowd(p *Pass, crowd []*ndAudit) {
	f := p.Finding()
	f.Confidence = Certain
	var names []string
	var seen []netip.Addr
	for _, a := range crowd {
		if !a.direct {
			f.Confidence = Likely
		}
		if !slices.Contains(seen, a.peer) {
			seen = append(seen, a.peer)
		}
	}
	for i, peer := range seen {
		if i == maxCrowd {
			names = append(names, fmt.Sprintf("and %d more", len(seen)-maxCrowd))
			break
		}
		names = append(names, peer.String())
	}
	q := crowd[0].first()
	f.Explanation = fmt.Sprintf("On %s %s covers neighbours that it does not name, and catches neighbour discovery with them: %s. %s",
		hostWords(p.Host), holderWords(holder(&q.verdict)), strings.Join(names, ", "), latentWords(p, crowd[0]))
	f.Evidence = ndEvidence(p, crowd[0])
	f.Remedies = ndBypass(p, crowd[0].asCase())
	p.Report(f)
}
