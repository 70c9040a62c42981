package rules

import "ipsecdiag/analyze/spd"

// doubtful reports whether a verdict rests on which of two policies of equal
// priority wins, and that is not sure.
func doubtful(v *spd.Verdict) bool { return v.Tied != nil }

// kernelsDiffer reports whether it rests on a tie that kernels decide
// differently, and what this one does is not sure.
func kernelsDiffer(v *spd.Verdict) bool {
	if v.Tied == nil {
		return false
	}
	for _, p := range v.Policies {
		if p.Type == v.Tied.Type && p.Priority == v.Tied.Priority {
			return p.Exact() != v.Tied.Exact()
		}
	}
	return false
}

// tieWords say which of two policies of equal priority wins.
func tieWords(winner, loser *spd.Policy, o spd.Order) string {
	words := "both have the same priority, and "
	switch {
	case winner.Exact() == loser.Exact() || o == spd.OrderByAge:
		words += "the older one wins"
	case o == spd.OrderByPlace && winner.Exact():
		words += "this kernel (Linux 6.1) takes the one for single hosts whatever the order: only the very first of all that are for more would come before it"
	case o == spd.OrderByPlace:
		words += "this kernel (Linux 6.1) takes the very first of those that are for more than single hosts, whatever the order"
	default:
		words += "the older one wins on Linux 6.12 and later, while earlier kernels may decide otherwise"
	}
	switch {
	case winner.Priority != setkeyPriority:
		return words
	case o == spd.OrderByPlace && winner.Exact() != loser.Exact():
		return words + " (2147483648 is what setkey gives every policy)"
	}
	return words + " (2147483648 is what setkey gives every policy, so that the order of its lines is their age)"
}

// setkeyPriority is what setkey gives every policy without a priority of its
// own.
const setkeyPriority = 0x80000000
