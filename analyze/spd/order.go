package spd

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Order is how a kernel decides between policies of equal priority that match.
// Between two that are exact (for single hosts on both sides), and between two
// that are not, the older one wins on every kernel.
type Order uint8

// The orders.
const (
	// OrderUnknown takes the older one for the winner, and Verdict.Tied warns
	// where some kernel decides otherwise.
	OrderUnknown Order = iota
	// OrderByAge is that of Linux 6.12 and later: the older one wins.
	OrderByAge
	// OrderByPlace is that of Linux 6.1: an exact one wins over one that is
	// not, whatever their age, unless the latter stands first, by priority and
	// age, of all that are not exact in its direction, those of the other
	// family, of sub and with an if_id included (struct xfrm_policy's pos is 0
	// there, as it is for exact ones; __xfrm_policy_eval_candidates). Places are
	// given when a policy is added, and not when one is deleted: the first may
	// have a worse one, and Verdict.Tied warns of that.
	OrderByPlace
)

// OrderOn returns the order of a kernel of that release (uname -r), unknown
// where it was neither read nor measured.
func OrderOn(release string) Order {
	major, rest, _ := strings.Cut(release, ".")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		rest = rest[:i]
	}
	m, err1 := strconv.Atoi(major)
	n, err2 := strconv.Atoi(rest)
	switch {
	case err1 != nil || err2 != nil:
		return OrderUnknown
	case m > 6 || (m == 6 && n >= 12):
		return OrderByAge
	case m == 6 && n == 1:
		return OrderByPlace
	}
	return OrderUnknown
}

// Exact reports whether the kernel finds p by a hash of its addresses, with its
// usual thresholds (policy_hash_bysel; `ip xfrm policy set hthresh4 32 32
// hthresh6 128 128`).
func (p *Policy) Exact() bool { return p.Selector.Src.IsSingleIP() && p.Selector.Dst.IsSingleIP() }

// settle decides between the oldest policy that matches and others of its
// priority as this kernel does. A tie is left only where the outcome is not sure
// all the same, because no dump tells of the past: a policy that was replaced
// may have kept its place before those that stand in one list with it, and
// with OrderByPlace the first may not have the first place.
func (db *Database) settle(best *Policy, dir Direction, f Flow) (winner, tied *Policy) {
	equals := db.equals(best, dir, f)
	winner = best
	if db.Order == OrderByPlace {
		winner = slices.MinFunc(equals, func(a, b *Policy) int { return cmp.Compare(db.place(a), db.place(b)) })
	}
	for _, p := range equals {
		if db.depends(winner, p) {
			return winner, p
		}
	}
	return winner, nil
}

// equals returns the policies that match with best's priority and type, the
// oldest first.
func (db *Database) equals(best *Policy, dir Direction, f Flow) (out []*Policy) {
	if x := db.policyIndex(); x != nil {
		return x.equals(db, best, f)
	}
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Priority == best.Priority && p.Type == best.Type && p.Direction == dir && !p.Socket && p.Matches(f) {
			out = append(out, p)
		}
	}
	return out
}

// place orders policies of equal priority with OrderByPlace.
func (db *Database) place(p *Policy) int {
	switch {
	case p.Exact():
		return 1
	case db.leads(p):
		return 0
	}
	return 2
}

// leads reports whether p stands first of all policies that are not exact in its
// direction (net->xfrm.policy_inexact).
func (db *Database) leads(p *Policy) bool {
	if x := db.policyIndex(); x != nil {
		return x.leader(db, p.Direction) == p
	}
	return db.leader(p.Direction) == p
}

func (db *Database) leader(dir Direction) (first *Policy) {
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Direction == dir && !p.Socket && !p.Exact() && (first == nil || p.Priority < first.Priority) {
			first = p
		}
	}
	return first
}

// depends reports whether it is not sure that p wins over o, which has the same
// priority, and it matters.
func (db *Database) depends(p, o *Policy) bool {
	if sameEffect(p, o) {
		return false
	}
	return db.Order == OrderUnknown || oneList(p, o) || (db.Order == OrderByPlace && p.Exact() != o.Exact() && (db.leads(p) || db.leads(o)))
}

// oneList reports whether the kernel keeps two policies in one list
// (xfrm_policy_inexact_insert, INEXACT_PREFIXLEN_IPV4 and IPV6).
func oneList(a, b *Policy) bool {
	return (a.Selector.Src == b.Selector.Src && a.Selector.Dst == b.Selector.Dst) || (short(a) && short(b))
}

// short reports whether both prefixes are too short for the kernel's trees.
func short(p *Policy) bool {
	least := 48
	if p.Selector.Family == IPv4 {
		least = 16
	}
	return p.Selector.Src.Bits() < least && p.Selector.Dst.Bits() < least
}
