package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// rekeyRefusals and rekeyRefusedFor are how often and for how long the rekeying of a
// CHILD SA must have been refused: who collides with the other end's rekeying is told
// TEMPORARY_FAILURE and tries again soon (RFC 7296 section 2.25).
const (
	rekeyRefusals   = 2
	rekeyRefusedFor = 10 * time.Second
)

// reportChildProposal claims that the proposals for a CHILD SA do not meet, where a
// daemon says so or rekeying fails again and again. It returns whether it reported.
func reportChildProposal(p *Pass, o ikeOutcome) bool {
	if said := childRefusals(p, o.sa.First); len(said) > 0 && (o.end == ikeChildless || refusedLast(o.sa)) {
		reportRefusedChild(p, o, said)
		return true
	}
	for _, sa := range p.View.IKE {
		if first, last, n := refusedRekeyings(sa); n >= rekeyRefusals && last.Response.First().Mono-first.Response.First().Mono >= rekeyRefusedFor {
			reportRefusedRekeying(p, sa, first, last, n)
			return true
		}
	}
	return false
}

// childRefusals are the sayings that the proposals for a CHILD SA were refused.
func childRefusals(p *Pass, since analyze.Sighting) (found []analyze.SeenSaying) {
	for _, s := range saidSince(p, since, analyze.SaidNoProposal, analyze.SaidProposals) {
		if s.Child != "" || strings.Contains(s.Line, "CHILD_SA") || strings.Contains(s.Line, "ESP:") || strings.Contains(s.Line, "AH:") {
			found = append(found, s)
		}
	}
	return found
}

// refusedLast reports whether the last CREATE_CHILD_SA of the IKE SA was refused.
func refusedLast(sa *analyze.IKESA) bool {
	x := sa.Exchange(ike.ExchangeCreateChildSA)
	return x != nil && x.Answered() && onlyNotify(sa, &x.Response)
}

// refusedRekeyings returns the CREATE_CHILD_SAs that ask for the successor of a CHILD
// SA (their first payload is the notification REKEY_SA) and were refused, the first
// and the last since one was granted.
func refusedRekeyings(sa *analyze.IKESA) (first, last *analyze.IKEExchange, n int) {
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		switch {
		case x.Type != ike.ExchangeCreateChildSA || !x.Answered():
		case !onlyNotify(sa, &x.Response):
			first, last, n = nil, nil, 0
		case x.Request.Inner == ike.PayloadNotify:
			if first == nil {
				first = x
			}
			last = x
			n++
		}
	}
	return first, last, n
}

func reportRefusedChild(p *Pass, o ikeOutcome, said []analyze.SeenSaying) {
	f := p.Finding()
	f.Confidence = Certain
	f.Explanation = fmt.Sprintf("The IKE SA between %s and %s stands, and %s accepts none of the proposals for a CHILD SA: no ESP goes. ",
		o.to, o.by, o.by) + capitalised(quoted(&said[len(said)-1])) + "."
	f.Evidence = append([]Evidence{Saw(o.asked, "%s asks for a CHILD SA", o.to), Saw(o.answer, "%s answers, too short for a CHILD SA", o.by)},
		saidEvidence(said)...)
	for _, s := range said {
		if text, ok := configured(s.Line, "ESP:"); ok {
			f.Explanation += fmt.Sprintf(" It is configured with %s.", text)
		}
	}
	f.Remedies = childProposalRemedies(p, o.to, o.by)
	p.Report(f)
}

func reportRefusedRekeying(p *Pass, sa *analyze.IKESA, first, last *analyze.IKEExchange, n int) {
	from, to := sa.Asker(last)
	f := p.Finding()
	f.Explanation = fmt.Sprintf("%s has asked %s to rekey a CHILD SA %s, and each time the answer was one short notification. It is "+
		"encrypted; since the CHILD SA itself came up, most likely it is NO_PROPOSAL_CHOSEN: the groups for perfect forward secrecy "+
		"differ, which the first CHILD SA makes no use of. When the CHILD SA's life is over, nothing will go any more.", from, to, times(n))
	f.Evidence = []Evidence{
		Saw(first.Request.First(), "%s asks for the successor of a CHILD SA: refused", from),
		Saw(last.Response.First(), "%s refuses it again", to),
	}
	if said := childRefusals(p, sa.First); len(said) > 0 {
		f.Confidence = Certain
		f.Evidence = append(f.Evidence, saidEvidence(said)...)
	}
	f.Remedies = childProposalRemedies(p, from, to)
	p.Report(f)
}

func childProposalRemedies(p *Pass, from, to netip.Addr) []remedy.Remedy {
	return []remedy.Remedy{{
		Action: "esp-proposals", Params: map[string]string{"host": from.String(), "peer": to.String()},
		Title: fmt.Sprintf("give both ends the same proposals for ESP, groups included; on %s %s; then", from,
			setting(p, from, "children.….esp_proposals", "esp=")),
		Command: reload(p, from),
	}, {
		Action: "daemon-log", Params: map[string]string{"host": to.String()},
		Title:   fmt.Sprintf("read on %s what it was offered and what it is configured with", to),
		Command: readLog,
	}}
}
