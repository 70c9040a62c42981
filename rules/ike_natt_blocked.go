package rules

import (
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// IKENATTBlocked finds IKE that is answered on UDP port 500 and not on 4500.
var IKENATTBlocked = &Rule{
	ID:       "ike-natt-blocked",
	Severity: Error,
	Title:    "UDP port 500 passes, and 4500 does not",
	Doc: Doc{
		Symptom: "IKE begins and gets no further: IKE_SA_INIT is answered, IKE_AUTH is sent again and again; with IKEv1 Main Mode stops at its " +
			"fifth message.",
		Cause: "Where NAT is between the two (and with strongSwan's MOBIKE wherever it may be one day) IKE moves from UDP port 500 to 4500 after " +
			"the first exchange, and ESP goes in UDP on the same port. A firewall that was opened for port 500 and ESP only drops all of it, in " +
			"one direction or both.",
		Recognised: "An exchange on port 500 was answered, the next one of the same IKE SA goes by port 4500, was sent at least three times over " +
			"10 s, and nothing came back; or is answered each time and sent again all the same, so that the answers are lost. The message is not in " +
			"IP fragments, which are dropped for other reasons (ike-fragments-lost), and is not " +
			"seen to arrive at the host that is asked (ike-no-response). Which end is behind NAT is told by the hashes of NAT detection. Certain where an ICMP error refuses it or both ends were observed, else likely.",
		Remedy: "Let UDP port 4500 pass wherever port 500 does, in both directions; without NAT between the two, strongSwan stays on port 500 " +
			"with mobike = no in swanctl.conf.",
		Sources: []string{
			"RFC 7296 section 2.23 (NAT traversal), RFC 3947 section 4 (changing to the new ports), RFC 3948",
			"RFC 4555 section 3.3 (MOBIKE: the initiator moves to port 4500)",
			"swanctl.conf(5): connections.<conn>.mobike",
		},
	},
	Check: checkIKENATTBlocked,
}

func checkIKENATTBlocked(p *Pass) { checkSilence(p, silenceNATT, 1, reportNATTBlocked) }

func reportNATTBlocked(p *Pass, s *silence) {
	f := p.Finding()
	earlier := s.earlier()
	f.Explanation = fmt.Sprintf("%s answers %s on UDP port %d. With %s %s moves to port %d, and has sent it %s in %s", s.answerer(earlier),
		messageWords(earlier), ikePort, messageWords(s.x), s.from, analyze.PortNATT, times(int(s.x.Request.Count)),
		seconds(sightingGap(s.x.Request.First(), s.x.Request.Last())))
	if s.unheard {
		f.Explanation += fmt.Sprintf("; %s has answered each time, and the answers do not arrive. ", s.to)
	} else {
		f.Explanation += ", and no answer was seen. "
	}
	f.Explanation += natSides(s.sa) + " " + s.whyNATT(p, &f)
	f.Evidence = s.evidence(p)
	f.Remedies = nattRemedies(s)
	p.Report(f)
}

// whyNATT says where the messages on port 4500 are lost, and how certain that is.
func (s *silence) whyNATT(p *Pass, f *Finding) string {
	f.Confidence = Likely
	if e := s.refusal(p.View); e != nil {
		f.Confidence = Certain
		return refusalWords(s, e)
	}
	if words, certain := s.bothEnds(p); words != "" {
		if certain {
			f.Confidence = Certain
		}
		return words
	}
	if s.unheard {
		return fmt.Sprintf("A firewall between the two, or on %s, drops what comes from UDP port %d.", s.from, analyze.PortNATT)
	}
	return fmt.Sprintf("A firewall between the two, or on %s, drops UDP port %d in one direction or both.", s.to, analyze.PortNATT)
}

// natSides say what NAT detection tells of both ends.
func natSides(sa *analyze.IKESA) string {
	i, r := sa.FromInitiator.NAT, sa.FromResponder.NAT
	switch {
	case i == analyze.NATBehind && r == analyze.NATBehind:
		return fmt.Sprintf("Both %s and %s are behind NAT.", sa.Initiator, sa.Responder)
	case i == analyze.NATBehind:
		return fmt.Sprintf("%s is behind NAT.", sa.Initiator)
	case r == analyze.NATBehind:
		return fmt.Sprintf("%s is behind NAT.", sa.Responder)
	case i == analyze.NATPretended:
		return fmt.Sprintf("%s asks for UDP encapsulation as if it were behind NAT.", sa.Initiator)
	case r == analyze.NATPretended:
		return fmt.Sprintf("%s asks for UDP encapsulation as if it were behind NAT.", sa.Responder)
	case i == analyze.NATNone && r == analyze.NATNone:
		return "There is no NAT between the two."
	}
	return "Whether there is NAT between the two was not seen."
}

func nattRemedies(s *silence) []remedy.Remedy {
	at := s.to
	if s.unheard {
		at = s.from
	}
	r := lookAtFirewall(at)
	r.Title = fmt.Sprintf("let UDP port %d pass in both directions, at every firewall between the two; this shows the one on %s", analyze.PortNATT, at)
	return []remedy.Remedy{r}
}
