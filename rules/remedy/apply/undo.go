package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// Outcome is what became of a step when it was to be taken back.
type Outcome string

// The outcomes.
const (
	TakenBack Outcome = "taken-back" // what was there before is there again
	WasBack   Outcome = "was-back"   // it was there already
	WasGone   Outcome = "was-gone"   // what the step had made, somebody has deleted
	LeftAlone Outcome = "left-alone" // somebody has changed it since
)

// Report says what undoing has done.
type Report struct {
	Entry *Entry
	// Left names what somebody else has changed since, and what stands there now.
	Left []string
	// Gone names what somebody else has deleted.
	Gone []string
}

// Errors of Undo and Confirm.
var (
	ErrUndone    = errors.New("it was undone already")
	ErrRebooted  = errors.New("the host was booted anew since, which has removed all of it")
	ErrElsewhere = errors.New("it was applied in another network namespace")
	ErrNotAsked  = errors.New("it does not wait for a confirmation")
)

// Undo takes an application back: it deletes what that has added and restores
// what that has replaced, with the order of the policies. What somebody else has
// changed since is left alone, and reported.
func (j *Journal) Undo(ctx context.Context, k Kernel, id int) (Report, error) {
	return j.undo(ctx, k, id, func(*Entry) error { return nil })
}

// Expire undoes an application unless it was confirmed: the report is empty
// then.
func (j *Journal) Expire(ctx context.Context, k Kernel, id int) (Report, error) {
	errConfirmed := errors.New("confirmed")
	r, err := j.undo(ctx, k, id, func(e *Entry) error {
		if !e.Pending() {
			return errConfirmed
		}
		return nil
	})
	if errors.Is(err, errConfirmed) || errors.Is(err, ErrUndone) {
		return Report{}, nil
	}
	return r, err
}

func (j *Journal) undo(ctx context.Context, k Kernel, id int, may func(*Entry) error) (Report, error) {
	unlock, err := j.lock(ctx)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	w, err := j.resume(id)
	if err != nil {
		return Report{}, err
	}
	defer w.close()
	if err := j.mayUndo(w.entry, k); err != nil {
		return Report{Entry: w.entry}, err
	}
	if err := may(w.entry); err != nil {
		return Report{Entry: w.entry}, err
	}
	return (&undoing{k: k, w: w}).run(context.WithoutCancel(ctx))
}

// mayUndo says why an application cannot be taken back.
func (j *Journal) mayUndo(e *Entry, k Kernel) error {
	_, namespace, err := k.Place()
	switch {
	case err != nil:
		return err
	case e.Status == Undone:
		return fmt.Errorf("%d: %w", e.ID, ErrUndone)
	case e.Status == Gone:
		return fmt.Errorf("%d: %w", e.ID, ErrRebooted)
	case e.Namespace != namespace:
		return fmt.Errorf("%d: %w", e.ID, ErrElsewhere)
	}
	return j.noneAbove(e)
}

// noneAbove refuses to take back what a later application has built upon.
func (j *Journal) noneAbove(e *Entry) error {
	all, err := j.List()
	if err != nil {
		return err
	}
	for _, later := range all {
		if later.ID > e.ID && later.Stands() && later.Namespace == e.Namespace && shares(later, e.Plan.Steps) {
			return fmt.Errorf("%d has changed the same since: ipsecdiag fix undo %d first", later.ID, later.ID)
		}
	}
	return nil
}

// shares reports whether steps touch an object that e's plan touches.
func shares(e *Entry, steps []remedy.Step) bool {
	mine := map[any]bool{}
	for i := range e.Plan.Steps {
		mine[objectOf(&e.Plan.Steps[i])] = true
	}
	return slices.ContainsFunc(steps, func(s remedy.Step) bool { return mine[objectOf(&s)] })
}

// objectOf names the object of a step.
func objectOf(s *remedy.Step) any {
	switch {
	case s.Policy != nil:
		return s.Policy.Identity()
	case s.SA != nil:
		return s.SA.Key()
	case s.Neighbour != nil:
		return [2]any{s.Neighbour.Addr, s.Neighbour.IfIndex}
	case s.Sysctl != nil:
		return s.Sysctl.Name
	}
	return nil
}

// undoing is one application on its way back.
type undoing struct {
	k Kernel
	w *writer
}

// run takes the steps back, the last one first. A step that the kernel refuses
// to take back does not keep the others from it.
func (u *undoing) run(ctx context.Context) (Report, error) {
	r := Report{Entry: u.w.entry}
	if err := u.w.put(record{What: recUndoing}); err != nil {
		return r, err
	}
	var errs []error
	for i := len(u.w.entry.Steps) - 1; i >= 0; i-- {
		if st := &u.w.entry.Steps[i]; st.Intent.IsZero() || st.Failed || st.Back != "" {
			continue
		}
		if err := u.step(ctx, i, &r); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, u.order(ctx))
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	if err := u.dropKeys(); err != nil {
		return r, err
	}
	return r, u.w.put(record{What: recUndone})
}

// step takes one step back and notes what became of it.
func (u *undoing) step(ctx context.Context, i int, r *Report) error {
	s := &u.w.entry.Plan.Steps[i]
	f, err := look(ctx, u.k, s, &u.w.entry.Steps[i])
	if err != nil {
		return err
	}
	outcome := WasBack
	switch f.standing {
	case asMade:
		outcome = TakenBack
		if err := u.back(ctx, s, &f); err != nil {
			return err
		}
	case missing:
		outcome = WasGone
		if s.Op == remedy.ReplacePolicy || u.w.entry.Steps[i].Done {
			r.Gone = append(r.Gone, objectText(s))
		}
	case changed:
		outcome = LeftAlone
		r.Left = append(r.Left, fmt.Sprintf("%s (now: %s)", objectText(s), f.text))
	}
	return u.w.put(record{What: recBack, Step: i + 1, Outcome: outcome, Text: f.text})
}

// objectText names the object of a step for people.
func objectText(s *remedy.Step) string {
	switch {
	case s.Policy != nil:
		return "policy " + s.Policy.String()
	case s.SA != nil:
		return "SA " + s.SA.String()
	case s.Neighbour != nil:
		return "neighbour " + s.Neighbour.Addr.String()
	case s.Sysctl != nil:
		return s.Sysctl.Name
	}
	return string(s.Op)
}

// back does the inverse of a step whose object stands as the step has made it.
func (u *undoing) back(ctx context.Context, s *remedy.Step, f *found) error {
	inv := s.Inverse()
	switch inv.Op {
	case remedy.DeletePolicy:
		return u.k.DeletePolicy(ctx, *f.policy)
	case remedy.ReplacePolicy:
		return u.replace(ctx, inv.Policy, f.policy.Index)
	case remedy.DeleteSA:
		return u.k.DeleteSA(ctx, *f.sa)
	case remedy.SetNeighbour:
		n := *inv.Neighbour
		if !fixed(n.State) {
			n.State = "STALE" // how old it is nobody knows now: let the kernel ask
		}
		return u.k.PutNeighbor(ctx, n)
	case remedy.DelNeighbour:
		return u.k.DeleteNeighbor(ctx, *inv.Neighbour)
	case remedy.SetSysctl:
		return u.k.SetSysctl(inv.Sysctl.Name, inv.Sysctl.Value)
	}
	return fmt.Errorf("%s cannot be taken back", s.Op)
}

// replace puts p in the place of the policy that has index. Had somebody deleted
// that one at the last moment, the kernel would have added p: then it has a new
// index, and is deleted again.
func (u *undoing) replace(ctx context.Context, p *spd.Policy, index uint32) error {
	if err := u.k.ReplacePolicy(ctx, *p); err != nil {
		return err
	}
	policies, err := u.k.Policies(ctx)
	if err != nil {
		return err
	}
	for i := len(policies) - 1; i >= 0; i-- {
		if o := &policies[i]; !o.Socket && o.Identity() == p.Identity() && o.Index != index {
			return u.k.DeletePolicy(ctx, *o)
		}
	}
	return nil
}

// order gives the policies the order of age that they had before the plan
// replaced some. Those that came since stay the youngest.
func (u *undoing) order(ctx context.Context) error {
	order := u.w.entry.Plan.Order
	if len(order) == 0 {
		return nil
	}
	policies, err := u.k.Policies(ctx)
	if err != nil {
		return err
	}
	known := make(map[remedy.PolicyName]bool, len(order))
	for _, n := range order {
		known[n] = true
	}
	for i := range policies {
		if n := remedy.NameOf(&policies[i]); !policies[i].Socket && !known[n] {
			order = append(order, n)
		}
	}
	for _, s := range remedy.Restore(&spd.Database{Policies: policies}, order, nil) {
		if err := u.replace(ctx, s.Policy, s.FormerPolicy.Index); err != nil {
			return err
		}
	}
	return nil
}

// dropKeys deletes the journal's own key file: the SAs that had its keys are
// gone.
func (u *undoing) dropKeys() error {
	own := u.w.j.KeyFile(u.w.entry.ID)
	if u.w.entry.KeyFile != own {
		return nil
	}
	half, _ := filepath.Glob(filepath.Join(u.w.j.dir, "."+filepath.Base(own)+"-*")) // of a process that died writing it
	for _, name := range append(half, own) {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete key file: %w", err)
		}
	}
	return nil
}
