package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ipsecdiag/capture/kernel"
)

type watchOptions struct {
	interfaces []string
	duration   time.Duration
	memory     memory
	record     string
	ring       ring
	metricsAt  string
	format     format
	acquire    kernel.AcquireMode
	netns      string
	plain      bool
	// Control sockets of the IKE daemons; empty: found by themselves.
	vici, whack string
}

const watchLong = `Watches interfaces ("any": all) and the kernel of this host, and says what is
wrong as soon as it is clear: full-screen on a terminal ("?" shows the keys), in
lines with --plain, with --format json, or where output goes elsewhere. Ends by
--for or Ctrl-C, or with its network namespace. An interface that goes down or
away is waited for, one that is renamed is followed. Needs Linux, CAP_NET_RAW
for the wire and CAP_NET_ADMIN for policies and SAs; root has both.`

const acquireUsage = `when to listen for ACQUIREs: auto, always or never;
auto: while an IKE daemon does, since listening
makes the kernel create larval SAs`

func newWatch(io streams) *cobra.Command {
	o := watchOptions{format: formatText, memory: watchMemory}
	cmd := &cobra.Command{
		Use:               "watch IFACE...",
		Short:             "Watch interfaces and the kernel, and say what is wrong",
		Long:              watchLong,
		Example:           "  ipsecdiag watch eth0\n  ipsecdiag watch eth0 --for 30s -w ticket.pcapng",
		Args:              needsInterface,
		ValidArgsFunction: completeInterfaces,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.interfaces = args
			return runWatch(cmd.Context(), o, io)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.duration, "for", 0, "end after this `TIME` (30s, 5m)")
	f.StringVarP(&o.record, "write", "w", "", "record to this `FILE` (pcapng, without keys)")
	f.Var(&o.memory, "max-memory", memoryUsage)
	f.Var(&o.ring, "ring", "split the recording into so many files of a size or\ntime (10x100MB, 24x1h), and remove older ones")
	f.StringVar(&o.metricsAt, "metrics", "", "serve metrics for Prometheus at this `ADDRESS`; a port\nalone is one of the loopback interface")
	f.Var(&o.format, "format", "json: one finding a line")
	f.Var(&o.acquire, "acquire", acquireUsage)
	f.StringVar(&o.vici, "vici", "", "ask strongSwan by the vici socket at this `PATH`\n(none: not at all; else it is found by itself)")
	f.StringVar(&o.whack, "whack", "", "ask libreswan by the control socket at this `PATH`\n(none: not at all; else it is found by itself)")
	f.BoolVar(&o.plain, "plain", false, "print lines on a terminal too")
	netnsFlag(cmd, &o.netns)
	completeFormat(cmd)
	completeFlag(cmd, "acquire", []string{"auto", "always", "never"})
	return cmd
}

// watchGCPercent keeps the heap of a watch small that has little to hold: with 1,000
// policies and 1,000 SAs it is 2 MB less than with Go's 100, of some 23.
const watchGCPercent = 50

func runWatch(ctx context.Context, o watchOptions, io streams) error {
	wire, err := o.permitted(io)
	if err != nil {
		return err
	}
	ctx, stop := o.limit(ctx)
	defer stop()
	watching, end := context.WithCancelCause(ctx)
	defer end(nil)
	debug.SetGCPercent(watchGCPercent)
	o.memory.govern()
	if o.fullScreen(io) {
		io = io.withView()
	}
	w := newWatcher(o, io, end)
	if err := w.startKeeper(); err != nil {
		return err
	}
	defer w.keeper.Close()
	unserve, err := w.serveMetrics()
	if err != nil {
		return err
	}
	defer unserve()
	if o.fullScreen(io) {
		err = w.show(ctx, watching, wire)
	} else {
		err = w.run(watching, wire)
	}
	err = errors.Join(err, w.failed, w.stopRecording())
	if !errors.Is(err, syscall.EPIPE) { // else whoever read has seen enough
		w.summarize()
	}
	if err != nil {
		return err
	}
	return found(w.engine.Findings())
}

// permitted checks what can be told before anything is opened. It reports
// whether the wire can be read, and says what is missing.
func (o *watchOptions) permitted(io streams) (wire bool, err error) {
	if runtime.GOOS != "linux" {
		return false, fmt.Errorf("watch needs Linux, and this is %s; analyze works everywhere", runtime.GOOS)
	}
	if o.duration < 0 {
		return false, fmt.Errorf("--for %v: no time to watch", o.duration)
	}
	if o.ring.on() && o.record == "" {
		return false, errors.New("--ring splits a recording: name its file with -w FILE")
	}
	if o.record == "-" {
		return false, errors.New("-w - is not possible: findings go to standard output; give a file")
	}
	p, err := kernel.Privilege()
	if err != nil {
		return false, err
	}
	if !p.NetRaw && !p.NetAdmin {
		return false, errors.New("CAP_NET_RAW (for the wire) and CAP_NET_ADMIN (for policies and SAs) are missing: run it as root, or give the program both capabilities")
	}
	if missing := p.Missing(); missing != "" && p.NetAdmin { // kernel.Watch tells of the other one
		io.say(missing)
	}
	return p.NetRaw, nil
}

// limit ends a context after --for.
func (o *watchOptions) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	if o.duration > 0 {
		t := time.AfterFunc(o.duration, stop)
		context.AfterFunc(ctx, func() { t.Stop() })
	}
	return ctx, stop
}

// fullScreen reports whether the view is to be shown: to somebody who can press
// its keys, and does not want lines.
func (o *watchOptions) fullScreen(io streams) bool {
	return !o.plain && o.format == formatText && isTerminal(io.in) && io.fullScreen()
}
