package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ipsecdiag/capture"
	"ipsecdiag/capture/kernel"
)

type snapshotOptions struct {
	output string
	netns  string
}

const snapshotLong = `Prints what the kernel of this host knows about IPsec, as JSON: policies, SAs
(without keys), neighbours, links, addresses, routes, counters, settings and who
listens for ACQUIREs. A file is made readable to its owner only. Linux.`

func newSnapshot(io streams) *cobra.Command {
	var o snapshotOptions
	cmd := &cobra.Command{
		Use:               "snapshot",
		Short:             "Print the kernel's IPsec state as JSON, without keys",
		Long:              snapshotLong,
		Args:              noArguments,
		ValidArgsFunction: completeNothing,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runSnapshot(cmd.Context(), o, io) },
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to this `FILE` instead of standard output")
	netnsFlag(cmd, &o.netns)
	return cmd
}

func runSnapshot(ctx context.Context, o snapshotOptions, streams streams) error {
	out, err := openOutput(o.output, 0o600, streams.out)
	if err != nil {
		return err
	}
	s, err := kernel.Snapshot(ctx, kernel.Options{Netns: o.netns, Warn: streams.say})
	if err != nil {
		return err
	}
	if p, err := kernel.Privilege(); err == nil && !p.NetAdmin {
		return errors.New("CAP_NET_ADMIN is missing: policies and SAs cannot be read; run it as root, or give the program that capability")
	}
	for _, m := range s.Missing {
		streams.say("not in the snapshot: " + m)
	}
	return out.write(func(w io.Writer) error {
		return capture.WriteSnapshot(w, s)
	})
}
