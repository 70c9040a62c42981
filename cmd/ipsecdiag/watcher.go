package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/capture/daemon"
	"ipsecdiag/capture/keeper"
	"ipsecdiag/cmd/ipsecdiag/live"
	"ipsecdiag/cmd/ipsecdiag/metrics"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

// watcher is one run of watch.
type watcher struct {
	watchOptions
	io     streams
	host   string
	end    context.CancelCauseFunc
	began  time.Time
	opened chan struct{} // closed when the wire is being read
	// counting says how ESP is counted; it is set before opened is closed.
	counting string
	// begun is called when the kernel is being read too, changed with what is
	// new of the findings.
	begun   func(what string)
	changed func([]rules.Finding) error
	guards  *capture.Guards
	keeper  *keeper.Keeper // reads the kernel, and opens what this process may not

	mu        sync.Mutex // what is below: the view looks in while events come
	engine    *rules.Engine
	feed      *live.Feed
	recording *recording
	metrics   *metrics.Collector // nil where nobody wants them
	recorded  []string           // files that were recorded to
	failed    error              // why the recording could not be written
}

func newWatcher(o watchOptions, io streams, end context.CancelCauseFunc) *watcher {
	host, _ := os.Hostname()
	engine := newEngine(o.memory)
	w := &watcher{
		watchOptions: o, io: io, host: host, engine: engine, feed: live.NewFeed(engine),
		recording: &recording{ringFiles: ringFiles{path: o.record, ring: o.ring}, host: host, netns: o.netns, kernel: kernelRelease()},
		end:       end, began: time.Now(), opened: make(chan struct{}), guards: capture.NewGuards(),
	}
	w.begun, w.changed = w.announce, w.print
	if o.record != "" {
		w.recorded = []string{o.ring.pattern(o.record)}
	}
	return w
}

// announce says in a line what is watched.
func (w *watcher) announce(what string) {
	fmt.Fprintf(w.io.err, "watching %s%s; Ctrl-C ends it\n", report.Clean(what), report.Clean(w.counting))
}

// countsESP notes, for the first line, who counts ESP and AH.
func (w *watcher) countsESP(why string) {
	w.counting = ", ESP is counted in the kernel"
	if why != "" {
		w.counting = ", ESP is counted frame by frame (" + why + ")"
	}
}

// print writes what is new of the findings.
func (w *watcher) print(changed []rules.Finding) error {
	for _, f := range changed {
		if err := writeChange(w.io.out, w.format, f); err != nil {
			return err
		}
	}
	return nil
}

// run follows the events until the context or a source ends.
func (w *watcher) run(ctx context.Context, wire bool) error {
	sources := []iter.Seq2[analyze.Event, error]{w.kernel(ctx, wire)}
	if wire {
		sources = append(sources, w.live(ctx), w.clear(ctx))
	} else {
		w.ready()
	}
	sources = append(sources, w.daemons(ctx))
	o := capture.SequenceOptions{Origin: w.origin(), Warn: w.io.say, Bytes: w.memory.held()}
	for e, err := range capture.Sequence(ctx, o, sources...) {
		if err != nil {
			return err
		}
		if err := w.see(e); err != nil {
			return err
		}
	}
	return failure(ctx)
}

// failure returns why the context ended, nil where that was meant to be.
func failure(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// live returns the frames. When they end, because no interface could be opened,
// the kernel's events end too.
func (w *watcher) live(ctx context.Context) iter.Seq2[analyze.Event, error] {
	frames := capture.Live(ctx, capture.LiveOptions{
		Interfaces: w.interfaces, Netns: w.netns, Host: w.host, Warn: w.io.say,
		Started: w.ready, Counting: w.countsESP, Flows: w.memory.flows(),
	})
	return func(yield func(analyze.Event, error) bool) {
		for e, err := range frames {
			if err == nil && yield(e, nil) {
				continue
			}
			w.end(err)
			return
		}
	}
}

// clear returns what goes in the clear of what policies are about.
func (w *watcher) clear(ctx context.Context) iter.Seq2[analyze.Event, error] {
	return capture.LiveClear(ctx, capture.ClearOptions{
		Interfaces: w.interfaces, Netns: w.netns, Host: w.host, Warn: w.io.say, Guards: w.guards,
		Tracked: w.keeper.Tracked,
	})
}

// guard says what is to be looked for in the clear from now on.
func (w *watcher) guard() {
	if h := w.engine.State.Host(w.origin()); h != nil {
		guards, _ := h.Guards(w.engine.State.Now.Mono)
		w.guards.Set(guards)
	}
}

// kernel returns the kernel's events. They begin after the frames, so that a
// mistyped interface is the first thing to be noticed, and their beginning is
// when nothing can be missed any more.
func (w *watcher) kernel(ctx context.Context, wire bool) iter.Seq2[analyze.Event, error] {
	events := w.keeper.Events(ctx, func(text string) { w.io.say(text) })
	return func(yield func(analyze.Event, error) bool) {
		select {
		case <-w.opened:
		case <-ctx.Done():
			return
		}
		started := false
		for e, err := range events {
			if err == nil && !started {
				started = true
				w.started(wire)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// daemons returns what the IKE daemons of the namespace tell. There may be none,
// and nothing waits for one.
func (w *watcher) daemons(ctx context.Context) iter.Seq2[analyze.Event, error] {
	events := daemon.Watch(ctx, daemon.Options{
		Netns: w.netns, Host: w.host, Vici: w.vici, Whack: w.whack, Warn: w.io.say, Reach: w.keeper,
	})
	return func(yield func(analyze.Event, error) bool) {
		select {
		case <-w.opened:
			events(yield)
		case <-ctx.Done():
		}
	}
}

// ready is called when frames come in, before the first is looked at. Only now is
// the file of the recording made, so that a mistyped interface does not cost an
// older one. Then the process is locked in.
func (w *watcher) ready() {
	err := w.recording.open()
	if err == nil {
		err = w.io.seal()
	}
	if err != nil {
		w.end(err)
		return
	}
	close(w.opened)
}

// started is called when the kernel is being read too.
func (w *watcher) started(wire bool) {
	what, where := "the kernel", w.host
	if wire {
		what = strings.Join(w.interfaces, ", ")
	}
	if w.netns != "" {
		where += ", namespace " + w.netns
	}
	w.begun(what + " on " + where)
}

// see records an event, judges it and tells what is new.
func (w *watcher) see(e analyze.Event) error {
	if _, ok := e.(*analyze.Tick); ok && unread(w.io.out) {
		return syscall.EPIPE // not only with the next finding, which may be hours away
	}
	return w.changed(w.fold(e))
}

func (w *watcher) fold(e analyze.Event) []rules.Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := w.take(e)
	if _, ok := e.(*analyze.Tick); ok {
		w.guard()
		for _, l := range w.engine.State.Forgotten() {
			l.Origin = w.origin()
			changed = append(changed, w.take(l)...)
		}
	}
	if err := w.turnRing(e); err != nil {
		w.giveUpRecording(err)
	}
	return changed
}

// origin is the network stack that is watched.
func (w *watcher) origin() analyze.Origin { return analyze.Origin{Host: w.host, Netns: w.netns} }

// take records an event, judges it and counts it.
func (w *watcher) take(e analyze.Event) []rules.Finding {
	if err := w.recording.put(e); err != nil {
		w.giveUpRecording(err)
	}
	changed := w.engine.Apply(e)
	w.feed.Saw(e)
	if w.metrics != nil {
		w.metrics.Saw(e)
	}
	return changed
}

// giveUpRecording ends a recording that fails, on a full disk say, and goes on:
// what is wrong on the network is told all the same. What the file holds stays
// readable. That it failed is told at once, and by the exit status.
func (w *watcher) giveUpRecording(err error) {
	w.failed = err
	w.io.say("recording stopped: " + oneLine(err))
	_ = w.recording.close() // it has failed already
}

// summarize says on standard error what was seen.
func (w *watcher) summarize() {
	if w.engine.State.Start.IsZero() {
		return // it never began
	}
	s := w.engine.State
	open, resolved := tally(w.engine.Findings())
	if isTerminal(w.io.err) {
		fmt.Fprint(w.io.err, "\r") // over the ^C
	}
	fmt.Fprintf(w.io.err, "watched for %v: %d control frames, %d ESP or AH packets, %s\nfindings: %d open, %d resolved\n",
		time.Since(w.began).Round(100*time.Millisecond), s.Frames, s.Packets, report.Clean(losses(s)), open, resolved)
	for _, file := range w.recorded {
		fmt.Fprintln(w.io.err, report.Clean(recordedTo(file)))
	}
}

func recordedTo(file string) string {
	return fmt.Sprintf("recorded to %s; ipsecdiag analyze %s says it again", file, file)
}

func tally(findings []rules.Finding) (open, resolved int) {
	for _, f := range findings {
		if f.State == rules.Resolved {
			resolved++
		} else {
			open++
		}
	}
	return open, resolved
}

// losses tells what was not seen, each kind with its count.
func losses(s *analyze.State) string {
	var kinds []string
	counts := map[string]uint64{}
	for _, l := range s.Losses {
		if _, ok := counts[l.What]; !ok {
			kinds = append(kinds, l.What)
		}
		counts[l.What] += l.Count
	}
	for i, k := range kinds {
		if n := counts[k]; n > 0 {
			kinds[i] = fmt.Sprintf("%s (%d)", k, n)
		}
	}
	if len(kinds) == 0 {
		return "nothing lost"
	}
	return "lost: " + strings.Join(kinds, ", ")
}
