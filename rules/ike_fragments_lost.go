package rules

import (
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// IKEFragmentsLost finds large IKE messages that do not arrive whole.
var IKEFragmentsLost = &Rule{
	ID:       "ike-fragments-lost",
	Severity: Error,
	Title:    "a large IKE message does not arrive whole",
	Doc: Doc{
		Symptom: "IKE begins, and stops where the certificates are sent: in IKE_AUTH, with IKEv1 in the fifth or sixth message of Main Mode. With " +
			"a pre-shared key the same link works.",
		Cause: "A message with certificates is larger than a packet. Without IKE fragmentation it goes in fragments of IP, and many firewalls, " +
			"NATs and load balancers drop those, all of them or all but the first, because only the first names the ports. With IKE " +
			"fragmentation (RFC 7383) each piece is a packet of its own; where that is larger than the path takes, and nobody says so, it is " +
			"lost as well.",
		Recognised: "Certain where a part of the message is seen each time it is sent, at least twice, and the rest never in 5 s: the first IP " +
			"fragment without the others, or some of the IKE fragments. Likely where later IP fragments come without a first one right after an " +
			"answered exchange, and where a message in fragments was sent at least three times without an answer while a smaller one before it " +
			"was answered. Whether the two have agreed on IKE fragmentation is told by IKEV2_FRAGMENTATION_SUPPORTED in IKE_SA_INIT (IKEv1: the " +
			"vendor ID FRAGMENTATION).",
		Remedy: "Switch IKE fragmentation on at both ends (strongSwan: fragmentation = yes, which is its default; libreswan: fragmentation=yes), " +
			"let IP fragments pass, or make the message smaller: certificates with ECDSA keys, fewer certificate requests. Where IKE fragments " +
			"themselves are lost, make them smaller (strongswan.conf: charon.fragment_size).",
		Sources: []string{
			"RFC 7383 section 1 (why IP fragments are dropped), section 2.3 (negotiation), section 2.5.1 (sizes)",
			"RFC 8900 section 3 (IP fragmentation is fragile)",
			"swanctl.conf(5): connections.<conn>.fragmentation; strongswan.conf(5): charon.fragment_size",
		},
	},
	Check: checkIKEFragmentsLost,
}

func checkIKEFragmentsLost(p *Pass) { checkSilence(p, silenceFragments, 1, reportFragmentsLost) }

func reportFragmentsLost(p *Pass, s *silence) {
	f := p.Finding()
	f.Confidence = Likely
	switch {
	case s.partial != nil:
		f.Confidence = Certain
		f.Explanation = partialWords(s)
		f.Evidence = partialEvidence(s)
	case s.headless:
		f.Explanation = fmt.Sprintf("After %s was answered, IP fragments come from %s, of %s at least, and never a first one, which alone names "+
			"the ports: most likely they are the next IKE message. Something on the way drops first fragments and lets later ones pass.",
			messageWords(s.x), s.from, plural(uint64(p.View.Headless.Count), "datagram"))
		f.Evidence = headlessEvidence(p, s)
	default:
		f.Explanation, f.Confidence = s.wholeWords(p)
		f.Evidence = s.evidence(p)
	}
	f.Explanation += " " + fragmentationWords(s.sa)
	f.Evidence = append(f.Evidence, fragmentErrors(p, s)...)
	f.Remedies = fragmentRemedies(s)
	p.Report(f)
}

// partialWords say of which message what part is seen.
func partialWords(s *silence) string {
	from, to, what := s.from, s.to, messageWords(s.x)
	if s.partial == &s.x.Response {
		from, to, what = to, from, "the answer to "+what
	}
	if m := s.partial; m.Count == 0 {
		return fmt.Sprintf("%s sends %s (%d bytes) to %s in fragments of IP, and each time, %s in %s, only the first was seen: the others are "+
			"lost on the way, and the message never becomes whole.", from, what, m.Size, to, times(int(m.Incomplete)), seconds(sightingGap(m.First(), m.Last())))
	}
	total := "more"
	if n := s.partial.FragmentsOf; n > 0 {
		total = count(uint64(n))
	}
	return fmt.Sprintf("%s sends %s to %s in IKE fragments, and of %s only %d ever came, though it was sent %s: the message never "+
		"becomes whole.", from, what, to, total, s.partial.Fragments, times(int(s.partial.Count)))
}

func partialEvidence(s *silence) []Evidence {
	m, from := s.partial, s.from
	if m == &s.x.Response {
		from = s.to
	}
	var ev []Evidence
	if e := s.earlier(); e != nil {
		ev = append(ev, Saw(e.Response.First(), "%s answers %s", s.answerer(e), messageWords(e)))
	}
	what := "the first IP fragment alone"
	if m.Count > 0 {
		what = fmt.Sprintf("some of its IKE fragments (%d)", m.Fragments)
	}
	return append(ev,
		Saw(m.First(), "%s sends %s: %s (SPI %s)", from, messageWords(s.x), what, s.sa.InitiatorSPI),
		Saw(m.Last(), "the same, the latest"))
}

func headlessEvidence(p *Pass, s *silence) []Evidence {
	return []Evidence{
		Saw(s.x.Response.Last(), "%s is answered (SPI %s)", messageWords(s.x), s.sa.InitiatorSPI),
		Saw(p.View.Headless.Last, "a later IP fragment from %s, the first is not there", s.from),
	}
}

// wholeWords are for a message that was seen whole here, and does not arrive.
func (s *silence) wholeWords(p *Pass) (string, Confidence) {
	m, from, to, what := s.lost(), s.from, s.to, messageWords(s.x)
	if s.unheard {
		from, to, what = to, from, "the answer to "+what
	}
	how := "in fragments of IP"
	if !m.IPFragments {
		how = fmt.Sprintf("in %d IKE fragments", m.Fragments)
	}
	words := fmt.Sprintf("%s has sent %s, %d bytes, to %s %s, %s in %s, and ", from, what, m.Size, to, how, times(int(m.Count)),
		seconds(sightingGap(m.First(), m.Last())))
	if s.unheard {
		words += fmt.Sprintf("%s asks for it again each time: it does not arrive whole.", to)
	} else {
		words += fmt.Sprintf("no answer was seen, though %s, which is smaller, was answered: most likely it does not arrive whole.", messageWords(s.earlier()))
	}
	far, ok := s.farEnd(p)
	switch {
	case !ok:
		return words, Likely
	case far.x == nil:
		return words + fmt.Sprintf(" %s has seen none of it.", far.host.Origin), Certain
	}
	there := &far.x.Request
	if s.unheard {
		there = &far.x.Response
	}
	if !there.Whole() {
		return words + fmt.Sprintf(" %s has never seen all of it.", far.host.Origin), Certain
	}
	return words, Likely
}

// fragmentationWords say whether IKE fragmentation was negotiated.
func fragmentationWords(sa *analyze.IKESA) string {
	i, r := sa.FromInitiator.FragmentationSupported, sa.FromResponder.FragmentationSupported
	switch {
	case i && r:
		return "The two have agreed on IKE fragmentation."
	case i:
		return fmt.Sprintf("IKE fragmentation was not negotiated: %s offers it, %s does not.", sa.Initiator, sa.Responder)
	case r:
		return fmt.Sprintf("IKE fragmentation was not negotiated: %s offers it, %s does not.", sa.Responder, sa.Initiator)
	case sa.Exchanges[0].Request.Seen() && sa.Exchanges[0].Response.Seen():
		return "IKE fragmentation was not negotiated: neither end offers it."
	}
	return "Whether IKE fragmentation was negotiated was not seen."
}

// fragmentErrors are what the wire says of fragments itself.
func fragmentErrors(p *Pass, s *silence) (ev []Evidence) {
	for _, e := range p.View.Errors {
		if e.Kind == analyze.ICMPReassemblyTimeout && s.sa.First.Before(e.Last) {
			ev = append(ev, Saw(e.Last, "%s says %s to %s, %s", e.From, errorWords(e), e.To, times(e.Count)))
		}
	}
	return ev
}

func fragmentRemedies(s *silence) []remedy.Remedy {
	i, r := &s.sa.FromInitiator, &s.sa.FromResponder
	if i.FragmentationSupported && r.FragmentationSupported {
		return []remedy.Remedy{{
			Action: "ike-fragment-size", Params: map[string]string{},
			Title:   "make IKE fragments smaller on both hosts: charon { fragment_size = 576 } in strongswan.conf; then load it",
			Command: "swanctl --reload-settings",
		}}
	}
	where := "both hosts"
	switch {
	case i.FragmentationSupported:
		where = s.sa.Responder.String()
	case r.FragmentationSupported:
		where = s.sa.Initiator.String()
	}
	return []remedy.Remedy{{
		Action: "ike-fragmentation", Params: map[string]string{"host": where},
		Title:   fmt.Sprintf("switch IKE fragmentation on for the connection on %s: fragmentation = yes in swanctl.conf (ipsec.conf of libreswan: fragmentation=yes); then load it there", where),
		Command: "swanctl --load-conns",
	}}
}
