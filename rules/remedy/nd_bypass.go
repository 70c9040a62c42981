package remedy

import (
	"fmt"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// NDBypass plans policies that let neighbour discovery pass in the clear. What
// stands and does it already is left alone; what catches it at priority 0, which
// nothing beats, is replaced at a worse number, unless a daemon owns it.
//
// Errors are *Refusal.
func NDBypass(k *analyze.KernelState, o NDOptions) (Plan, error) { return ndBypassBefore(k, o, nil) }

// ndBypassBefore plans a bypass that beats policies that are still to come, too.
func ndBypassBefore(k *analyze.KernelState, o NDOptions, coming []spd.Policy) (Plan, error) {
	b := &ndBypass{host: newHost(k), o: o, coming: coming}
	if err := b.readable(); err != nil {
		return Plan{}, err
	}
	if err := o.check(); err != nil {
		return Plan{}, err
	}
	for _, p := range o.Peers {
		if b.owns(p) {
			return Plan{}, refuse(PeerIsLocal, "the peer %s is this host itself", p)
		}
	}
	b.plan = Plan{Action: ActionNDBypass, Params: o.params(), Title: o.title(), Steps: []Step{}}
	b.db = b.clone()
	b.wants = o.wants(b.proxies())
	if err := b.demote(); err != nil {
		return Plan{}, err
	}
	if err := b.bypass(); err != nil {
		return Plan{}, err
	}
	return b.finish()
}

// ndBypass is one planning.
type ndBypass struct {
	*host
	o        NDOptions
	wants    []wanted
	plan     Plan
	db       spd.Database // as the steps so far leave it
	coming   []spd.Policy
	priority uint32 // of the bypass
}

// add appends a step and carries it out on the model.
func (b *ndBypass) add(s Step) error {
	if err := model(&b.db, &s); err != nil {
		return err
	}
	s.Device = b.device(s.Policy.Selector.IfIndex)
	b.plan.Steps = append(b.plan.Steps, s)
	return nil
}

func (b *ndBypass) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(b.plan.Notes, s) {
		b.plan.Notes = append(b.plan.Notes, s)
	}
}

// bypass adds what is wanted and not there.
func (b *ndBypass) bypass() error {
	b.priority = b.choose()
	for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
		for i := range b.wants {
			w := &b.wants[i]
			old := findPolicy(&b.db, w.identity(t))
			catches := old != nil && !old.Bypass() && b.replaced(old) // and stands in the place of the bypass
			if t == spd.Sub && !catches && !b.caughtBy(w, t) {
				continue
			}
			if p := b.covered(w, t); p != nil && !catches {
				b.note("stands already: %s", p)
				continue
			}
			if err := b.put(w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// put adds the bypass for w. One selector stands only once: another policy that
// has it is replaced, or, where it is a daemon's, evaded by naming the code as
// well, which is always 0 (RFC 4861 section 4).
func (b *ndBypass) put(w *wanted, t spd.PolicyType) error {
	p := spd.Policy{Selector: w.sel, Direction: w.dir, Type: t, Action: spd.Allow, Priority: b.priority}
	former := findPolicy(&b.db, p.Identity())
	if former != nil && b.owner(former) != noDaemon && w.sel.SrcPortMask != 0 && p.Selector.DstPortMask == 0 {
		p.Selector.DstPortMask = 0xffff
		former = findPolicy(&b.db, p.Identity())
	}
	why := fmt.Sprintf("%s pass%s", typeWords(w.sel), dirWords(w.dir))
	if former == nil {
		return b.add(Step{Op: AddPolicy, Policy: &p, Why: why})
	}
	if kind := b.owner(former); kind != noDaemon {
		return b.refuseOwned(former, kind)
	}
	old := *former
	b.note("replaces a policy with the same selector, which fix undo puts back: %s", &old)
	return b.add(Step{Op: ReplacePolicy, Policy: &p, FormerPolicy: &old, Why: why})
}

// finish looks whether the plan does what it promises, and says what it costs.
func (b *ndBypass) finish() (Plan, error) {
	then := b.db
	then.Policies = slices.Concat(b.db.Policies, b.coming)
	if left := b.caught(&then, b.o); len(left) > 0 {
		return Plan{}, refuse(NoRoom, "no priority lets neighbour discovery pass: %s", &left[0])
	}
	if b.plan.Empty() {
		b.plan.Notes = append([]string{nothing + "neighbour discovery passes already"}, b.plan.Notes...)
		return b.plan, nil
	}
	b.costs()
	if slices.ContainsFunc(b.plan.Steps, func(s Step) bool { return s.Op == ReplacePolicy }) {
		b.plan.Order = names(b.KernelState.Policies)
	}
	return b.plan, nil
}

// names returns the names of the policies, the oldest first.
func names(policies []spd.Policy) []PolicyName {
	var out []PolicyName
	for i := range policies {
		if p := &policies[i]; !p.Socket {
			out = append(out, NameOf(p))
		}
	}
	return out
}
