package spd

import "slices"

// Decision is what happens to a packet.
type Decision uint8

// The decisions, in the words of RFC 4301 section 4.4.1.
const (
	Clear   Decision = iota // BYPASS: no policy, or one without a required template
	Protect                 // PROTECT: an SA is required
	Discard                 // DISCARD: a policy or the default blocks it
)

var decisionNames = names[Decision]{Clear: "clear", Protect: "protect", Discard: "block"}

// String returns "clear", "protect" or "block".
func (d Decision) String() string { return decisionNames.name(d) }

// Need is one required template with the SA that satisfies it, nil where none
// does.
type Need struct {
	Policy   *Policy
	Template *Template
	SA       *SA
	// Stray is, where SA is nil, an outbound SA that would satisfy the template
	// but for its source. The kernel's second look, for SAs of any source, does
	// not compare it, and finds such an SA where both sources fall into one
	// bucket of its hash table: by chance, then (xfrm_state_find, h_wildcard;
	// seen on 6.1).
	Stray *SA
}

// Verdict is the answer to a lookup.
type Verdict struct {
	Decision Decision
	// Policies that decided: the sub policy first where there is one, then the
	// main policy. Empty where the default decided.
	Policies []*Policy
	// Needs are the templates that the packet must go through, on the way out
	// optional ones too where an SA for them exists.
	Needs []Need
	// Tied is a policy of equal priority with another result that might have
	// won: on a kernel that orders exact and inexact selectors differently, where
	// Database.Order does not tell, or because the winner was replaced.
	Tied *Policy
	// Exempt says why no policy was asked.
	Exempt Exemption
}

// MissingSA returns the first required template that no SA satisfies, or nil.
func (v *Verdict) MissingSA() *Need {
	for i := range v.Needs {
		if v.Needs[i].SA == nil {
			return &v.Needs[i]
		}
	}
	return nil
}

// Dies reports whether a packet with this verdict is lost: blocked, or to be
// protected by an SA that does not exist.
func (v *Verdict) Dies() bool {
	return v.Decision == Discard || (v.Decision == Protect && v.MissingSA() != nil)
}

// Lookup says what the kernel does with a packet that needs an answer in that
// direction (xfrm_lookup for out, __xfrm_policy_check for in and fwd, where
// Protect means that a packet arriving in the clear is dropped). Socket
// policies are not consulted: they concern single sockets.
func (db *Database) Lookup(dir Direction, f Flow) Verdict {
	v := Verdict{Exempt: db.exemption(dir, f)}
	if v.Exempt == NotExempt {
		db.choose(&v, dir, f)
		db.decide(&v, dir, f)
	}
	if len(v.Policies) == 0 && db.Defaults.Action(dir) == Block && !db.sparedByDefault(&v, dir, f) {
		v.Decision = Discard
	}
	return v
}

// choose finds the policies that decide (xfrm_policy_lookup,
// xfrm_expand_policies).
func (db *Database) choose(v *Verdict, dir Direction, f Flow) {
	first, tied := db.winner(dir, f, Sub)
	if first == nil {
		first, tied = db.winner(dir, f, Main)
	}
	if first == nil {
		return
	}
	v.Tied = tied
	v.Policies = append(v.Policies, first)
	if first.Type != Sub || first.Action != Allow {
		return
	}
	if second, tied := db.winner(afterSub(dir), f, Main); second != nil {
		v.Policies = append(v.Policies, second)
		if v.Tied == nil {
			v.Tied = tied
		}
	}
}

// afterSub returns the direction in which the main policies are asked after a
// sub policy: for forwarded packets it is In, not Fwd (__xfrm_policy_check; on
// 6.18 a main `in` block stops what a sub `fwd` policy let pass, a main `fwd`
// block does not).
func afterSub(dir Direction) Direction {
	if dir == Out {
		return Out
	}
	return In
}

func (db *Database) decide(v *Verdict, dir Direction, f Flow) {
	for _, p := range v.Policies {
		if p.Action == Block {
			v.Decision, v.Needs = Discard, nil
			return
		}
		db.resolve(v, p, dir, f)
	}
}

// winner returns the policy of one type that wins for f, and a policy of equal
// priority that would give another result and might win, if there is one.
func (db *Database) winner(dir Direction, f Flow, t PolicyType) (best, tied *Policy) {
	if best, tied = db.oldest(dir, f, t); tied != nil && db.Order != OrderUnknown {
		return db.settle(best, dir, f)
	}
	return best, tied
}

// oldest returns the policy that wins by priority and age, and the next of equal
// priority that would give another result.
func (db *Database) oldest(dir Direction, f Flow, t PolicyType) (best, tied *Policy) {
	if x := db.policyIndex(); x != nil {
		return x.winner(db, policyGroup{dir, t, f.IfID}, f)
	}
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Type != t || p.Direction != dir || p.Socket || !p.Matches(f) {
			continue
		}
		switch {
		case best == nil || p.Priority < best.Priority:
			best, tied = p, nil
		case p.Priority == best.Priority && tied == nil && !sameEffect(best, p):
			tied = p
		}
	}
	return best, tied
}

func sameEffect(a, b *Policy) bool {
	return a.Action == b.Action && slices.Equal(a.Templates, b.Templates)
}
