package rules

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// NDDeadlock finds neighbour discovery and IKE waiting for each other.
var NDDeadlock = &Rule{
	ID:       "nd-deadlock",
	Severity: Error,
	Title:    "neighbour discovery and IKE wait for each other",
	Doc:      ndDeadlockDoc,
	Check:    checkNDDeadlock,
}

func checkNDDeadlock(p *Pass) {
	found := false
	for _, c := range ndCases(p) {
		if c.deadlock() {
			reportDeadlock(p, &c)
			found = true
			break
		}
	}
	if found || !p.found {
		return
	}
	if at, words, ok := ndOver(p); ok {
		p.ResolvePair(at, "%s", words)
	}
}

func reportDeadlock(p *Pass, c *ndCase) {
	f := p.Finding()
	f.Confidence = c.confidence
	f.Explanation = deadlockWords(c)
	if t := c.verdict.Tied; t != nil {
		f.Explanation += fmt.Sprintf(" It is not certain, because the policy %s has the same priority and would do something else: "+
			"which of the two wins depends on the kernel, and on whether one was replaced.", t.Selector)
	}
	f.Evidence = deadlockEvidence(p, c)
	f.Remedies = ndBypass(p, c)
	if c.confidence == Likely {
		f.Remedies = append([]remedy.Remedy{watchOn(c.unseen())}, f.Remedies...)
	}
	p.Report(f)
}

// unseen is the host of which the kernel would make a likely case certain.
func (c *ndCase) unseen() netip.Addr {
	if c.kind == ndAnswerIgnored {
		return c.asker
	}
	return c.target
}

// deadlockWords says what happens, for the case at hand.
func deadlockWords(c *ndCase) string {
	a, b := c.asker, c.target
	switch c.kind {
	case ndAnswerCaught:
		return fmt.Sprintf("%s asks for the link-layer address of %s, and %s does not answer: its neighbour advertisement "+
			"is caught by %s, which wants an SA, and there is none. The SA needs IKE, and %s cannot send IKE to %s before it has "+
			"the advertisement. Both wait for each other.", a, b, b, policyWords(c.policy()), a, b)
	case ndAnswerRefused:
		return fmt.Sprintf("%s asks for the link-layer address of %s, the advertisement comes back in the clear, and %s's own kernel "+
			"drops it: %s wants it protected by an SA. The SA needs IKE, and %s cannot send IKE to %s without the link-layer "+
			"address. A bypass on one host alone does not help: it must stand inbound on %s too.", a, b, a, policyWords(c.policy()), a, b, a)
	case ndAnswerIgnored:
		return fmt.Sprintf("%s asks for the link-layer address of %s, is answered, and asks again at once, time after time: it does not "+
			"take the advertisement, and sends nothing to %s. This is what happens when an IPsec policy of %s wants the advertisement protected by an SA "+
			"and drops the one that comes in the clear: the SA needs IKE, and IKE needs the advertisement. That %s lets its own neighbour "+
			"discovery pass, as libreswan does, is not enough: %s must too. It is not proved from here: a firewall on %s that drops ICMPv6 type "+
			"136 would look the same. Run ipsecdiag watch on %s to be certain.", a, b, b, a, b, a, a, a)
	case ndAskCaught:
		return fmt.Sprintf("%s looks for the link-layer address of %s, and its neighbour solicitation never leaves: %s catches it and wants "+
			"an SA, and there is none. The SA needs IKE, and IKE needs the link-layer address of %s. The wire stays empty.",
			a, b, policyWords(c.policy()), b)
	}
	return fmt.Sprintf("%s asks for the link-layer address of %s and gets no answer, yet %s is alive: it starts IKE with %s itself, and sends "+
		"its requests again because no reply can come. This is what happens when %s's advertisement is caught by its own IPsec "+
		"policy. It is not proved from here: a firewall on %s that drops ICMPv6 type 136 would look the same. Run ipsecdiag watch on "+
		"%s to be certain.", a, b, b, a, b, b, b)
}

// deadlockEvidence lists what was seen, in the order in which it is told.
func deadlockEvidence(p *Pass, c *ndCase) []Evidence {
	var ev []Evidence
	if r := c.res; r != nil {
		if c.kind == ndAnswerIgnored {
			return ignoredEvidence(r)
		}
		ev = append(ev, solicitationEvidence(r)...)
		if c.kind == ndAnswerRefused {
			ev = append(ev, Saw(r.LastAnswer, "the advertisement arrives (%s in all), and %s asks again", plural(uint64(r.Answered), "advertisement"), c.asker))
		}
	} else if n, since, ok := p.Host.Neighbor(c.target); ok {
		ev = append(ev, Saw(since, "neighbour %s is %s, and no solicitation for it is on the wire", c.target, n.State))
	}
	ev = append(ev, acquireEvidence(p, c)...)
	ev = append(ev, ikeEvidence(p, c)...)
	if c.lost > 0 {
		ev = append(ev, counterEvidence(c)...)
	}
	return ev
}

// ignoredEvidence shows the answers that the asker does not take.
func ignoredEvidence(r *analyze.Resolution) []Evidence {
	return []Evidence{
		Saw(r.Ignored, "%s solicits %s again, though it has just been answered, and the two times before too", r.Asker, r.Target),
		Saw(r.LastAnswer, "%s advertises its address once more, %s in all", r.Target, plural(uint64(r.Answered), "advertisement")),
	}
}

func solicitationEvidence(r *analyze.Resolution) []Evidence {
	if !r.Open() {
		return nil
	}
	ev := []Evidence{Saw(r.First, "%s solicits %s: first of %s, no answer", r.Asker, r.Target, plural(uint64(r.Count), "solicitation"))}
	if r.Count > 1 {
		ev = append(ev, Saw(r.Last, "%s solicits %s: the latest, no answer", r.Asker, r.Target))
	}
	return ev
}

// acquireEvidence shows the ACQUIRE for the packet that died. It is welcome and
// not needed: a larval SA that another packet made suppresses it.
func acquireEvidence(p *Pass, c *ndCase) []Evidence {
	var ev []Evidence
	for _, v := range p.views() {
		if v.Need == nil {
			continue
		}
		for _, q := range v.Need.Acquires {
			if q.Selector.Proto == spd.ProtoICMPv6 && len(ev) < 2 {
				ev = append(ev, Saw(q.At, "ACQUIRE: the kernel asks for an SA for %s", selectorWords(v.Host, q.Selector)))
			}
		}
	}
	return ev
}

// ikeEvidence shows the IKE messages of the pair that nobody answers.
func ikeEvidence(p *Pass, c *ndCase) []Evidence {
	var ev []Evidence
	for _, sa := range p.View.IKE {
		sp, from, to := sa.Waiting()
		if sp == nil || len(ev) >= 4 {
			continue
		}
		ev = append(ev, Saw(sp.FirstSent, "%s sends %s to %s (SPI %s): no answer", from, sp.Exchange, to, sa.InitiatorSPI))
		if sp.Repeats > 0 {
			ev = append(ev, Saw(sp.LastSent, "%s has sent it again %s", from, times(sp.Repeats)))
		}
	}
	return ev
}

func counterEvidence(c *ndCase) []Evidence {
	name := analyze.XfrmOutNoStates
	if c.kind == ndAnswerRefused {
		name = analyze.XfrmInTmplMismatch
	}
	text := fmt.Sprintf("%s has risen by %d since the first", name, c.lost)
	if p := c.policy(); p != nil {
		text += fmt.Sprintf(": caught by dir %s %s priority %d", p.Direction, p.Selector, p.Priority)
	}
	return []Evidence{Saw(c.lostTo, "%s", text)}
}
