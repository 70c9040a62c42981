package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

const fixNeighbourLong = `Makes a permanent neighbour entry: the way around neighbour discovery for a host
whose policies may not be touched. The peer needs one for this host as well.`

func newFixNeighbour(io streams, o *fixOptions) *cobra.Command {
	var peer string
	var n remedy.NeighbourOptions
	cmd := &cobra.Command{
		Use:     "neighbour",
		Aliases: []string{"neighbor"},
		Short:   "Tell the kernel a neighbour's link-layer address",
		Long:    fixNeighbourLong,
		Example: "  ipsecdiag fix neighbour --peer fd00::2 --lladdr 02:00:00:00:00:02",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if peer == "" || n.LinkAddr == "" {
				return errors.New("fix neighbour needs --peer and --lladdr")
			}
			if n.Peer, err = address("peer", peer); err != nil {
				return err
			}
			return runFixNeighbour(cmd.Context(), o, n, io)
		},
	}
	f := cmd.Flags()
	f.StringVar(&peer, "peer", "", "the neighbour's address (`ADDR`)")
	f.StringVar(&n.LinkAddr, "lladdr", "", "its link-layer address (`MAC`)")
	f.StringVar(&n.Device, "dev", "", "on this interface (`IFACE`), where the address does not say")
	if err := cmd.RegisterFlagCompletionFunc("dev", completeInterfaces); err != nil {
		panic(err)
	}
	applyFlags(cmd, o)
	return cmd
}

func runFixNeighbour(ctx context.Context, o *fixOptions, n remedy.NeighbourOptions, io streams) error {
	r, state, err := openFixAndRead(ctx, o, io)
	if err != nil {
		return err
	}
	plan, err := remedy.Neighbour(state, n)
	return r.propose(ctx, proposal{
		plan:  plan,
		prove: func(now *analyze.KernelState) []apply.Proof { return []apply.Proof{proveNeighbour(now, &plan)} },
		verify: func(ctx context.Context, p apply.Prober) ([]apply.Proof, error) {
			return verifyEcho(ctx, p, state, n)
		},
	}, err)
}

// proveNeighbour looks whether the entry stands as it was made.
func proveNeighbour(now *analyze.KernelState, plan *remedy.Plan) apply.Proof {
	p := apply.Proof{Subject: "neighbour entry", Holds: true, Text: "the kernel has the entry"}
	for i := range plan.Steps {
		want := plan.Steps[i].Neighbour
		p.Holds = false
		for _, n := range now.Neighbors {
			if n.Addr == want.Addr && n.IfIndex == want.IfIndex && n.LinkAddr == want.LinkAddr && n.State == want.State {
				p.Holds = true
			}
		}
	}
	if !p.Holds {
		p.Wrong, p.Text = apply.Local, "the kernel has not got the entry"
	}
	return p
}

// verifyEcho pings the neighbour: the entry is right if somebody answers there.
func verifyEcho(ctx context.Context, p apply.Prober, state *analyze.KernelState, n remedy.NeighbourOptions) ([]apply.Proof, error) {
	proof := apply.Proof{Subject: "ping of " + n.Peer.String()}
	src, _, ok := sourceFor(state, n.Peer)
	if !ok {
		proof.Text = fmt.Sprintf("%s is on no link of this host, so that it cannot be pinged", n.Peer)
		return []apply.Proof{proof}, nil
	}
	answered, err := p.Echo(ctx, src, n.Peer, apply.Patience)
	proof.Holds, proof.Text = answered, fmt.Sprintf("%s answers ping", n.Peer)
	if !answered {
		proof.Text = fmt.Sprintf("%s does not answer ping: the address is another one, it lacks an entry for this host, or policies want an SA for ping too", n.Peer)
	}
	return []apply.Proof{proof}, err
}
