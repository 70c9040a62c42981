package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture"
	"ipsecdiag/rules/report"
)

type lookupOptions struct {
	packet lookupPacket
	dir    string
	dev    string
	nd     bool
	state  []string
	netns  string
	format format
}

const lookupLong = `Says what this host's policies do with a packet from SRC to DST, which policy
decides, and why: every policy that matches, in the order in which the kernel
weighs them, and those that would let the packet pass and miss it by little.
It changes nothing and sends nothing. With --state it asks the policies in
files, as check does.

Without --dir the packet goes out where SRC is this host's address, comes in
where DST is, and is forwarded where neither is; where addresses are not known
it goes out. Socket policies are named, but only that socket's packets meet
them.

With --nd it asks about all neighbour discovery between this host's address
SRC and its neighbour DST, in both directions.

Exit status: 0 the packet passes (in the clear, or with an SA), 1 it would die,
2 it could not find out, as where it needs an SA and the files hold none.`

const lookupExample = `  ipsecdiag lookup fd00::2 fd00::1 --proto icmpv6 --type 136
  ipsecdiag lookup 10.0.0.1 10.0.0.2 --proto tcp --dport 443
  ipsecdiag lookup --nd fd00::1 fd00::2
  ipsecdiag lookup fd00::1 fd00::2 --state policies.txt`

func newLookup(io streams) *cobra.Command {
	o := lookupOptions{format: formatText}
	cmd := &cobra.Command{
		Use:     "lookup SRC DST",
		Short:   "Say which policy catches a packet, and why",
		Long:    lookupLong,
		Example: lookupExample,
		Args:    sourceAndDestination,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.packet.given = cmd.Flags().Changed
			return runLookup(cmd.Context(), o, args, io)
		},
	}
	f := cmd.Flags()
	o.packet.flags(f)
	f.StringVar(&o.dir, "dir", "", "`DIRECTION`: out, in or fwd")
	f.StringVar(&o.dev, "dev", "", "the `DEVICE` by which it leaves (a socket bound to it) or comes in")
	f.BoolVar(&o.nd, "nd", false, "ask about the whole of neighbour discovery")
	stateFlag(cmd, &o.state)
	netnsFlag(cmd, &o.netns)
	f.Var(&o.format, "format", "how to write the answer")
	completeFormat(cmd)
	completeFlag(cmd, "dir", []string{"out", "in", "fwd"})
	completeFlag(cmd, "proto", []string{"icmpv6", "icmp", "tcp", "udp", "sctp", "esp", "ah"})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func sourceAndDestination(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return errors.New("lookup needs two addresses: from which and to which the packet goes")
	}
	return nil
}

func runLookup(ctx context.Context, o lookupOptions, args []string, streams streams) error {
	f, err := o.packet.flow(args[0], args[1])
	if err != nil {
		return err
	}
	states, err := stateOf(ctx, o.state, o.netns, streams)
	if err != nil {
		return err
	}
	s, err := hostOf(states, f)
	if err != nil {
		return err
	}
	lookups, err := o.ask(s, f)
	if err != nil {
		return err
	}
	if err := o.write(streams.out, lookups, report.DevicesOf(s.Links)); err != nil {
		return err
	}
	return outcome(lookups, missing(s, analyze.PartSAs))
}

// outcome makes the exit status. One that dies for certain outweighs one that
// rests on SAs which are not known.
func outcome(lookups []report.Lookup, missingSAs string) error {
	unsure := false
	for i := range lookups {
		e := &lookups[i].Explanation
		if e.Verdict.Dies() && !e.Unsure() {
			return errFound
		}
		unsure = unsure || e.Unsure()
	}
	if unsure {
		return errors.New("whether there is an SA is not known: " + missingSAs)
	}
	return nil
}

// hostOf returns the state to ask: of several that which owns the source, else
// the destination.
func hostOf(states *capture.States, f spd.Flow) (*analyze.Snapshot, error) {
	var names []string
	for _, s := range states.Snapshots {
		names = append(names, s.Origin.String())
	}
	for _, a := range []netip.Addr{f.Src, f.Dst} {
		for _, s := range states.Snapshots {
			if len(states.Snapshots) == 1 || s.Owns(a) {
				return s, readable(s)
			}
		}
	}
	return nil, fmt.Errorf("the files tell of %s, and neither has %s or %s: give the files of one", strings.Join(names, " and "), f.Src, f.Dst)
}

// readable refuses a state without its policies.
func readable(s *analyze.Snapshot) error {
	if m := missing(s, analyze.PartPolicies); m != "" {
		return errors.New("cannot be looked up without " + m)
	}
	return nil
}

// missing returns the entry of a part that the state lacks, "" where it is
// there.
func missing(s *analyze.Snapshot, part string) string {
	for _, m := range s.Missing {
		if strings.HasPrefix(m, part+":") {
			return m
		}
	}
	return ""
}

// ask makes the questions and has them answered.
func (o *lookupOptions) ask(s *analyze.Snapshot, f spd.Flow) (lookups []report.Lookup, err error) {
	k := &s.KernelState
	dev, err := deviceIndex(k, o.dev)
	if err != nil {
		return nil, err
	}
	db := k.Database()
	explain := func(what string, dir spd.Direction, f spd.Flow) {
		e := db.Explain(dir, f)
		e.SADUnknown = missing(s, analyze.PartSAs) != ""
		lookups = append(lookups, report.Lookup{What: what, Explanation: e})
	}
	if !o.nd {
		dir, err := o.direction(k, f)
		if err != nil {
			return nil, err
		}
		explain("", dir, k.Through(dir, f, dev))
		return lookups, nil
	}
	local, peer, err := o.ndEnds(k, f)
	if err != nil {
		return nil, err
	}
	for _, d := range k.Discoveries(local, peer, dev) {
		d.Flow.Mark, d.Flow.IfID = f.Mark, f.IfID
		explain(d.What, d.Direction, d.Flow)
	}
	return lookups, nil
}

// ndEnds returns this host's address and its neighbour's. It is all the same
// which one was given first.
func (o *lookupOptions) ndEnds(k *analyze.KernelState, f spd.Flow) (local, peer netip.Addr, err error) {
	for _, flag := range []string{"dir", "proto", "type", "code", "sport", "dport"} {
		if o.packet.given(flag) {
			return local, peer, fmt.Errorf("--%s does not go with --nd, which asks about all of neighbour discovery", flag)
		}
	}
	switch {
	case !f.Src.Is6() || f.Src.IsMulticast() || f.Dst.IsMulticast():
		return local, peer, errors.New("--nd is about two IPv6 hosts: give their unicast addresses")
	case len(k.Addresses) == 0 && !protects(k, f.Src, f.Dst) && protects(k, f.Dst, f.Src), k.Owns(f.Dst) && !k.Owns(f.Src):
		return f.Dst, f.Src, nil
	case len(k.Addresses) == 0 || k.Owns(f.Src):
		return f.Src, f.Dst, nil
	}
	return local, peer, fmt.Errorf("neither %s nor %s is this host's: --nd is about it and a neighbour", f.Src, f.Dst)
}

// protects reports whether a policy is for what src sends dst: of a text, which
// tells no addresses, that shows whose it is.
func protects(k *analyze.KernelState, src, dst netip.Addr) bool {
	return slices.ContainsFunc(k.Policies, func(q spd.Policy) bool {
		return q.Direction == spd.Out && len(q.Templates) > 0 && q.Selector.Src.Contains(src) && q.Selector.Dst.Contains(dst)
	})
}

func deviceIndex(k *analyze.KernelState, name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	var names []string
	for _, l := range k.Links {
		if l.Name == name {
			return l.Index, nil
		}
		names = append(names, l.Name)
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("no device %q: nothing is known of the host's devices", name)
	}
	return 0, fmt.Errorf("no device %q: there are %s", name, strings.Join(names, ", "))
}

// direction returns what --dir says, else what the addresses tell.
func (o *lookupOptions) direction(k *analyze.KernelState, f spd.Flow) (spd.Direction, error) {
	var dir spd.Direction
	switch {
	case o.dir != "":
		if err := dir.UnmarshalText([]byte(o.dir)); err != nil || dir > spd.Fwd {
			return 0, fmt.Errorf("--dir %s: there are out, in and fwd", o.dir)
		}
		return dir, nil
	case len(k.Addresses) == 0 || k.Owns(f.Src), f.Dst.IsLinkLocalUnicast() && !k.Owns(f.Dst): // nobody forwards it
		return spd.Out, nil
	case k.Owns(f.Dst) || f.Dst.IsMulticast():
		return spd.In, nil
	}
	return spd.Fwd, nil
}

func (o *lookupOptions) write(w io.Writer, lookups []report.Lookup, d report.Devices) error {
	if o.format == formatJSON {
		return report.LookupJSON(w, lookups, d)
	}
	return report.LookupText(w, lookups, d, textOptions(w))
}
