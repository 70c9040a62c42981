package rules

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// IKETSUnacceptable finds IKE SAs that stand and bring no CHILD SA.
var IKETSUnacceptable = &Rule{
	ID:       "ike-ts-unacceptable",
	Severity: Error,
	Title:    "the IKE SA stands, and no CHILD SA comes",
	Doc:      ikeTSUnacceptableDoc,
	Check:    checkIKETSUnacceptable,
}

func checkIKETSUnacceptable(p *Pass) {
	latest := ikeAttempts(p)
	switch {
	case latest.sa == nil:
	case latest.end == ikeChildless && p.Passed(latest.answer, ikeSettle):
		if len(childRefusals(p, latest)) == 0 { // ike-no-proposal's
			reportTSUnacceptable(p, latest, attemptsLike(p, latest))
		}
	case latest.end == ikeUp:
		if x := refusedLast(latest.sa); x != nil && len(saidSince(p, latest.sa.First, analyze.SaidTSUnacceptable)) > 0 {
			latest.to, latest.by = latest.sa.Asker(x)
			latest.asked = x.Request.First()
			reportTSUnacceptable(p, latest, []ikeOutcome{latest})
			return
		}
		p.ResolvePair(latest.answer, "a CHILD SA has come")
	}
}

func reportTSUnacceptable(p *Pass, o ikeOutcome, same []ikeOutcome) {
	f := p.Finding()
	said := saidSince(p, o.sa.First, analyze.SaidTSUnacceptable)
	grants := "grants no CHILD SA, and no ESP can go"
	if o.end == ikeUp {
		grants = "grants no further CHILD SA"
	}
	f.Explanation = fmt.Sprintf("%s and %s have authenticated each other, so that their IKE SA stands%s; but %s %s.", o.to, o.by,
		attemptWords(len(same)), o.by, grants)
	if len(said) > 0 {
		f.Confidence = Certain
		f.Explanation += " " + quoted(&said[len(said)-1]) + ": the traffic selectors do not fit."
	} else {
		f.Explanation += fmt.Sprintf(" Its answer is encrypted%s: it is an error, most likely TS_UNACCEPTABLE, for the traffic "+
			"selectors do not fit; or else NO_PROPOSAL_CHOSEN, for the proposals for %s do not.", shortWords(o), protectionWords(p, o))
	}
	f.Explanation += wantedWords(p, o) + natWords(o)
	f.Evidence = childlessEvidence(p, o, same[0])
	f.Evidence = append(f.Evidence, saidEvidence(said)...)
	f.Remedies = selectorRemedies(p, o)
	p.Report(f)
}

// shortWords says that the answer has no room for a CHILD SA, where that is so.
func shortWords(o ikeOutcome) string {
	if x := o.sa.Exchange(ike.ExchangeIKEAuth); x != nil && tooShort(o.sa, &x.Response) {
		return ", and too short for one"
	}
	return ""
}

// protectionWords names the protocol that the CHILD SA was to have.
func protectionWords(p *Pass, o ikeOutcome) string {
	if q := wantedPolicy(p, o); q != nil && q.Templates[0].Proto == spd.ProtoAH {
		return "AH"
	}
	return "ESP"
}

// wantedPolicy is the policy at this host for which the CHILD SA is to be, nil where
// it is not known.
func wantedPolicy(p *Pass, o ikeOutcome) *spd.Policy {
	if !p.Host.KernelSeen || p.View.Local != o.to {
		return nil
	}
	return p.Host.PolicyFor(o.to, o.by)
}

// wantedWords says which selectors the end that asks wants, by its own policy.
func wantedWords(p *Pass, o ikeOutcome) string {
	q := wantedPolicy(p, o)
	if q == nil {
		return ""
	}
	return fmt.Sprintf(" By its policy %s asks for %s ↔ %s.", o.to, prefixWords(q.Selector.Src, q.Selector.Family), prefixWords(q.Selector.Dst, q.Selector.Family))
}

func prefixWords(x netip.Prefix, family spd.Family) string {
	switch {
	case x.IsValid():
		return x.String()
	case family == spd.IPv4:
		return "0.0.0.0/0"
	}
	return "::/0"
}

// natWords tells of the usual case behind NAT: each end takes "dynamic" for the
// address at which it sees the other.
func natWords(o ikeOutcome) string {
	for _, e := range []struct {
		s    analyze.Speaker
		addr netip.Addr
		is   string
	}{{o.sa.FromInitiator, o.sa.Initiator, "initiator"}, {o.sa.FromResponder, o.sa.Responder, "responder"}} {
		if e.s.NAT == analyze.NATBehind {
			return fmt.Sprintf(" The %s is behind NAT: a selector that stands for its address (strongSwan: dynamic, the default) is its inner "+
				"address to itself and the outer one to the other end, and the two do not fit.", e.is)
		}
	}
	return ""
}

func childlessEvidence(p *Pass, o ikeOutcome, first ikeOutcome) []Evidence {
	ev := []Evidence{Saw(first.asked, "%s asks %s for a CHILD SA", o.to, o.by)}
	switch x := o.sa.Exchange(ike.ExchangeIKEAuth); {
	case o.end == ikeUp:
		ev = append(ev, Saw(o.sa.Exchange(ike.ExchangeCreateChildSA).Response.First(), "%s answers with one notification", o.by))
	case x == nil:
		ev = append(ev, Saw(o.answer, "%s sends an encrypted notification in place of the answer to Quick Mode", o.by))
	case tooShort(o.sa, &x.Response):
		ev = append(ev, Saw(o.answer, "%s answers with %d bytes of payloads at most; with a CHILD SA there are %d at least", o.by,
			o.sa.MostPlain(&x.Response), leastWithChild(o.sa, x.Response.Inner)))
	default:
		ev = append(ev, Saw(o.answer, "%s answers, and %s's kernel gets no SA", o.by, p.Host.Origin))
	}
	if n := refusedAgain(o.sa); n > 0 {
		x := o.sa.Exchange(ike.ExchangeCreateChildSA)
		ev = append(ev, Saw(x.Response.First(), "asked again under the same IKE SA %s, refused", times(n)))
	}
	return ev
}

// refusedAgain counts the CREATE_CHILD_SAs that were refused.
func refusedAgain(sa *analyze.IKESA) (n int) {
	for i := range sa.Exchanges {
		if x := &sa.Exchanges[i]; x.Type == ike.ExchangeCreateChildSA && x.Answered() && onlyNotify(sa, &x.Response) {
			n++
		}
	}
	return n
}

func selectorRemedies(p *Pass, o ikeOutcome) []remedy.Remedy {
	title := fmt.Sprintf("let the selectors of the two ends mirror each other: what is local at %s is remote at %s; on %s %s; then", o.to, o.by, o.by,
		setting(p, o.by, "children.….local_ts and remote_ts", "leftsubnet= and rightsubnet="))
	if strings.HasPrefix(natWords(o), " The initiator") {
		title = fmt.Sprintf("name on %s, in remote_ts (libreswan: rightsubnet=vhost:%%priv,%%no), the network that the initiator has behind its NAT, or give the "+
			"initiator an address by vips (libreswan: modecfg); %s; then", o.by, setting(p, o.by, "children.….remote_ts", "rightsubnet="))
	}
	return []remedy.Remedy{
		{Action: "traffic-selectors", Params: map[string]string{"host": o.by.String(), "peer": o.to.String()}, Title: title, Command: reload(p, o.by)},
		{Action: "daemon-log", Params: map[string]string{"host": o.by.String()},
			Title: fmt.Sprintf("read on %s which of the two it is", o.by), Command: readLog},
	}
}
