package kernel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/beat"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

// eventQueue is how many events may wait for the consumer before messages wait
// in the sockets' receive buffers.
const eventQueue = 1024

// Watch yields a Snapshot, then what changes, until the context ends, the
// consumer breaks out, or an error ends it, which is yielded last. Without
// CAP_NET_ADMIN it warns and goes on with the neighbour table, the counters and
// the listeners.
func Watch(ctx context.Context, o Options) iter.Seq2[analyze.Event, error] {
	o = o.withDefaults()
	return func(yield func(analyze.Event, error) bool) {
		inner, cancel := context.WithCancel(ctx)
		out := make(chan analyze.Event, eventQueue)
		done := make(chan error, 1)
		place := namespace(o.Netns)
		go func() {
			defer close(out)
			done <- netns.Do(place, func() error { return watch(inner, o, out) })
		}()
		defer func() { // nothing is left behind, whichever way it ends
			cancel()
			for range out {
			}
		}()
		for e := range out {
			if !yield(e, nil) {
				return
			}
		}
		if err := <-done; ctx.Err() == nil && err != nil {
			yield(nil, fmt.Errorf("watch kernel: %w", err))
		}
	}
}

// namespace returns what netns.Do needs to reach the namespace of that name
// from another thread: for the current one its path, where the calling thread
// is in another namespace than the process.
func namespace(name string) string {
	if name != "" {
		return name
	}
	here := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	thread, err1 := os.Readlink(here)
	process, err2 := os.Readlink("/proc/self/ns/net")
	if err1 != nil || err2 != nil || thread == process {
		return ""
	}
	return here
}

// watcher holds what Watch knows, on one thread in the namespace.
type watcher struct {
	*reader
	out chan<- analyze.Event

	xfrm    *socket // nil without privilege
	route   *socket
	acquire acquirer

	counters  map[string]uint64
	sysctls   map[string]string // coreSysctls only
	who       []analyze.Listener
	neighbors neighborTable
	young     youngSAs
	refused   refusedSAs
	room      []spd.SA // for dumps, which come each second while there are larval SAs
	sockets   uint32   // number of socket policies

	nextPoll   time.Time
	polls      int
	renewal    time.Time // when a snapshot is due; zero: never
	renewed    time.Time // when the last one was finished
	renewCost  time.Duration
	nsIdentity os.FileInfo // of the named namespace
}

// watch runs in the namespace until the context ends.
func watch(ctx context.Context, o Options, out chan<- analyze.Event) error {
	waiter, err := newWaiter(ctx)
	if err != nil {
		return err
	}
	defer waiter.Close()
	w := &watcher{reader: newReader(o, waiter), out: out}
	defer w.closeSockets()
	if err := w.open(); err != nil {
		return err
	}
	if err := w.renew(); err != nil {
		return err
	}
	w.nextPoll = beat.Next(time.Now(), o.Poll)
	for {
		if err := w.step(); err != nil {
			return err
		}
	}
}

// step waits for the next thing and does it.
func (w *watcher) step() error {
	ready, err := w.w.Wait(time.Until(w.nextDue()), w.fds()...)
	if err != nil {
		return err
	}
	for _, r := range ready {
		if err := w.readable(r.FD); err != nil {
			return err
		}
	}
	if now := time.Now(); !now.Before(w.nextPoll) {
		w.nextPoll = beat.Next(now, w.o.Poll)
		if err := w.poll(); err != nil {
			return err
		}
	}
	if !w.renewal.IsZero() && !time.Now().Before(w.renewal) {
		return w.renew()
	}
	return nil
}

func (w *watcher) nextDue() time.Time {
	if !w.renewal.IsZero() && w.renewal.Before(w.nextPoll) {
		return w.renewal
	}
	return w.nextPoll
}

// emit hands an event to the consumer; it waits while that is busy, and
// overruns show how long that was.
func (w *watcher) emit(e analyze.Event) error {
	if e.Head().Time.IsZero() {
		*e.Head() = w.header()
	}
	select {
	case w.out <- e:
		return nil
	case <-w.w.ctx.Done():
		return w.w.ctx.Err()
	}
}

// lost tells of missing events and asks for a fresh snapshot.
func (w *watcher) lost(what string) error {
	w.renewSoon(0)
	return w.emit(&analyze.Lost{What: what})
}

// Bounds on how often a snapshot is made because something changed.
const (
	renewDebounce = 250 * time.Millisecond // changes come in bursts
	renewEvery    = 2 * time.Second
	renewAtLatest = 5 * time.Second
)

// renewSoon asks for a fresh snapshot after a delay, and no sooner than a
// decent interval after the last one, which grows with what that took.
func (w *watcher) renewSoon(delay time.Duration) {
	due := time.Now().Add(delay)
	earliest := w.renewed.Add(min(max(renewEvery, dumpShare*w.renewCost), renewAtLatest))
	if due.Before(earliest) {
		due = earliest
	}
	if w.renewal.IsZero() || due.Before(w.renewal) {
		w.renewal = due
	}
}

// renew emits a snapshot and makes it what later polls are compared with.
func (w *watcher) renew() error {
	started := time.Now()
	s, err := w.snapshot()
	if err != nil {
		return err
	}
	w.counters, w.who = s.Counters, s.Listeners
	w.neighbors.reset(s.Neighbors)
	w.young.reset(s.SAs)
	w.refused.reset(s.SAs)
	w.sysctls, _ = w.proc.sysctls(coreSysctls)
	if w.xfrm != nil {
		w.sockets, _ = countSocketPolicies(w.w)
	}
	w.renewal, w.renewed, w.renewCost = time.Time{}, time.Now(), time.Since(started)
	return w.emit(s)
}

// errGone says that the namespace is no longer there under its name. Our own
// sockets would keep it alive unseen.
var errGone = errors.New("the network namespace is gone")

// checkNamespace reports a named namespace that was removed or replaced.
func (w *watcher) checkNamespace() error {
	if w.o.Netns == "" {
		return nil
	}
	now, err := os.Stat(netns.Path(w.o.Netns))
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if w.nsIdentity == nil {
		w.nsIdentity = now
	}
	if !os.SameFile(now, w.nsIdentity) {
		return errGone
	}
	return nil
}
