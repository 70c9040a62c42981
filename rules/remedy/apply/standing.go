package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// standing says what there is in the kernel where a step's object belongs.
type standing uint8

const (
	asBefore standing = iota // what was there before the step, nothing where nothing was
	asMade                   // what the step makes, and nobody has made it anew
	missing                  // nothing, where the step makes or replaces something
	changed                  // something else
)

// found is a standing with what stands, for the one who is to act on it.
type found struct {
	standing
	policy    *spd.Policy
	sa        *spd.SA
	neighbour *analyze.Neighbor
	text      string // what stands, in words
}

// look finds what stands where step s belongs. st says what is known of the
// step's own object; it is nil before the step.
func look(ctx context.Context, k Kernel, s *remedy.Step, st *StepState) (found, error) {
	switch s.Op {
	case remedy.AddPolicy, remedy.ReplacePolicy:
		return lookPolicy(ctx, k, s, st)
	case remedy.AddSA:
		return lookSA(ctx, k, s, st)
	case remedy.SetNeighbour:
		return lookNeighbour(ctx, k, s)
	case remedy.SetSysctl:
		return lookSysctl(k, s)
	}
	return found{}, fmt.Errorf("%s is no step of a plan", s.Op)
}

func lookPolicy(ctx context.Context, k Kernel, s *remedy.Step, st *StepState) (found, error) {
	policies, err := k.Policies(ctx)
	if err != nil {
		return found{}, err
	}
	id, adds := s.Policy.Identity(), s.Op == remedy.AddPolicy
	i := slices.IndexFunc(policies, func(p spd.Policy) bool { return !p.Socket && p.Identity() == id })
	switch {
	case i < 0 && adds && st == nil:
		return found{standing: asBefore}, nil
	case i < 0:
		return found{standing: missing, text: "no such policy"}, nil
	}
	p := &policies[i]
	f := found{standing: changed, policy: p, text: "policy " + p.String()}
	switch {
	case !adds && remedy.SamePolicy(p, s.FormerPolicy) && sameIndex(p, s.FormerPolicy):
		f.standing = asBefore
	case !remedy.SamePolicy(p, s.Policy):
	case adds && st != nil && (st.Index == 0 || st.Index == p.Index):
		f.standing = asMade
	case !adds && sameIndex(p, s.FormerPolicy): // a replacement keeps the index
		f.standing = asMade
	}
	return f, nil
}

// sameIndex compares what the kernel gave to two policies; what the plan itself
// makes has none yet.
func sameIndex(p, former *spd.Policy) bool { return former.Index == 0 || p.Index == former.Index }

// clockSlack is by how much an SA's time of birth, in whole seconds, may lie
// before the journal's record of the intent.
const clockSlack = 2 * time.Second

func lookSA(ctx context.Context, k Kernel, s *remedy.Step, st *StepState) (found, error) {
	sas, err := k.SAs(ctx)
	if err != nil {
		return found{}, err
	}
	i := slices.IndexFunc(sas, func(o spd.SA) bool { return o.Key() == s.SA.Key() })
	switch {
	case i < 0 && st == nil:
		return found{standing: asBefore}, nil
	case i < 0:
		return found{standing: missing, text: "no such SA"}, nil
	}
	f := found{standing: changed, sa: &sas[i], text: "SA " + sas[i].String()}
	if st != nil && remedy.SameSA(&sas[i], s.SA) && st.made(sas[i].Used.AddTime) {
		f.standing = asMade
	}
	return f, nil
}

// made reports whether an SA of that birth may be the step's.
func (st *StepState) made(addTime uint64) bool {
	if st.AddTime != 0 {
		return addTime == st.AddTime
	}
	return int64(addTime) >= st.Intent.Add(-clockSlack).Unix()
}

func lookNeighbour(ctx context.Context, k Kernel, s *remedy.Step) (found, error) {
	all, err := k.Neighbors(ctx)
	if err != nil {
		return found{}, err
	}
	i := slices.IndexFunc(all, func(n analyze.Neighbor) bool {
		return n.Addr == s.Neighbour.Addr && n.IfIndex == s.Neighbour.IfIndex
	})
	if i < 0 || all[i].LinkAddr == "" { // unresolved: nothing that anybody has set
		if s.FormerNeighbour == nil {
			return found{standing: asBefore}, nil
		}
		return found{standing: missing, text: "no such entry"}, nil
	}
	n := &all[i]
	f := found{standing: changed, neighbour: n, text: fmt.Sprintf("neighbour %s lladdr %s %s", n.Addr, n.LinkAddr, n.State)}
	switch {
	case n.LinkAddr == s.Neighbour.LinkAddr && n.State == s.Neighbour.State:
		f.standing = asMade
	case s.FormerNeighbour != nil && n.LinkAddr == s.FormerNeighbour.LinkAddr && fixed(n.State) == fixed(s.FormerNeighbour.State):
		f.standing = asBefore
	case s.FormerNeighbour == nil && !fixed(n.State): // learnt meanwhile: nobody has set it
		f.standing = asBefore
	}
	return f, nil
}

// fixed reports whether an entry in that state stays until somebody takes it
// away: the others come and go by neighbour discovery.
func fixed(state string) bool { return state == "PERMANENT" || state == "NOARP" }

func lookSysctl(k Kernel, s *remedy.Step) (found, error) {
	v, err := k.Sysctl(s.Sysctl.Name)
	if err != nil {
		return found{}, err
	}
	f := found{standing: changed, text: s.Sysctl.Name + " = " + v}
	switch v {
	case s.Sysctl.Former:
		f.standing = asBefore
	case s.Sysctl.Value:
		f.standing = asMade
	}
	return f, nil
}
