package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `ipsecdiag tells why IPsec between two hosts does not come up, from what happens
on the wire and in the kernel.

  ipsecdiag demo                 what it does, without root or network
  ipsecdiag watch eth0           on a host where IPsec hangs
  ipsecdiag analyze FILE...      the same from a capture or a recording
  ipsecdiag check                audit its policies and SAs, without traffic
  ipsecdiag lookup SRC DST       which policy catches a packet, and why
  ipsecdiag fix                  mend it, and take that back

Exit status: 0 nothing of severity warning or worse, 1 at least one such
finding that no other explains, 2 it could not do its work.`

// additional are commands that a program has which is built with a tag.
var additional []func(root *cobra.Command) *cobra.Command

// newRoot returns the command with all its subcommands.
func newRoot(io streams) *cobra.Command {
	io.verbose = new(bool)
	root := &cobra.Command{
		Use:           "ipsecdiag",
		Short:         "Tell why IPsec does not come up",
		Long:          rootLong,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.PersistentFlags().BoolVar(io.verbose, "verbose", false, "say with which privileges it runs")
	root.AddCommand(
		newWatch(io), newAnalyze(io), newCheck(io), newLookup(io), newFix(io), newSnapshot(io), newEvents(io), newScrub(io),
		newExplain(io), newDemo(io), newVersion(io), newFindings(io), newKeep(),
	)
	for _, command := range additional {
		root.AddCommand(command(root))
	}
	root.InitDefaultCompletionCmd()
	refuseUnknownShell(root)
	return root
}

// refuseUnknownShell makes `completion SHELL` fail for a shell that it does not
// know; cobra's own command prints its help then, and succeeds.
func refuseUnknownShell(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Args = unknownCommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see ipsecdiag --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q (%s)", args[0], hint)
}
