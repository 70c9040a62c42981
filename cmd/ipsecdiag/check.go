package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

type checkOptions struct {
	state  []string
	peer   []string
	format format
	output string
	netns  string
}

const checkLong = `Audits the policies and SAs of this host, or those in files, without traffic.
It changes nothing and sends nothing. On the host itself it needs Linux and
CAP_NET_ADMIN (root has it); with --state it works everywhere.

A file is what ipsecdiag snapshot or watch -w wrote, the output of ip xfrm
policy and ip xfrm state (one file or two) or of setkey -DP and setkey -D, a
setkey.conf, or ifcfg-ipsecN with its keys-ipsecN; "-" is standard input. Keys
in it are compared, and never shown. With --peer-state both ends are audited,
and compared with each other.`

const checkExample = `  ipsecdiag check
  ip xfrm policy | ipsecdiag check --state -
  ipsecdiag check --state glass.conf --peer-state teapot.conf`

func newCheck(io streams) *cobra.Command {
	o := checkOptions{format: formatText}
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Audit policies and SAs, of this host or in files, without traffic",
		Long:    checkLong,
		Example: checkExample,
		Args:    filesByFlag,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runCheck(cmd.Context(), o, io) },
	}
	f := cmd.Flags()
	stateFlag(cmd, &o.state)
	f.StringArrayVar(&o.peer, "peer-state", nil, "the other end's `FILE`, to be compared; repeatable")
	f.Var(&o.format, "format", "how to write findings")
	f.StringVarP(&o.output, "output", "o", "", "write to this `FILE` instead of standard output")
	netnsFlag(cmd, &o.netns)
	completeFormat(cmd)
	return cmd
}

// filesByFlag refuses arguments: with two ends it would not be clear whose file
// one is.
func filesByFlag(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("check takes no arguments: %q; give each file a --state of its own", args[0])
	}
	return nil
}

// errUnread ends a command that had to leave something out.
var errUnread = errors.New("not all lines could be read (they are named above); what rests on them was not judged")

func runCheck(ctx context.Context, o checkOptions, streams streams) error {
	out, err := openOutput(o.output, 0o644, streams.out)
	if err != nil {
		return err
	}
	ends, err := o.read(ctx, streams)
	if err != nil {
		return err
	}
	engine := newEngine(0)
	for _, end := range ends {
		end.AsLoaded()
		for _, s := range end.Snapshots {
			engine.Apply(s)
		}
	}
	engine.Audit()
	err = out.write(func(w io.Writer) error {
		return writeAudit(w, o.format, engine)
	})
	if err != nil {
		return err
	}
	for _, end := range ends {
		if _, incomplete := end.Unread(); incomplete {
			return errUnread
		}
	}
	return found(engine.Findings())
}

// read returns what is to be audited: the host itself, or one or two ends.
func (o *checkOptions) read(ctx context.Context, streams streams) ([]*capture.States, error) {
	if i := slices.IndexFunc(o.peer, func(f string) bool { return slices.Contains(o.state, f) }); i >= 0 {
		return nil, fmt.Errorf("%s is given for both ends", o.peer[i])
	}
	peers, err := openStates(o.peer, streams)
	if err != nil {
		return nil, err
	}
	local, err := stateOf(ctx, o.state, o.netns, streams)
	if err != nil || peers == nil {
		return []*capture.States{local}, err
	}
	if len(o.state) == 0 { // else it is already
		if err := streams.seal(); err != nil {
			return nil, err
		}
	}
	peer, err := readStates(ctx, peers, streams)
	if err != nil {
		return nil, err
	}
	capture.Distinguish(local, peer)
	return []*capture.States{local, peer}, capture.Compare(local, peer)
}

func writeAudit(w io.Writer, f format, engine *rules.Engine) error {
	findings, sum := engine.Findings(), report.SummarizeAudit(engine.State)
	if f == formatJSON {
		return report.JSON(w, findings, sum)
	}
	return report.Text(w, findings, sum, textOptions(w))
}

// stateFlag gives a command the flag --state.
func stateFlag(cmd *cobra.Command, value *[]string) {
	cmd.Flags().StringArrayVar(value, "state", nil, "look at this `FILE`, not at this host; repeatable")
}

// stateOf returns the state in files, or without any that of this host.
func stateOf(ctx context.Context, paths []string, netns string, streams streams) (*capture.States, error) {
	if len(paths) > 0 {
		if netns != "" {
			return nil, errors.New("--netns is for this host, and --state for a file: give one of them")
		}
		files, err := openStates(paths, streams)
		if err != nil {
			return nil, err
		}
		if err := streams.seal(); err != nil {
			return nil, err
		}
		return readStates(ctx, files, streams)
	}
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("this host's policies can be read on Linux only, and this is %s; --state FILE works everywhere", runtime.GOOS)
	}
	s, err := readKernel(ctx, netns, streams)
	if err != nil {
		return nil, err
	}
	return &capture.States{Paths: []string{s.Origin.String()}, Snapshots: []*analyze.Snapshot{s}}, nil
}

// openStates opens files, nil where there are none.
func openStates(paths []string, streams streams) (*capture.StateFiles, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	return capture.OpenStates(paths, streams.in)
}

// readStates reads files, and names what could not be read of texts.
func readStates(ctx context.Context, files *capture.StateFiles, streams streams) (*capture.States, error) {
	s, err := files.Read(ctx, capture.StateOptions{Warn: streams.say})
	if err != nil {
		return nil, err
	}
	lines, _ := s.Unread()
	for _, l := range lines {
		streams.say(l)
	}
	return s, nil
}
