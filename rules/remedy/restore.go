package remedy

import (
	"slices"

	"ipsecdiag/analyze/spd"
)

// PolicyName is what names a policy, as spd.Identity does, with stable names in
// JSON.
type PolicyName struct {
	Selector  spd.Selector   `json:"selector"`
	Direction spd.Direction  `json:"dir"`
	Type      spd.PolicyType `json:"type,omitempty"`
	Mark      spd.Mark       `json:"mark,omitzero"`
	IfID      uint32         `json:"if_id,omitempty"`
}

// NameOf returns p's name.
func NameOf(p *spd.Policy) PolicyName { return PolicyName(p.Identity()) }

// Restore returns the steps that give the policies that stand the order of age
// that they had: between policies of equal priority it decides, and dumps show
// it. A policy is made the youngest by replacing it with itself; as few as
// possible are. Policies that order does not name, and those that keep holds
// back, are left alone.
func Restore(db *spd.Database, order []PolicyName, keep func(*spd.Policy) bool) []Step {
	now := map[PolicyName]int{}
	for i := range db.Policies {
		if p := &db.Policies[i]; !p.Socket && (keep == nil || !keep(p)) {
			now[NameOf(p)] = i
		}
	}
	wanted := slices.DeleteFunc(slices.Clone(order), func(n PolicyName) bool { _, ok := now[n]; return !ok })
	stays := 0
	for stays < len(wanted) && (stays == 0 || now[wanted[stays-1]] < now[wanted[stays]]) {
		stays++
	}
	var steps []Step
	for _, n := range wanted[stays:] {
		p := db.Policies[now[n]]
		steps = append(steps, Step{Op: ReplacePolicy, Policy: &p, FormerPolicy: &p, Why: "put the policies back into their order of age"})
	}
	return steps
}
