package spd

import (
	"cmp"
	"slices"
)

// Explanation is a verdict with the reasoning that leads to it.
type Explanation struct {
	Direction Direction
	Flow      Flow
	Order     Order // Database.Order
	Verdict   Verdict
	// SADUnknown is to be set where the SAs are not known, as when only a text
	// of policies was read: a missing SA is no claim then.
	SADUnknown bool
	// Weighed are all policies that match, in the order in which the kernel
	// weighs them: sub before main, then by priority, then the older first.
	Weighed []Weighed
	// Near are policies that would let the packet pass if they matched, those
	// that differ least first; only where it dies.
	Near []NearMiss
	// Sockets are policies of single sockets that match. To that socket's own
	// packets they come before all others.
	Sockets []*Policy
}

// Standing is what became of a policy that matches.
type Standing uint8

// The standings.
const (
	Wins     Standing = iota // of its type, and the kernel acts on it
	Loses                    // to another of its type
	NotAsked                 // a sub policy blocks before main policies are asked
)

// Criterion is what decides between two policies that match.
type Criterion uint8

// The criteria, in the kernel's order.
const (
	Alone      Criterion = iota // nothing to decide: it is the only one of its type
	ByType                      // sub comes before main
	ByPriority                  // the smaller number wins
	ByAge                       // of equal priorities the older wins; kernels differ
	ByPlace                     // of equal priorities one for single hosts, or the first that is not, wins (OrderByPlace)
)

var (
	standingNames  = names[Standing]{Wins: "wins", Loses: "loses", NotAsked: "not asked"}
	criterionNames = names[Criterion]{Alone: "alone", ByType: "type", ByPriority: "priority", ByAge: "age", ByPlace: "place"}
)

// String returns "wins", "loses" or "not asked".
func (s Standing) String() string { return standingNames.name(s) }

// String returns "alone", "type", "priority", "age" or "place".
func (c Criterion) String() string { return criterionNames.name(c) }

// Weighed is a policy that matches a packet.
type Weighed struct {
	Policy   *Policy
	Standing Standing
	// By is what decided between the policy and Other: for the winner the next
	// one of its type, else the one that it loses to.
	By    Criterion
	Other *Policy
	// Effect is what would become of the packet if the policy decided alone.
	Effect Verdict
	// Depends is set where another kernel, or the history of the policies,
	// may let Other decide, with another result.
	Depends bool
}

// Explain is Lookup with the reasoning. It walks over all policies.
func (db *Database) Explain(dir Direction, f Flow) Explanation {
	e := Explanation{Direction: dir, Flow: f, Order: db.Order, Verdict: db.Lookup(dir, f)}
	if e.Verdict.Exempt == NotExempt {
		db.weigh(&e)
	}
	if e.Verdict.Dies() {
		e.Near = db.near(dir, f)
	}
	for i := range db.Policies {
		if p := &db.Policies[i]; p.Socket && p.Direction == dir && p.Matches(f) {
			e.Sockets = append(e.Sockets, p)
		}
	}
	return e
}

func (db *Database) weigh(e *Explanation) {
	sub := db.matching(e.Direction, Sub, e.Flow)
	mainDir := e.Direction
	if len(sub) > 0 {
		mainDir = afterSub(e.Direction)
	}
	main := db.matching(mainDir, Main, e.Flow)
	db.rank(e, sub)
	if len(sub) == 0 || sub[0].Action == Allow {
		db.rank(e, main)
		return
	}
	for _, p := range main {
		e.Weighed = append(e.Weighed, Weighed{
			Policy: p, Standing: NotAsked, By: ByType, Other: sub[0], Effect: db.effect(e, p),
		})
	}
}

// matching returns the policies of one type that match, as the kernel weighs
// them.
func (db *Database) matching(dir Direction, t PolicyType, f Flow) (out []*Policy) {
	for i := range db.Policies {
		if p := &db.Policies[i]; p.Direction == dir && p.Type == t && !p.Socket && p.Matches(f) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *Policy) int {
		if a.Priority != b.Priority || db.Order != OrderByPlace {
			return cmp.Compare(a.Priority, b.Priority)
		}
		return cmp.Compare(db.place(a), db.place(b))
	})
	return out
}

// rank adds the policies of one type, the winner first.
func (db *Database) rank(e *Explanation, ps []*Policy) {
	for i, p := range ps {
		w := Weighed{Policy: p, Effect: db.effect(e, p)}
		switch {
		case i > 0:
			w.Standing, w.Other = Loses, ps[0]
		case len(ps) > 1:
			w.Other = ps[1]
		}
		switch {
		case w.Other == nil:
		case w.Other.Priority != p.Priority:
			w.By = ByPriority
		default:
			w.By = db.criterion(p, w.Other)
			w.Depends = db.depends(p, w.Other)
		}
		e.Weighed = append(e.Weighed, w)
	}
	db.dependWinner(e, ps)
}

// criterion is what decides between two of equal priority.
func (db *Database) criterion(p, o *Policy) Criterion {
	if db.Order == OrderByPlace && p.Exact() != o.Exact() {
		return ByPlace
	}
	return ByAge
}

// dependWinner marks the winner where any other of equal priority, not just the
// next, would do something else.
func (db *Database) dependWinner(e *Explanation, ps []*Policy) {
	if len(ps) == 0 {
		return
	}
	w := &e.Weighed[len(e.Weighed)-len(ps)]
	for _, o := range ps[1:] {
		if o.Priority == w.Policy.Priority && db.depends(w.Policy, o) && !w.Depends {
			w.Depends, w.Other = true, o
		}
	}
}

// effect is what p would do alone.
func (db *Database) effect(e *Explanation, p *Policy) Verdict {
	v := Verdict{Policies: []*Policy{p}}
	db.decide(&v, e.Direction, e.Flow)
	return v
}
