package remedy

import (
	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Op is what a step does to the kernel.
type Op string

// The operations, with what they do on Linux.
const (
	AddPolicy     Op = "add-policy"     // XFRM_MSG_NEWPOLICY: refused with EEXIST where its identity stands already
	ReplacePolicy Op = "replace-policy" // XFRM_MSG_UPDPOLICY: atomic, makes it the youngest
	DeletePolicy  Op = "delete-policy"  // XFRM_MSG_DELPOLICY by identity
	AddSA         Op = "add-sa"         // XFRM_MSG_NEWSA: refused with EEXIST where its key stands already
	DeleteSA      Op = "delete-sa"      // XFRM_MSG_DELSA; only ever the inverse of AddSA
	SetNeighbour  Op = "set-neighbour"  // RTM_NEWNEIGH with NLM_F_CREATE|NLM_F_REPLACE
	DelNeighbour  Op = "del-neighbour"  // RTM_DELNEIGH
	SetSysctl     Op = "set-sysctl"     // write below /proc/sys
)

// Step is one change of the kernel. Op says which of the other fields are set.
//
// A step names its object exactly: a policy by spd.Policy.Identity, an SA by
// spd.SA.Key, a neighbour by address and interface, a setting by name. Whether
// an object that stands is the one that the step made is a question of its
// content as well (SamePolicy, SameSA), and of the index that the kernel gave
// to a policy, which only the one who applied the step knows.
type Step struct {
	Op  Op     `json:"op"`
	Why string `json:"why,omitempty"` // what it is for, a phrase

	// Policy is what AddPolicy and ReplacePolicy put there and DeletePolicy
	// removes. Its index and times are of no account.
	Policy *spd.Policy `json:"policy,omitempty"`
	// FormerPolicy is what ReplacePolicy replaces, with its index.
	FormerPolicy *spd.Policy `json:"former_policy,omitempty"`

	SA *spd.SA `json:"sa,omitempty"`
	// Keys says which keys AddSA needs; the keys themselves are in a Keyring.
	Keys *SAKeys `json:"keys,omitempty"`

	Neighbour *analyze.Neighbor `json:"neighbour,omitempty"`
	// FormerNeighbour is the entry that SetNeighbour replaces; nil where there
	// was none with a link-layer address.
	FormerNeighbour *analyze.Neighbor `json:"former_neighbour,omitempty"`

	Sysctl *Sysctl `json:"sysctl,omitempty"`

	// Device is the name of the interface that the object's index means, for
	// people and scripts; empty where there is none.
	Device string `json:"dev,omitempty"`
}

// Sysctl is a kernel setting by its full name, such as
// net.core.xfrm_larval_drop.
type Sysctl struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Former string `json:"former"` // what stood there before
}

// Inverse returns the step that takes s back. There is none for DeleteSA, which
// is an inverse itself: nobody has the keys.
func (s Step) Inverse() Step {
	inv := s
	inv.Why = "take back: " + s.Why
	switch s.Op {
	case AddPolicy:
		inv.Op = DeletePolicy
	case DeletePolicy:
		inv.Op = AddPolicy
	case ReplacePolicy:
		inv.Policy, inv.FormerPolicy = s.FormerPolicy, s.Policy
	case AddSA:
		inv.Op, inv.Keys = DeleteSA, nil
	case SetNeighbour:
		inv.Neighbour, inv.FormerNeighbour = s.FormerNeighbour, s.Neighbour
		if s.FormerNeighbour == nil {
			inv.Op, inv.Neighbour, inv.FormerNeighbour = DelNeighbour, s.Neighbour, nil
		}
	case SetSysctl:
		inv.Sysctl = &Sysctl{Name: s.Sysctl.Name, Value: s.Sysctl.Former, Former: s.Sysctl.Value}
	}
	return inv
}
