package remedy

import (
	"cmp"
	"slices"

	"ipsecdiag/analyze/spd"
)

// demotions are the numbers that are tried for the first policy of priority 0
// that is moved. A small one is taken only where others stand below a larger.
var demotions = []uint32{1000, 500, 200, 100, 50, 20, 10, 5, 4, 3, 2}

// demote gives policies of priority 0 that catch what is wanted a worse number,
// as nothing beats 0: a later policy of priority 0 loses, and sub policies do
// not help. Each keeps its place among those that it can be weighed against.
func (b *ndBypass) demote() error {
	for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
		for _, dir := range []spd.Direction{spd.In, spd.Fwd, spd.Out} {
			zero := b.zero(dir, t)
			if len(zero) == 0 {
				continue
			}
			if err := b.move(dir, t, zero); err != nil {
				return err
			}
		}
	}
	return nil
}

// zero returns the policies of priority 0 that catch something wanted which no
// older bypass of priority 0 lets pass.
func (b *ndBypass) zero(dir spd.Direction, t spd.PolicyType) map[spd.Identity]bool {
	out := map[spd.Identity]bool{}
	for i := range b.wants {
		w := &b.wants[i]
		if w.dir != dir {
			continue
		}
		for j := range b.db.Policies {
			p := &b.db.Policies[j]
			if p.Type == t && p.Priority == 0 && w.catches(p) && b.really(w, p) && !b.replaced(p) {
				out[p.Identity()] = true
			}
		}
	}
	return out
}

// move replaces the policies of zero, and those that must follow, the last one
// first: at no moment does one win that did not before.
func (b *ndBypass) move(dir spd.Direction, t spd.PolicyType, zero map[spd.Identity]bool) error {
	ranked := b.ranked(dir, t)
	var moves []move
	for _, first := range demotions {
		moves = shift(ranked, zero, first, b.welcome)
		if !pushes(moves) && b.movable(moves) == nil {
			break
		}
	}
	if err := b.movable(moves); err != nil {
		return err
	}
	b.noteMoves(moves)
	slices.Reverse(moves)
	for _, m := range moves {
		p, old := *m.policy, *m.policy
		p.Priority = m.to
		if err := b.add(Step{Op: ReplacePolicy, Policy: &p, FormerPolicy: &old, Why: "make room for a bypass that wins"}); err != nil {
			return err
		}
	}
	return nil
}

// noteMoves says what is moved, the first ones by name.
func (b *ndBypass) noteMoves(moves []move) {
	const most = 3
	for i, m := range moves {
		switch {
		case i == most:
			b.note("in all %d policies are moved, with dir %s and ptype %s, to the numbers %d to %d, in their order",
				len(moves), m.policy.Direction, m.policy.Type, moves[0].to, moves[len(moves)-1].to)
			return
		case m.policy.Priority == 0:
			b.note("nothing beats priority 0: this policy gets priority %d and becomes the youngest; it keeps its place among those "+
				"that it overlaps, and loses its counters: %s", m.to, m.policy)
		default:
			b.note("must stay behind one that is moved and gets priority %d: %s", m.to, m.policy)
		}
	}
}

// ranked returns the policies of one direction and type in the order in which
// the kernel weighs them: by priority, then by age.
func (b *ndBypass) ranked(dir spd.Direction, t spd.PolicyType) []*spd.Policy {
	var out []*spd.Policy
	for i := range b.db.Policies {
		if p := &b.db.Policies[i]; p.Direction == dir && p.Type == t && !p.Socket {
			c := *p
			out = append(out, &c)
		}
	}
	slices.SortStableFunc(out, func(x, y *spd.Policy) int { return cmp.Compare(x.Priority, y.Priority) })
	return out
}

// move is a policy and its new number.
type move struct {
	policy *spd.Policy
	to     uint32
}

// pushes reports whether a policy that has a priority has to move as well.
func pushes(moves []move) bool {
	return slices.ContainsFunc(moves, func(m move) bool { return m.policy.Priority > 0 })
}

// shift gives the policies of zero numbers from first on, and takes with them
// those that they would otherwise fall behind: of two that can be weighed
// against each other the one that won wins still, unless the other is welcome.
func shift(ranked []*spd.Policy, zero map[spd.Identity]bool, first uint32, welcome func(*spd.Policy) bool) []move {
	moved := make([]bool, len(ranked))
	for i, p := range ranked {
		moved[i] = zero[p.Identity()]
	}
	for {
		to := numbers(ranked, moved, first)
		if !follow(ranked, moved, to, welcome) {
			var out []move
			for i, p := range ranked {
				if moved[i] && to[i] != p.Priority {
					out = append(out, move{p, to[i]})
				}
			}
			return out
		}
	}
}

// numbers gives those that move numbers of their own, in their order.
func numbers(ranked []*spd.Policy, moved []bool, first uint32) []uint32 {
	to := make([]uint32, len(ranked))
	next := first
	for i, p := range ranked {
		to[i] = p.Priority
		if moved[i] {
			to[i] = max(next, p.Priority)
			next = to[i] + 1
		}
	}
	return to
}

// follow marks what would overtake one that moves; it reports whether it found
// any.
func follow(ranked []*spd.Policy, moved []bool, to []uint32, welcome func(*spd.Policy) bool) bool {
	found := false
	for i, p := range ranked {
		if !moved[i] {
			continue
		}
		for j := i + 1; j < len(ranked); j++ {
			if !moved[j] && ranked[j].Priority <= to[i] && contest(p, ranked[j]) && !welcome(ranked[j]) {
				moved[j], found = true, true
			}
		}
	}
	return found
}

// welcome reports whether a policy only lets pass what is wanted, such as
// libreswan's own bypass, or is to be replaced: it need not stay behind.
func (b *ndBypass) welcome(p *spd.Policy) bool {
	return b.replaced(p) || p.Priority > 0 && p.Bypass() && slices.ContainsFunc(b.wants, func(w wanted) bool {
		return w.dir == p.Direction && covers(&w.sel, &p.Selector)
	})
}

// movable refuses to move what a daemon owns.
func (b *ndBypass) movable(moves []move) error {
	for _, m := range moves {
		if kind := b.owner(m.policy); kind != noDaemon {
			return b.refuseOwned(m.policy, kind)
		}
	}
	return nil
}
