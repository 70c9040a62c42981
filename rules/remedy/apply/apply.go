package apply

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// Options are what an application needs besides its plan.
type Options struct {
	Netns string // the name by which the namespace was given, for the journal
	Keys  remedy.Keyring
	// KeyFile is where the keys are already; empty has the journal keep them.
	KeyFile string
	// Deadline is when the application is to be undone unless it was confirmed.
	Deadline time.Time
	// Arm is called before the first step, with the number by which to undo; its
	// error ends the application. Nil where nothing is to be armed.
	Arm func(*Entry) error
}

// ErrConflict is returned where the kernel is not as the plan expects it.
// Nothing was changed then.
var ErrConflict = errors.New("nothing was changed")

// ErrRolledBack is returned where a step failed and those before it were taken
// back.
var ErrRolledBack = errors.New("everything is as it was before")

// Apply carries out a plan, whole or not at all. It ends early where ctx ends
// between two steps, and takes back what was done. The entry says what became of
// it; it is nil where nothing was begun.
func (j *Journal) Apply(ctx context.Context, k Kernel, plan remedy.Plan, o Options) (*Entry, error) {
	unlock, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	h := Header{Netns: o.Netns, Plan: plan, KeyFile: o.KeyFile, Deadline: o.Deadline}
	if h.Boot, h.Namespace, err = k.Place(); err != nil {
		return nil, err
	}
	if err := j.mayBegin(h.Namespace, plan.Steps); err != nil {
		return nil, err
	}
	if err := fits(ctx, k, plan.Steps); err != nil {
		return nil, err
	}
	w, err := j.create(h, len(o.Keys) > 0 && o.KeyFile == "")
	if err != nil {
		return nil, err
	}
	defer w.close()
	a := &application{k: k, w: w, keys: o.Keys}
	return w.entry, a.run(ctx, o)
}

// mayBegin refuses to begin while an application is half done: what its plan
// was computed from is no state to build on; and while one that changed the same
// objects waits for its confirmation: its timer could not take it back from
// beneath another.
func (j *Journal) mayBegin(namespace string, steps []remedy.Step) error {
	entries, err := j.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Namespace == namespace && (e.Status == Partial || e.Status == Undoing) {
			return fmt.Errorf("%d was cut off half way: ipsecdiag fix undo %d takes it back: %w", e.ID, e.ID, ErrConflict)
		}
		if e.Namespace == namespace && e.Pending() && shares(e, steps) {
			return fmt.Errorf("%d has changed the same and waits for its confirmation: ipsecdiag fix confirm %d or fix undo %d first: %w", e.ID, e.ID, e.ID, ErrConflict)
		}
	}
	j.prune(entries)
	return nil
}

// fits holds that everything is as it was when the plan was made. What an
// earlier step of the plan makes is not there yet.
func fits(ctx context.Context, k Kernel, steps []remedy.Step) error {
	touched := map[any]bool{}
	for i := range steps {
		object := objectOf(&steps[i])
		if touched[object] {
			continue
		}
		touched[object] = true
		if err := free(ctx, k, &steps[i]); err != nil {
			return fmt.Errorf("step %d of %d: %w: %w", i+1, len(steps), err, ErrConflict)
		}
	}
	return nil
}

// free holds that in the place of a step stands what the plan says.
func free(ctx context.Context, k Kernel, s *remedy.Step) error {
	f, err := look(ctx, k, s, nil)
	if err == nil && f.standing != asBefore {
		err = fmt.Errorf("in its place stands %s", f.text)
	}
	return err
}

// application is one application at work.
type application struct {
	k    Kernel
	w    *writer
	keys remedy.Keyring
}

func (a *application) run(ctx context.Context, o Options) error {
	err := a.prepare(o)
	for i := 0; err == nil && i < len(a.w.entry.Plan.Steps); i++ {
		if err = ctx.Err(); err != nil {
			err = fmt.Errorf("interrupted before step %d of %d: %w", i+1, len(a.w.entry.Plan.Steps), err)
			break
		}
		err = a.step(ctx, i)
	}
	if err == nil {
		return a.w.put(record{What: recApplied})
	}
	// Taking back must come to its end, whoever has lost patience.
	report, backErr := (&undoing{k: a.k, w: a.w}).run(context.WithoutCancel(ctx))
	if backErr != nil {
		return fmt.Errorf("%w; taking back what was done before it failed too: %w; ipsecdiag fix undo %d tries again",
			err, backErr, a.w.entry.ID)
	}
	if len(report.Left) > 0 {
		return fmt.Errorf("%w: %w, but not %s", err, ErrRolledBack, report.Left[0])
	}
	return fmt.Errorf("%w: %w", err, ErrRolledBack)
}

// prepare does what must stand before the first step.
func (a *application) prepare(o Options) error {
	e := a.w.entry
	if e.KeyFile != "" && o.KeyFile == "" {
		if err := WriteKeys(e.KeyFile, o.Keys, false); err != nil {
			return err
		}
	}
	if o.Arm != nil {
		return o.Arm(e)
	}
	return nil
}

// step does one step between two records. It is not interrupted: the kernel's
// answer must be known.
func (a *application) step(ctx context.Context, i int) error {
	ctx = context.WithoutCancel(ctx)
	s := &a.w.entry.Plan.Steps[i]
	if err := free(ctx, a.k, s); err != nil { // the kernel itself refuses to add, not to replace
		return fmt.Errorf("step %d of %d: %w", i+1, len(a.w.entry.Plan.Steps), err)
	}
	if err := a.w.put(record{What: recIntent, Step: i + 1}); err != nil {
		return err
	}
	if err := a.do(ctx, s); err != nil {
		if refused(err) { // else it may have been done all the same
			err = errors.Join(err, a.w.put(record{What: recFailed, Step: i + 1, Text: err.Error()}))
		}
		return fmt.Errorf("step %d of %d: %w", i+1, len(a.w.entry.Plan.Steps), err)
	}
	done := record{What: recDone, Step: i + 1}
	f, err := look(ctx, a.k, s, &a.w.entry.Steps[i])
	if err != nil {
		return err
	}
	if f.standing == asMade && f.policy != nil {
		done.Index, done.AddTime = f.policy.Index, f.policy.AddTime
	}
	if f.standing == asMade && f.sa != nil {
		done.AddTime = f.sa.Used.AddTime
	}
	return a.w.put(done)
}

// refused reports whether the kernel has answered that it did not do it.
func refused(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// do asks the kernel for one step.
func (a *application) do(ctx context.Context, s *remedy.Step) error {
	switch s.Op {
	case remedy.AddPolicy:
		return a.k.AddPolicy(ctx, *s.Policy)
	case remedy.ReplacePolicy:
		return a.k.ReplacePolicy(ctx, *s.Policy)
	case remedy.AddSA:
		return a.addSA(ctx, s.SA, s.Keys)
	case remedy.SetNeighbour:
		return a.k.PutNeighbor(ctx, *s.Neighbour)
	case remedy.SetSysctl:
		return a.k.SetSysctl(s.Sysctl.Name, s.Sysctl.Value)
	}
	return fmt.Errorf("%s is no step of a plan", s.Op)
}

// addSA takes the keys out of the ring for as long as the kernel needs them.
func (a *application) addSA(ctx context.Context, sa *spd.SA, refs *remedy.SAKeys) error {
	if refs == nil {
		refs = new(remedy.SAKeys)
	}
	enc, auth := a.keys[refs.Enc].Reveal(), a.keys[refs.Auth].Reveal()
	defer clear(enc)
	defer clear(auth)
	return a.k.AddSA(ctx, *sa, enc, auth)
}
