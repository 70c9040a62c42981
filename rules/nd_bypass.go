package rules

import (
	"errors"
	"fmt"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ndBypass is the remedy for neighbour discovery that a policy catches: let
// types 135 and 136 pass on both hosts, in both directions. It is the plan that
// `ipsecdiag fix nd-bypass` makes on the observer's host, as that command and as
// those of ip.
func ndBypass(p *Pass, c *ndCase) []remedy.Remedy {
	plan, err := p.planBypass(c)
	var refused *remedy.Refusal
	if errors.As(err, &refused) {
		return elsewhere(refused)
	}
	bare, _ := remedy.NDBypass(&analyze.KernelState{}, remedy.NDOptions{}) // nothing there: nothing to refuse
	const both = "run this on both hosts"
	switch {
	case plan.Empty():
		return bypassRemedies(&bare, "this host does already, run this on the other", "or by hand, on the other host")
	case puts(&plan) < puts(&bare):
		return bypassRemedies(&plan, both, "or by hand, what is missing on this host")
	case puts(&plan) < len(plan.Steps):
		return bypassRemedies(&plan, both, "or by hand: nothing beats a policy of priority 0, so that those of this host are given another "+
			"number (the first lines; the other host's likewise), then neighbour discovery passes on both hosts")
	}
	return bypassRemedies(&plan, both, "or by hand, on both hosts")
}

// elsewhere is what to do where no plan may be made.
func elsewhere(refused *remedy.Refusal) []remedy.Remedy {
	return []remedy.Remedy{{
		Action: "nd-bypass-elsewhere", Params: map[string]string{"reason": string(refused.Reason)},
		Title: "let neighbour discovery pass by other means, since " + refused.Text, Command: refused.Instead,
	}}
}

// puts returns how many bypass policies a plan puts there.
func puts(plan *remedy.Plan) (n int) {
	for _, s := range plan.Steps {
		if s.Policy.Bypass() {
			n++
		}
	}
	return n
}

func bypassRemedies(plan *remedy.Plan, where, byHand string) []remedy.Remedy {
	params := map[string]string{"types": plan.Params["types"]}
	for _, s := range plan.Steps {
		if s.Policy.Bypass() {
			params["priority"] = fmt.Sprint(s.Policy.Priority)
		}
	}
	return []remedy.Remedy{
		{Action: string(plan.Action), Params: params, Title: plan.Title + "; " + where, Command: "ipsecdiag fix nd-bypass"},
		{Action: string(remedy.ActionNDByHand), Params: params, Title: byHand, Command: strings.Join(remedy.Advice(plan.Steps), "\n")},
	}
}

// bypassPlans are the bypasses planned for each host, as its policies were last:
// a finding that stays open is asked for its remedy every second.
type bypassPlans map[*analyze.Host]bypassPlan

type bypassPlan struct {
	generation uint64
	foreign    spd.Policy // counted in, see planBypass
	plan       remedy.Plan
	err        error
}

// planBypass plans the bypass from the observer's kernel. The policy of the
// case, where it is the other host's, is taken as one of this host: what beats
// it there should beat it here, as the same is to be run on both.
func (p *Pass) planBypass(c *ndCase) (remedy.Plan, error) {
	var foreign spd.Policy
	q := c.policy()
	if q != nil && (!p.Host.KernelSeen || !hasPolicy(p.Host.DB.Policies, q)) {
		foreign = *q
	}
	known, ok := p.plans[p.Host]
	if ok && known.generation == p.Host.Generation && remedy.SamePolicy(&known.foreign, &foreign) {
		return known.plan, known.err
	}
	k := analyze.KernelState{}
	if p.Host.KernelSeen {
		k = p.Host.Kernel()
	}
	if foreign.Selector.Src.IsValid() {
		k.Policies = append([]spd.Policy{foreign}, k.Policies...)
	}
	plan, err := remedy.NDBypass(&k, remedy.NDOptions{})
	if p.plans != nil {
		p.plans[p.Host] = bypassPlan{p.Host.Generation, foreign, plan, err}
	}
	return plan, err
}

func hasPolicy(all []spd.Policy, p *spd.Policy) bool {
	for i := range all {
		if remedy.SamePolicy(&all[i], p) {
			return true
		}
	}
	return false
}
