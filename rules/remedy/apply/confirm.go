package apply

import (
	"context"
	"fmt"
	"maps"

	"ipsecdiag/rules/remedy"
)

// Confirm keeps an application from being undone at its deadline. The error is
// ErrUndone where the deadline is past, ErrNotAsked where there is none.
func (j *Journal) Confirm(ctx context.Context, id int) (*Entry, error) {
	unlock, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	w, err := j.resume(id)
	if err != nil {
		return nil, err
	}
	defer w.close()
	switch e := w.entry; {
	case e.Status == Undone || e.Status == Undoing:
		return e, fmt.Errorf("%d: %w", id, ErrUndone)
	case e.Status == Gone:
		return e, fmt.Errorf("%d: %w", id, ErrRebooted)
	case e.Deadline.IsZero():
		return e, fmt.Errorf("%d: %w", id, ErrNotAsked)
	case e.Confirmed:
		return e, nil
	}
	return w.entry, w.put(record{What: recConfirmed})
}

// Applies reports whether e is of that action, with those arguments.
func (e *Entry) Applies(action remedy.Action, params map[string]string) bool {
	return e.Plan.Action == action && maps.Equal(e.Plan.Params, params)
}

// Standing returns the last application that stands in the kernel's namespace
// and is the one meant, and names what somebody has changed or deleted of it
// since; nil where there is none.
func (j *Journal) Standing(ctx context.Context, k Kernel, meant func(*Entry) bool) (*Entry, []string, error) {
	_, namespace, err := k.Place()
	if err != nil {
		return nil, nil, err
	}
	entries, err := j.List()
	if err != nil {
		return nil, nil, err
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.Status == Applied && e.Namespace == namespace && meant(e) {
			lost, err := lost(ctx, k, e)
			return e, lost, err
		}
	}
	return nil, nil, nil
}

// lost names the objects of an application that are no more as it made them.
func lost(ctx context.Context, k Kernel, e *Entry) ([]string, error) {
	var out []string
	seen := map[any]bool{} // the last step decides what an object is
	for i := len(e.Plan.Steps) - 1; i >= 0; i-- {
		if object := objectOf(&e.Plan.Steps[i]); seen[object] {
			continue
		} else {
			seen[object] = true
		}
		f, err := look(ctx, k, &e.Plan.Steps[i], &e.Steps[i])
		if err != nil {
			return nil, err
		}
		if f.standing != asMade {
			out = append(out, objectText(&e.Plan.Steps[i]))
		}
	}
	return out, nil
}
