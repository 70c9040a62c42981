package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

const fixBypassLong = `Lets neighbour discovery pass in the clear: policies for ICMPv6 types 135 and
136, in and out (fwd only where the host answers for others), at a priority that
beats with a margin what catches them now and what a daemon will install when
its SA comes up. It is needed on both hosts.

With --peer it is no wider than that neighbour needs. A policy at priority 0,
which nothing beats, is replaced by itself at another number; a policy that an
IKE daemon owns is never replaced: the daemon's own configuration is shown.`

func newFixBypass(io streams, o *fixOptions) *cobra.Command {
	var peers []string
	var nd remedy.NDOptions
	cmd := &cobra.Command{
		Use:     "nd-bypass",
		Short:   "Let neighbour discovery pass the policies",
		Long:    fixBypassLong,
		Example: "  ipsecdiag fix nd-bypass\n  ipsecdiag fix nd-bypass --peer fd00::2 --verify",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if nd.Peers, err = addresses("peer", peers); err != nil {
				return err
			}
			return runFixBypass(cmd.Context(), o, nd, io)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&peers, "peer", nil, "only with this neighbour (`ADDR`); repeatable")
	f.BoolVar(&nd.AllND, "all-nd", false, "router discovery and redirects too (133, 134, 137)")
	f.BoolVar(&nd.AllICMPv6, "all-icmpv6", false, "all of ICMPv6, ping and its errors too")
	applyFlags(cmd, o)
	return cmd
}

func runFixBypass(ctx context.Context, o *fixOptions, nd remedy.NDOptions, io streams) error {
	r, state, err := openFixAndRead(ctx, o, io)
	if err != nil {
		return err
	}
	p, err := bypassProposal(state, nd)
	return r.propose(ctx, p, err)
}

// bypassProposal plans the bypass and how it is to be proved.
func bypassProposal(state *analyze.KernelState, nd remedy.NDOptions) (proposal, error) {
	plan, err := remedy.NDBypass(state, nd)
	return proposal{
		plan:   plan,
		prove:  func(now *analyze.KernelState) []apply.Proof { return []apply.Proof{proveND(now, nd)} },
		verify: func(ctx context.Context, p apply.Prober) ([]apply.Proof, error) { return verifyND(ctx, p, nd.Peers) },
	}, err
}

// proveND asks the model of the kernel's policies whether neighbour discovery
// passes now.
func proveND(now *analyze.KernelState, nd remedy.NDOptions) apply.Proof {
	p := apply.Proof{Subject: "neighbour discovery", Holds: true}
	caught := remedy.NDCaught(now, nd)
	if len(caught) == 0 {
		p.Text = "this host's policies, as the kernel has them now, let neighbour discovery pass"
		return p
	}
	p.Holds, p.Wrong = false, apply.Local
	p.Text = "a policy still catches neighbour discovery: " + caught[0].String()
	return p
}

// verifyND solicits each peer that is a neighbour.
func verifyND(ctx context.Context, p apply.Prober, peers []netip.Addr) ([]apply.Proof, error) {
	s, err := p.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if len(peers) == 0 {
		return []apply.Proof{{Subject: "neighbour discovery", Text: "whom to solicit is not known: give --peer with --verify"}}, nil
	}
	var out []apply.Proof
	for _, peer := range peers {
		src, dev, ok := sourceFor(&s.KernelState, peer)
		if !ok {
			out = append(out, apply.Proof{
				Subject: "neighbour discovery with " + peer.String(), Wrong: apply.Local,
				Text: fmt.Sprintf("%s is on no link of this host, so that it cannot be solicited", peer),
			})
			continue
		}
		proof, err := apply.VerifyND(ctx, p, src, peer, dev)
		if err != nil {
			return out, err
		}
		out = append(out, proof)
	}
	return out, nil
}

// sourceFor returns this host's address on the link on which peer is a
// neighbour, and that link.
func sourceFor(k *analyze.KernelState, peer netip.Addr) (src netip.Addr, ifindex int, ok bool) {
	for _, a := range k.Addresses {
		if a.Prefix.Bits() < a.Prefix.Addr().BitLen() && a.Prefix.Masked().Contains(peer.WithZone("")) &&
			(peer.Zone() == "" || zoneIs(k, peer.Zone(), a.IfIndex)) {
			return a.Prefix.Addr(), a.IfIndex, true
		}
	}
	return netip.Addr{}, 0, false
}

func zoneIs(k *analyze.KernelState, zone string, ifindex int) bool {
	for _, l := range k.Links {
		if l.Index == ifindex {
			return l.Name == zone
		}
	}
	return false
}

// addresses parses the values of a flag.
func addresses(flag string, values []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, v := range values {
		a, err := address(flag, v)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func address(flag, value string) (netip.Addr, error) {
	a, err := netip.ParseAddr(value)
	if err != nil {
		return a, fmt.Errorf("--%s %q is not an address", flag, value)
	}
	return a.Unmap(), nil
}
