package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ipsecdiag/capture/netns"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

const fixUndoLong = `Takes back what was applied: deletes what that has added, restores what that has
replaced, with the order of the policies. Without a number it is the last one
that stands. What somebody else has changed since is left alone, and named.`

// undoOptions are undo's own flags. Those of the timer are hidden.
type undoOptions struct {
	after           time.Duration
	unlessConfirmed bool
	givenID         int
}

func newFixUndo(io streams, o *fixOptions) *cobra.Command {
	var u undoOptions
	cmd := &cobra.Command{
		Use:     "undo [ID]",
		Short:   "Take back what was applied",
		Long:    fixUndoLong,
		Example: "  ipsecdiag fix undo\n  ipsecdiag fix undo 3",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if u.givenID, err = applicationID(args); err != nil {
				return err
			}
			return runFixUndo(cmd.Context(), o, u, io)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&u.after, "after", 0, "")
	f.BoolVar(&u.unlessConfirmed, "unless-confirmed", false, "")
	for _, hidden := range []string{"after", "unless-confirmed"} {
		if err := f.MarkHidden(hidden); err != nil {
			panic(err)
		}
	}
	return cmd
}

// applicationID parses the number of an application, 0 where none is given.
func applicationID(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	id, err := strconv.Atoi(args[0])
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%q is not the number of an application; ipsecdiag fix list names them", args[0])
	}
	return id, nil
}

func runFixUndo(ctx context.Context, o *fixOptions, u undoOptions, io streams) error {
	r, err := prepareFix(o, io)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGHUP)
	if u.after > 0 { // the timer, which is in the namespace
		if err := r.confine(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(u.after):
		}
	}
	e, err := r.pick(u.givenID, "undo", (*apply.Entry).Stands)
	if err != nil {
		return r.fail(err)
	}
	if e == nil {
		return r.nothing("Nothing that was applied stands: there is nothing to undo.")
	}
	r.result.ID = e.ID
	if u.after == 0 {
		if err := errors.Join(r.enter(e), r.confine()); err != nil {
			return r.fail(err)
		}
	}
	if u.unlessConfirmed {
		report, err := r.journal.Expire(ctx, r.kernel, e.ID)
		return r.undone(report, err)
	}
	disarm(r.journal.Dir(), e.ID)
	report, err := r.journal.Undo(ctx, r.kernel, e.ID)
	return r.undone(report, err)
}

// pick returns the application of that number, or the last one that fits; nil
// where there is none.
func (r *fixRun) pick(id int, verb string, fits func(*apply.Entry) bool) (*apply.Entry, error) {
	if id > 0 {
		e, err := r.journal.Get(id)
		if errors.Is(err, apply.ErrNone) {
			return nil, fmt.Errorf("%s %w; ipsecdiag fix list names what was", verb, err)
		}
		return e, err
	}
	entries, err := r.journal.List()
	if err != nil {
		return nil, err
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if fits(entries[i]) {
			return entries[i], nil
		}
	}
	return nil, nil
}

// enter goes to the namespace in which an application was applied, unless
// another one is asked for.
func (r *fixRun) enter(e *apply.Entry) error {
	_, here, err := r.kernel.Place()
	if err != nil || here == e.Namespace || r.netns != "" || e.Status == apply.Gone {
		return err
	}
	path, ok := findNamespace(e.Namespace)
	if !ok {
		path, ok = findHolder(e.Namespace)
	}
	if !ok {
		return fmt.Errorf("%d was applied in a network namespace that has neither name nor process here; if it is gone, so is all that was applied: "+
			"else give --netns", e.ID)
	}
	return netns.Enter(path)
}

func (r *fixRun) nothing(why string) error {
	r.result.Status = fixNothing
	r.tell(why)
	return r.finish(nil)
}

// undone says what an undoing has done. That something was left alone is
// errFound: the host is not as it was.
func (r *fixRun) undone(report apply.Report, err error) error {
	switch {
	case errors.Is(err, apply.ErrUndone), errors.Is(err, apply.ErrRebooted):
		return r.nothing(err.Error() + ".")
	case err != nil:
		return r.fail(err)
	case report.Entry == nil:
		return r.nothing("It was confirmed, and stays.")
	}
	r.result.Status = fixUndone
	r.result.LeftAlone, r.result.WasGone = report.Left, report.Gone
	r.tell(fmt.Sprintf("Undone: %d, %s.", report.Entry.ID, report.Entry.Plan.Title))
	for _, g := range report.Gone {
		r.tell("Somebody had deleted it already: " + g + ".")
	}
	for _, l := range report.Left {
		r.tell("LEFT ALONE, since somebody else has changed it: " + l + ".")
	}
	r.tellResting(report.Entry)
	if len(report.Left) > 0 {
		return r.finish(errFound)
	}
	return r.finish(nil)
}

// tellResting names the bypasses that came after the one that is gone: they were
// computed while it stood, and may have left to it what it did.
func (r *fixRun) tellResting(gone *apply.Entry) {
	if !bypasses(gone) {
		return
	}
	entries, _ := r.journal.List() // the undoing itself has come to its end
	for _, e := range entries {
		if e.ID > gone.ID && e.Stands() && e.Namespace == gone.Namespace && bypasses(e) {
			r.result.Resting = append(r.result.Resting, e.ID)
			r.tell(fmt.Sprintf("%d, %s, still stands and was computed while this did: it may not be enough alone; "+
				"ipsecdiag fix nd-bypass adds what is missing now.", e.ID, e.Plan.Title))
		}
	}
}

// bypasses reports whether an application lets neighbour discovery pass.
func bypasses(e *apply.Entry) bool {
	return e.Plan.Action == remedy.ActionNDBypass || e.Plan.Action == remedy.ActionBringUp
}
