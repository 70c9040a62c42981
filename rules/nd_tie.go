package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"ipsecdiag/analyze/spd"
)

// ndOrder is how a kernel decides between policies of equal priority, one exact
// (for single hosts on both sides) and one not. Between two exact ones, and
// between two others, the older one wins everywhere.
type ndOrder uint8

const (
	orderUnknown ndOrder = iota
	orderByAge           // Linux 6.12 and later: the older one wins
	// orderByPlace: the exact one wins, unless the other stands first of all
	// inexact ones of its direction, type and if_id (pos of struct xfrm_policy;
	// measured on 6.1).
	orderByPlace
)

// orderOn returns how a kernel of that release decides.
func orderOn(release string) ndOrder {
	major, rest, _ := strings.Cut(release, ".")
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		rest = rest[:i]
	}
	m, err1 := strconv.Atoi(major)
	n, err2 := strconv.Atoi(rest)
	switch {
	case err1 != nil || err2 != nil:
		return orderUnknown
	case m > 6 || (m == 6 && n >= 12):
		return orderByAge
	case m == 6 && n == 1:
		return orderByPlace
	}
	return orderUnknown
}

// exact reports whether the kernel keeps p in its hash of exact selectors
// (policy_hash_bysel, with the default thresholds).
func exact(p *spd.Policy) bool {
	s := p.Selector
	return s.Src.IsValid() && s.Dst.IsValid() && s.Src.IsSingleIP() && s.Dst.IsSingleIP()
}

// inOrder returns the policies in an order in which the one that the kernel
// takes of several equal ones comes first, as Database.Lookup wants it.
func inOrder(policies []spd.Policy, o ndOrder) []spd.Policy {
	if o != orderByPlace {
		return policies
	}
	first := map[ndGroup]int{}
	for i := range policies {
		p := &policies[i]
		if exact(p) || p.Socket {
			continue
		}
		if j, ok := first[groupOf(p)]; !ok || p.Priority < policies[j].Priority {
			first[groupOf(p)] = i
		}
	}
	place := func(i int) int {
		p := &policies[i]
		switch j, ok := first[groupOf(p)]; {
		case ok && i == j:
			return 0
		case exact(p):
			return 1
		}
		return 2
	}
	order := make([]int, len(policies))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(place(a), place(b)) })
	sorted := make([]spd.Policy, 0, len(policies))
	for _, i := range order {
		sorted = append(sorted, policies[i])
	}
	return sorted
}

// ndGroup is what the kernel keeps one list of inexact policies for (struct
// xfrm_pol_inexact_key).
type ndGroup struct {
	dir    spd.Direction
	family spd.Family
	typ    spd.PolicyType
	ifID   uint32
}

func groupOf(p *spd.Policy) ndGroup {
	return ndGroup{p.Direction, p.Selector.Family, p.Type, p.IfID}
}

// kernelsDiffer reports whether a verdict rests on a tie in which kernels
// differ, and which this one decides in a way that is not known.
func kernelsDiffer(v *spd.Verdict, o ndOrder) bool {
	p := tiedWith(v)
	return p != nil && o == orderUnknown && exact(p) != exact(v.Tied)
}

// doubtful reports whether a verdict rests on a tie whose outcome is not sure:
// besides that, of two policies with the same prefixes one that was replaced may
// have kept its place, which no dump tells.
func doubtful(v *spd.Verdict, o ndOrder) bool {
	p := tiedWith(v)
	return kernelsDiffer(v, o) || (p != nil && p.Selector.Src == v.Tied.Selector.Src && p.Selector.Dst == v.Tied.Selector.Dst)
}

// tiedWith returns the policy that won over v.Tied, nil where there is no tie.
func tiedWith(v *spd.Verdict) *spd.Policy {
	if v.Tied == nil {
		return nil
	}
	for _, p := range v.Policies {
		if p.Type == v.Tied.Type && p.Priority == v.Tied.Priority {
			return p
		}
	}
	return nil
}

// tieWords say which of two policies of equal priority wins.
func tieWords(winner, loser *spd.Policy, o ndOrder) string {
	words := "both have the same priority, and "
	switch {
	case exact(winner) == exact(loser) || o == orderByAge:
		words += "the older one wins"
	case o == orderByPlace && exact(winner):
		words += "this kernel (Linux 6.1) takes the one for single hosts whatever the order: only the very first of all that are for more would come before it"
	case o == orderByPlace:
		words += "this kernel (Linux 6.1) takes the very first of those that are for more than single hosts, whatever the order"
	default:
		words += "the older one wins on Linux 6.12 and later, while earlier kernels may decide otherwise"
	}
	if winner.Priority == setkeyPriority {
		words += " (2147483648 is what setkey gives every policy, so that the order of its lines is their age)"
	}
	return words
}

// setkeyPriority is what setkey gives every policy without a priority of its
// own.
const setkeyPriority = 0x80000000
