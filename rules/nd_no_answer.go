package rules

import (
	"fmt"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// NDNoAnswer finds a neighbour that does not answer, where nothing points to
// IPsec.
var NDNoAnswer = &Rule{
	ID:       "nd-no-answer",
	Severity: Warning,
	Title:    "nobody answers for the peer's address",
	Doc: Doc{
		Symptom: "The peer's link-layer address cannot be found, so that neither IKE nor anything else reaches it.",
		Cause: "The peer is switched off, is on another link or VLAN, has another address, or its firewall or a switch drops the question " +
			"or the answer (ICMPv6 types 135 and 136; ARP with IPv4). IPsec has no part in it that can be seen.",
		Recognised: "At least three solicitations in a row, and more than 5 s (one full resolution lasts 3 s) without any answer, the peer starts no " +
			"IKE, and where its kernel is seen, its policies let the advertisement pass. A warning where the two hosts are to speak IPsec, else " +
			"only for information.",
		Remedy: "See that the peer is up and has this address on this link: look at its addresses, at the VLAN, and at firewalls that drop " +
			"ICMPv6 types 135 and 136.",
		Sources: []string{
			"RFC 4861 section 7.2.2 (sending neighbour solicitations), section 10 (timers)",
			"RFC 4890 section 4.4.1 (ICMPv6 that firewalls must not drop)",
			"RFC 826 (ARP)",
		},
	},
	Check: checkNDNoAnswer,
}

func checkNDNoAnswer(p *Pass) {
	cases := ndCases(p)
	var silent *ndCase
	for i := range cases {
		if cases[i].deadlock() {
			return // never both for one pair
		}
		if silent == nil && cases[i].kind == ndSilent {
			silent = &cases[i]
		}
	}
	if silent != nil {
		reportNoAnswer(p, silent)
		return
	}
	if !p.found {
		return
	}
	if at, ok := ndSettled(p); ok {
		p.ResolvePair(at, "an answer came")
	}
}

func reportNoAnswer(p *Pass, c *ndCase) {
	f := p.Finding()
	if !p.View.Involved() {
		f.Severity = Info
	}
	r := c.res
	what := "neighbour solicitation"
	if r.ARP {
		what = "ARP request"
	}
	f.Explanation = fmt.Sprintf("%s has asked for the link-layer address of %s for %s (%s), and no answer was seen. Before there is one, "+
		"neither IKE nor any other packet can be sent to %s.", c.asker, c.target, seconds(p.Since(r.First)), plural(uint64(r.Count), what), c.target)
	f.Explanation += ownKernelWords(p, c)
	f.Evidence = solicitationEvidence(r)
	if n, since, ok := p.Host.Neighbor(c.target); ok && p.Host.Owns(c.asker) {
		f.Evidence = append(f.Evidence, Saw(since, "the neighbour table has %s as %s", c.target, n.State))
	}
	f.Remedies = []remedy.Remedy{{
		Action: "look", Params: map[string]string{"peer": c.target.String()},
		Title:   "look at the peer's address and link; run this on the peer",
		Command: "ip address show to " + c.target.WithZone("").String(),
	}}
	p.Report(f)
}

// ownKernelWords adds what the target's own kernel says of its answer.
func ownKernelWords(p *Pass, c *ndCase) string {
	t := targetKernel(p, c.target)
	if t == nil || c.res.ARP {
		return ""
	}
	switch c.verdict.Decision {
	case spd.Clear:
		return fmt.Sprintf(" The IPsec policies of %s let its advertisement pass: something else drops it, such as a firewall on that host.", t.Origin)
	case spd.Discard:
		if c.policy() == nil {
			return fmt.Sprintf(" The default action of %s blocks its advertisement: no policy selects it.", t.Origin)
		}
		return fmt.Sprintf(" An IPsec policy of %s blocks its advertisement: %s.", t.Origin, policyWords(c.policy()))
	}
	return ""
}
