package rules

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// IKENoProposal finds two ends that have no proposal in common.
var IKENoProposal = &Rule{
	ID:       "ike-no-proposal",
	Severity: Error,
	Title:    "the peer accepts none of the proposals",
	Doc:      ikeNoProposalDoc,
	Check:    checkIKENoProposal,
}

func checkIKENoProposal(p *Pass) {
	latest := ikeAttempts(p)
	switch {
	case latest.sa == nil:
	case latest.end == ikeRefused && p.Passed(latest.answer, ikeSettle):
		reportNoProposal(p, latest, attemptsLike(p, latest))
	case latest.end == ikeOtherGroup:
		reportOtherGroup(p, latest, attemptsLike(p, latest))
	case latest.end >= ikeChildless && reportChildProposal(p, latest):
	case latest.end > ikeOtherGroup:
		p.ResolvePair(latest.answer, "a proposal has been chosen")
	}
}

// offer is what an end takes, and how that is known.
type offer struct {
	at        analyze.Sighting
	proposals []ike.Proposal // nil where only a daemon's text tells
	text      string
	how       string
}

// takenBy returns what an end accepts, where that was seen: what it offers itself,
// what it once chose, or what its daemon says that it is configured with.
func takenBy(p *Pass, end netip.Addr, major uint8) (found offer, ok bool) {
	for _, v := range p.views() {
		for _, sa := range v.IKE {
			switch {
			case sa.Major != major:
			case sa.Initiator == end && len(sa.Offered()) > 0:
				return offer{sa.First, sa.Offered(), offerWords(sa.Offered()), "offers itself"}, true
			case sa.Responder == end && len(sa.Chosen()) > 0:
				found, ok = offer{sa.First, sa.Chosen(), offerWords(sa.Chosen()), "has once chosen"}, true
			}
		}
	}
	if ok {
		return found, true
	}
	if v := viewOf(p, end); v != nil {
		for _, s := range v.Said(analyze.SaidProposals) {
			if text, is := configured(s.Line, "IKE:"); is {
				return offer{at: s.At, text: text, how: "is configured with"}, true
			}
		}
	}
	return offer{}, false
}

// configured takes what strongSwan says that it is configured with, of a protocol.
func configured(line, proto string) (text string, ok bool) {
	_, text, ok = strings.Cut(line, "configured proposals: ")
	return analyze.Printable(text), ok && strings.HasPrefix(text, proto)
}

func reportNoProposal(p *Pass, o ikeOutcome, same []ikeOutcome) {
	f := p.Finding()
	offered := o.sa.Offered()
	f.Explanation = fmt.Sprintf("%s accepts none of the proposals by which %s asks for an IKE SA, and answers %s%s.",
		o.by, o.to, o.notifyName(), attemptWords(len(same)))
	if len(offered) > 0 {
		f.Explanation += fmt.Sprintf(" %s offers %s.", o.to, offerWords(offered))
	}
	taken, known := takenBy(p, o.by, o.sa.Major)
	words, apart := compareOffers(o, offered, taken, known)
	f.Explanation += words
	if apart {
		f.Confidence = Certain
	}
	f.Evidence = []Evidence{Saw(same[0].asked, "%s asks %s for an IKE SA%s", o.to, o.by, offeringWords(offered)),
		Saw(o.answer, "%s answers %s", o.by, o.notifyName())}
	if known {
		f.Evidence = append(f.Evidence, Saw(taken.at, "%s %s %s", o.by, taken.how, taken.text))
	}
	f.Evidence = append(f.Evidence, saidEvidence(saidSince(p, o.sa.First, analyze.SaidNoProposal, analyze.SaidProposals, analyze.SaidNoConnection))...)
	f.Remedies = proposalRemedies(p, o, offered, taken)
	p.Report(f)
}

// compareOffers says how what one end offers and the other takes differ; apart is
// set where that explains the refusal.
func compareOffers(o ikeOutcome, offered []ike.Proposal, taken offer, known bool) (words string, differ bool) {
	switch {
	case !known:
		return fmt.Sprintf(" What %s would accept is not told by its answer; its log and its configuration tell. strongSwan gives the same "+
			"answer where it has no connection for %s at all.", o.by, o.to), false
	case taken.proposals == nil:
		return fmt.Sprintf(" %s %s %s.", o.by, taken.how, taken.text), true
	case len(offered) == 0:
		return fmt.Sprintf(" %s %s %s.", o.by, taken.how, taken.text), false
	}
	a, b := suites(offered), suites(taken.proposals)
	if meet(a, b) {
		return fmt.Sprintf(" %s %s %s, which goes together with that: more likely it has no connection for %s at all; strongSwan gives "+
			"the same answer then.", o.by, taken.how, taken.text, o.to), false
	}
	return fmt.Sprintf(" %s %s %s: %s.", o.by, taken.how, taken.text, apart(a, b)), true
}

func offeringWords(offered []ike.Proposal) string {
	if len(offered) == 0 {
		return ""
	}
	return ", offering " + offerWords(offered)
}

func attemptWords(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d attempts)", n)
}

func proposalRemedies(p *Pass, o ikeOutcome, offered []ike.Proposal, taken offer) (all []remedy.Remedy) {
	if line, ok := proposalsLine(taken.proposals); ok && !meet(suites(offered), suites(taken.proposals)) {
		all = append(all, proposalsAt(p, o.to, line, fmt.Sprintf("offer on %s what %s takes", o.to, o.by)))
	} else if line, ok := proposalsLine(offered); ok {
		all = append(all, proposalsAt(p, o.by, line, fmt.Sprintf("let %s take what %s offers, if it is to be taken", o.by, o.to)))
	}
	return append(all, remedy.Remedy{
		Action: "daemon-log", Params: map[string]string{"host": o.by.String()},
		Title:   fmt.Sprintf("read on %s what it was offered and what it is configured with", o.by),
		Command: readLog,
	})
}

func proposalsAt(p *Pass, end netip.Addr, line, title string) remedy.Remedy {
	return remedy.Remedy{
		Action: "ike-proposals", Params: map[string]string{"host": end.String(), "proposals": line},
		Title:   title + ": " + setting(p, end, "proposals = "+line, "ike="+line) + "; then",
		Command: reload(p, end),
	}
}

func reportOtherGroup(p *Pass, o ikeOutcome, same []ikeOutcome) {
	f := p.Finding()
	sent := o.sa.Exchange(ike.ExchangeIKESAInit).Request.KE
	wanted := o.notify.Group
	f.Explanation = fmt.Sprintf("%s wants the Diffie-Hellman group %s, and %s, which had sent %s, does not come back with it%s.",
		o.by, wanted, o.to, sent, attemptWords(len(same)))
	if viewOf(p, o.to) != nil {
		f.Confidence = Certain
	} else {
		f.Explanation += fmt.Sprintf(" It may also be that the way to %s loses its larger request: a recording on %s tells.", o.by, o.to)
	}
	switch {
	case sent == wanted:
		f.Explanation += " It is the group that was sent: one of the two has the wrong idea of it."
	case offers(o.sa.Offered(), wanted):
		f.Explanation += fmt.Sprintf(" %s had offered the group with its proposals: its daemon knows the name and cannot do it, for a plugin is "+
			"missing, or gives up.", o.to)
	case len(o.sa.Offered()) > 0:
		f.Explanation += fmt.Sprintf(" %s had not offered that group at all.", o.to)
	}
	f.Evidence = []Evidence{
		Saw(same[0].asked, "%s asks %s for an IKE SA with the group %s%s", o.to, o.by, sent, offeringWords(o.sa.Offered())),
		Saw(o.answer, "%s answers %s: it wants %s", o.by, o.notifyName(), wanted),
	}
	f.Evidence = append(f.Evidence, saidEvidence(saidSince(p, o.sa.First, analyze.SaidInvalidKE, analyze.SaidNoProposal))...)
	f.Remedies = groupRemedies(p, o, sent, wanted)
	p.Report(f)
}

// offers reports whether a group is among the proposals.
func offers(proposals []ike.Proposal, g ike.DHGroup) bool {
	for _, a := range allOf(suites(proposals), ike.TransformKE) {
		if a.Mapped && a.ID == uint16(g) {
			return true
		}
	}
	return false
}

func groupRemedies(p *Pass, o ikeOutcome, sent, wanted ike.DHGroup) []remedy.Remedy {
	to := remedy.Remedy{
		Action: "daemon-log", Params: map[string]string{"host": o.to.String(), "group": wanted.String()},
		Title:   fmt.Sprintf("read on %s why it does not use %s, and give its daemon what it lacks", o.to, wanted),
		Command: readLog,
	}
	name, ok := groupKeywords[sent]
	if !ok {
		return []remedy.Remedy{to}
	}
	return []remedy.Remedy{to, {
		Action: "ike-proposals", Params: map[string]string{"host": o.by.String(), "group": name},
		Title: fmt.Sprintf("or let %s take %s: add %s to its proposals, %s; then", o.by, sent, name,
			setting(p, o.by, "proposals", "ike=")),
		Command: reload(p, o.by),
	}}
}
