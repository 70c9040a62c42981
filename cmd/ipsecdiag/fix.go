package main

import (
	"time"

	"github.com/spf13/cobra"

	"ipsecdiag/rules/remedy/apply"
)

// fixOptions are the flags that all of fix's subcommands share.
type fixOptions struct {
	netns   string
	journal string
	format  format

	dryRun        bool
	yes           bool
	verify        bool
	confirmWithin time.Duration
	exportOptions
}

const fixLong = `Applies remedies to this host, and takes them back. Needs Linux and root.

Without a subcommand it looks at the host (or at what --from recorded), lists
what it would do for each open finding, and asks.

What is about to be done is always shown first, as ip commands with the keys
masked. A terminal is asked; elsewhere nothing is done without --yes. A remedy
is applied whole or not at all. A journal in ` + apply.DefaultDir + ` lets fix undo
restore what was there, in another session and after a crash too; what somebody
else has changed in the meantime is left alone.

Exit status: 0 done, or nothing to do; 1 done, but the proof did not come;
2 refused, or failed and taken back.`

const fixExample = `  ipsecdiag fix                                   what is to be done here?
  ipsecdiag fix nd-bypass --dry-run               only show it
  ipsecdiag fix nd-bypass --confirm-within 60s    undone unless confirmed
  ipsecdiag fix undo`

func newFix(io streams) *cobra.Command {
	o := &fixOptions{format: formatText}
	from := ""
	cmd := &cobra.Command{
		Use:     "fix",
		Short:   "Apply a remedy to this host, and take it back",
		Long:    fixLong,
		Example: fixExample,
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runFix(cmd.Context(), o, from, io) },
	}
	cmd.Flags().StringVar(&from, "from", "", "take the findings from this `RECORDING`")
	f := cmd.PersistentFlags()
	f.StringVar(&o.journal, "journal", apply.DefaultDir, "keep the journal in this `DIR`")
	f.Var(&o.format, "format", "how to write plan and result")
	f.StringVar(&o.netns, "netns", "", "work in this namespace (`NAME` of ip netns, or path)")
	completeFormat(cmd)
	if err := cmd.RegisterFlagCompletionFunc("netns", completeNetns); err != nil {
		panic(err)
	}
	applyFlags(cmd, o)
	cmd.AddCommand(
		newFixBypass(io, o), newFixManualSA(io, o), newFixBringUp(io, o), newFixNeighbour(io, o), newFixLarvalDrop(io, o),
		newFixUndo(io, o), newFixConfirm(io, o), newFixList(io, o),
	)
	return cmd
}

// applyFlags are the flags of what changes something.
func applyFlags(cmd *cobra.Command, o *fixOptions) {
	f := cmd.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be done, and stop")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.verify, "verify", false, "send a packet, and see whether it helped")
	f.DurationVar(&o.confirmWithin, "confirm-within", 0, "undo it after this `TIME` unless confirmed")
	if cmd.Name() != "fix" {
		exportFlags(cmd, &o.exportOptions)
	}
}
