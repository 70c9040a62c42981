package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

const fixLarvalDropLong = `Sets net.core.xfrm_larval_drop: what the kernel does with packets of applications
for which there is no SA yet. 1 drops them, which is the default; 0 keeps the
first ones until the SA is there.`

func newFixLarvalDrop(io streams, o *fixOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:       "larval-drop 0|1",
		Short:     "Keep the first packets until their SA is there (0), or drop them (1)",
		Long:      fixLarvalDropLong,
		Example:   "  ipsecdiag fix larval-drop 0",
		ValidArgs: []string{"0", "1"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("fix larval-drop needs one value, 0 or 1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runFixLarvalDrop(cmd.Context(), o, args[0], io)
		},
	}
	applyFlags(cmd, o)
	return cmd
}

func runFixLarvalDrop(ctx context.Context, o *fixOptions, value string, io streams) error {
	r, state, err := openFixAndRead(ctx, o, io)
	if err != nil {
		return err
	}
	plan, err := remedy.LarvalDrop(state, value)
	return r.propose(ctx, proposal{
		plan: plan,
		prove: func(now *analyze.KernelState) []apply.Proof {
			const name = "net.core.xfrm_larval_drop"
			return []apply.Proof{{Subject: name, Holds: now.Sysctls[name] == value, Text: name + " is " + now.Sysctls[name]}}
		},
	}, err)
}
