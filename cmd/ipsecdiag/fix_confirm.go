package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ipsecdiag/rules/remedy/apply"
)

func newFixConfirm(io streams, o *fixOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "confirm [ID]",
		Short:   "Keep what --confirm-within would undo",
		Long:    "Keeps what was applied with --confirm-within from being undone when its time is\nover. Without a number it is the last one that waits.",
		Example: "  ipsecdiag fix confirm",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := applicationID(args)
			if err != nil {
				return err
			}
			return runFixConfirm(cmd.Context(), o, id, io)
		},
	}
}

func runFixConfirm(ctx context.Context, o *fixOptions, id int, io streams) error {
	r, err := openFix(o, io)
	if err != nil {
		return err
	}
	e, err := r.pick(id, "confirm", (*apply.Entry).Pending)
	if err != nil {
		return r.fail(err)
	}
	if e == nil {
		return r.fail(errors.New("nothing waits for a confirmation; ipsecdiag fix list tells what was undone"))
	}
	r.result.ID = e.ID
	if _, err := r.journal.Confirm(ctx, e.ID); err != nil {
		return r.fail(fmt.Errorf("confirm %w", err))
	}
	disarm(r.journal.Dir(), e.ID)
	r.result.Status = fixConfirm
	r.tell(fmt.Sprintf("Confirmed: %d, %s, stays.", e.ID, e.Plan.Title))
	return r.finish(nil)
}
