package rules

import (
	"cmp"
	"slices"

	"ipsecdiag/analyze"
)

// maxFindings bounds the findings of one run unless Engine.MaxFindings does. Beyond
// it those that matter least are forgotten, and counted in State.Evicted.
const maxFindings = 10_000

// limit is how many findings may be followed.
func (e *Engine) limit() int {
	if e.MaxFindings > 0 {
		return e.MaxFindings
	}
	return maxFindings
}

// makeRoom forgets the tenth of the findings that matters least, of equals those
// that were found first.
func (e *Engine) makeRoom() {
	weights := make(map[*track]int, len(e.order))
	for _, t := range e.order {
		weights[t] = e.weight(t)
	}
	least := slices.Clone(e.order)
	slices.SortStableFunc(least, func(a, b *track) int { return cmp.Compare(weights[a], weights[b]) })
	gone := map[*track]bool{}
	for _, t := range least[:max(len(least)/10, 1)] {
		gone[t] = true
		delete(e.tracks, t.id)
		e.State.Evict("findings")
	}
	forgotten := func(t *track) bool { return gone[t] }
	e.order = slices.DeleteFunc(e.order, forgotten)
	e.live = slices.DeleteFunc(e.live, forgotten)
	for rule, list := range e.byRule {
		e.byRule[rule] = slices.DeleteFunc(list, forgotten)
	}
	e.retell()
}

// weight tells how much a finding matters: more where it is about a pair that is no
// stranger, or about no pair, and more while it is open.
func (e *Engine) weight(t *track) (w int) {
	stranger := len(t.parts) > 0
	for _, q := range t.parts {
		pair := q.finding.Pair
		stranger = stranger && len(pair) == 2 && !e.State.Familiar(pair[0], pair[1])
		if q.state == Open && !t.withdrawn {
			w = 1
		}
	}
	if !stranger {
		w += 2
	}
	return w
}

// tell notes that something was found by a pair. Where one finding is told by pair
// after pair, those that it is not told by any more are let go of now and then.
func (e *Engine) tell(k analyze.PairKey) {
	e.told[k] = true
	if len(e.told) > max(e.toldMost, e.limit()) {
		e.retell()
		e.toldMost = 2 * len(e.told)
	}
}

// retell finds out anew by which pairs what is followed was found.
func (e *Engine) retell() {
	clear(e.told)
	for _, t := range e.order {
		for _, q := range t.parts {
			if q.by != (analyze.PairKey{}) {
				e.told[q.by] = true
			}
		}
	}
}
