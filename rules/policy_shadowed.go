package rules

import (
	"fmt"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// PolicyShadowed finds policies that can never win.
var PolicyShadowed = &Rule{
	ID:       "policy-shadowed",
	Severity: Warning,
	Title:    "a policy can never win",
	Doc: Doc{
		Symptom: "A policy stands in the list, and nothing behaves as it says: what should pass is protected or dropped, what should be " +
			"protected or blocked passes.",
		Cause: "Another policy of the same direction selects all its packets and has a smaller priority number, which wins; or, of equal " +
			"priorities, it is older. index means nothing. A sub policy that blocks comes before every main policy.",
		Recognised: "One policy that covers the whole selector (addresses, protocol, ports, interface, mark, if_id), is weighed before it, and " +
			"does something else. Certain by priority; likely between equal priorities, where kernels differ. Policies that were used after the " +
			"other one came, and those that only several others cover together, are not named. Bypasses of neighbour discovery are " +
			"nd-bypass-shadowed's matter.",
		Remedy: "Give the one that is to win a smaller priority number (0 cannot be beaten: replace such a policy by itself at another number), or " +
			"delete the one that is of no use.",
		Sources: []string{
			"RFC 4301 section 4.4.1 (the SPD is ordered)",
			"Linux net/xfrm/xfrm_policy.c: xfrm_policy_lookup_bytype, __xfrm_policy_eval_candidates",
		},
	},
	Needs: []string{analyze.PartPolicies},
	Audit: checkPolicyShadowed,
}

func checkPolicyShadowed(p *Pass) {
	for _, s := range p.Host.DB.Shadows() {
		if discoveryBypass(s.Policy) && s.By.Requires() {
			continue
		}
		if s.Tie && slices.Contains(p.Host.DB.Lookup(s.Policy.Direction, sampleFlow(p.Host, s.Policy)).Policies, s.Policy) {
			continue // this host's kernel has it win
		}
		reportNeverWins(p, s)
	}
}

// discoveryBypass reports whether q is there to let neighbour discovery pass.
func discoveryBypass(q *spd.Policy) bool {
	s := &q.Selector
	return q.Bypass() && s.Proto == spd.ProtoICMPv6 && (s.SrcPortMask == 0 ||
		slices.Contains([]uint16{spd.NeighborSolicitation, spd.NeighborAdvertisement}, s.SrcPort))
}

func reportNeverWins(p *Pass, s spd.Shadow) {
	f := p.PolicyFinding(s.Policy)
	f.Confidence = Certain
	why := fmt.Sprintf("its priority %d is a smaller number than %d", s.By.Priority, s.Policy.Priority)
	switch {
	case s.Tie:
		f.Confidence = Likely
		why = fmt.Sprintf("both have priority %d, and it is the older one; which of two equals wins depends on the kernel (6.18 takes the "+
			"older, 6.1 not always)", s.By.Priority)
	case s.By.Type != s.Policy.Type:
		why = "sub policies are asked first, and it blocks"
	}
	f.Explanation = fmt.Sprintf("This policy, which would %s, never decides: every packet that it selects is selected by another one, which "+
		"wins and will %s: %s.", does(s.Policy), does(s.By), why)
	f.Evidence = append(f.Evidence, p.SawPolicy(s.By))
	f.Remedies = shadowedRemedies(p, s)
	p.Report(f)
}

// does says what a policy does with its packets.
func does(q *spd.Policy) string {
	switch {
	case q.Action == spd.Block:
		return "block its packets"
	case q.Bypass():
		return "let its packets pass in the clear"
	case !q.Requires():
		return "protect its packets where an SA is there"
	}
	return "protect its packets (" + q.Templates[0].String() + ")"
}

// shadowedRemedies makes the policy win, or goes the other way: deletes it.
func shadowedRemedies(p *Pass, s spd.Shadow) []remedy.Remedy {
	own := *s.Policy
	gone := remedy.Remedy{
		Action: "delete-policy", Params: map[string]string{"host": p.Host.Origin.String()}, Title: "if it is of no use, delete it",
		Command: remedy.Step{Op: remedy.DeletePolicy, Policy: &own, Device: p.Host.InterfaceName(own.Selector.IfIndex)}.Command(),
	}
	if s.By.Priority == 0 || s.By.Type != s.Policy.Type {
		return []remedy.Remedy{gone}
	}
	raised := own
	raised.Priority = s.By.Priority - 1
	return []remedy.Remedy{{
		Action: "raise-policy", Params: map[string]string{"host": p.Host.Origin.String()}, Title: "if it is to win, give it a smaller number",
		Command: remedy.Step{Op: remedy.ReplacePolicy, Policy: &raised, Device: p.Host.InterfaceName(own.Selector.IfIndex)}.Command(),
	}, gone}
}
