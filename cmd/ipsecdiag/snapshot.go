package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/capture/netns"
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

// readKernel reads the state of this host's kernel, or of a namespace. The
// process keeps CAP_NET_ADMIN and no other privilege for it.
func readKernel(ctx context.Context, namespace string, streams streams) (*analyze.Snapshot, error) {
	if err := netns.Enter(namespace); err != nil {
		return nil, err
	}
	o := kernel.Options{Netns: namespace, Warn: streams.say}
	o.Owners = kernel.FindOwners(o)
	if err := streams.keepNetAdmin(); err != nil {
		return nil, err
	}
	s, err := kernel.Snapshot(ctx, o)
	if err != nil {
		return nil, err
	}
	if p, err := kernel.Privilege(); err == nil && !p.NetAdmin {
		return nil, errors.New("CAP_NET_ADMIN is missing: policies and SAs cannot be read; run it as root, or give the program that capability")
	}
	return s, nil
}

func runSnapshot(ctx context.Context, o snapshotOptions, streams streams) error {
	out, err := openOutput(o.output, 0o600, streams.out)
	if err != nil {
		return err
	}
	s, err := readKernel(ctx, o.netns, streams)
	if err != nil {
		return err
	}
	for _, m := range s.Missing {
		streams.say("not in the snapshot: " + m)
	}
	return out.write(func(w io.Writer) error {
		return capture.WriteSnapshot(w, s)
	})
}
