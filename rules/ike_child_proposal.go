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
// TEMPORARY_FAILURE (RFC 7296 section 2.25) and tries again, strongSwan after 5 to 15 s.
const (
	rekeyRefusals   = 2
	rekeyRefusedFor = 4 * time.Second
)

// reportChildProposal claims that the proposals for a CHILD SA do not meet, where a
// daemon says so or rekeying fails again and again. It returns whether it reported.
func reportChildProposal(p *Pass, o ikeOutcome) bool {
	said := childRefusals(p, o)
	if o.end == ikeChildless && len(said) > 0 {
		reportRefusedChild(p, o, "a CHILD SA: no ESP goes", said)
		return true
	}
	for _, sa := range p.View.IKE {
		first, last, n := refusedRekeyings(sa)
		told := n > 0 && len(childRefusals(p, ikeOutcome{sa: sa})) > 0
		if told || (n >= rekeyRefusals && last.Response.First().Mono-first.Response.First().Mono >= rekeyRefusedFor) {
			reportRefusedRekeying(p, sa, first, last, n)
			return true
		}
	}
	if x := refusedLast(o.sa); x != nil && len(said) > 0 {
		o.asked, o.answer = x.Request.First(), x.Response.First()
		o.to, o.by = o.sa.Asker(x)
		reportRefusedChild(p, o, "a further CHILD SA", said)
		return true
	}
	return false
}

// childRefusals are the sayings that the proposals for a CHILD SA were refused: what a
// daemon says of proposals after those of the IKE SA were chosen.
func childRefusals(p *Pass, o ikeOutcome) (found []analyze.SeenSaying) {
	refused := false
	for _, s := range saidSince(p, o.sa.First, analyze.SaidNoProposal, analyze.SaidProposals) {
		switch {
		case s.Topic == analyze.SaidNoProposal && (s.SPI == 0 || s.SPI == o.sa.InitiatorSPI):
			refused = true
			found = append(found, s)
		case strings.Contains(s.Line, "ESP:") || strings.Contains(s.Line, "AH:"):
			found = append(found, s)
		}
	}
	if !refused {
		return nil
	}
	return found
}

// refusedLast returns the last CREATE_CHILD_SA of the IKE SA where it was refused.
func refusedLast(sa *analyze.IKESA) *analyze.IKEExchange {
	x := sa.Exchange(ike.ExchangeCreateChildSA)
	if x == nil || !x.Answered() || !onlyNotify(sa, &x.Response) {
		return nil
	}
	return x
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

func reportRefusedChild(p *Pass, o ikeOutcome, what string, said []analyze.SeenSaying) {
	f := p.Finding()
	f.Confidence = Certain
	f.Explanation = fmt.Sprintf("The IKE SA between %s and %s stands, and %s accepts none of the proposals for %s. ", o.to, o.by, o.by, what) +
		quoted(&said[len(said)-1]) + "."
	f.Evidence = append([]Evidence{Saw(o.asked, "%s asks %s for it", o.to, o.by), Saw(o.answer, "%s answers with an error, encrypted", o.by)},
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
	f.Explanation = fmt.Sprintf("%s has asked %s to rekey a CHILD SA %s, and each time the answer was one short notification, encrypted. ", from, to, times(n))
	f.Evidence = []Evidence{
		Saw(first.Request.First(), "%s asks for the successor of a CHILD SA: refused", from),
		Saw(last.Response.First(), "%s refuses it again", to),
	}
	if said := childRefusals(p, ikeOutcome{sa: sa}); len(said) > 0 {
		f.Confidence = Certain
		f.Explanation += quoted(&said[len(said)-1]) + ". Since the CHILD SA itself came up, it is"
		f.Evidence = append(f.Evidence, saidEvidence(said)...)
	} else {
		f.Explanation += "Since the CHILD SA itself came up, most likely it is NO_PROPOSAL_CHOSEN, and"
	}
	f.Explanation += " the groups for perfect forward secrecy that differ: the first CHILD SA makes no use of them. When its life is over, nothing " +
		"will go any more."
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
