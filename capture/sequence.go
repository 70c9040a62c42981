package capture

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// Defaults of Sequence.
const (
	// defaultWindow is how long events are held to be ordered. A block of the
	// capture ring comes up to 60 ms late, and its reader may be waiting for the
	// kernel's counts. A tick is a second after the last at most, so what proves
	// a fault is told within 1.15 s.
	defaultWindow = 150 * time.Millisecond
	// maxHeld bounds the events that are held; beyond that the earliest go
	// through before their window is over.
	maxHeld      = 65536
	maxHeldBytes = 64 << 20
	// endPatience is how long sources may take to end once the context is done.
	endPatience = time.Second
	// clockInterval is how often the clocks are compared at least.
	clockInterval = time.Second
)

// SequenceOptions tell how live sources are merged. The zero value is ready.
type SequenceOptions struct {
	// Window is how long events are held to be ordered, 150 ms if zero.
	Window time.Duration
	// Bytes bounds what is held, about, 64 MiB if zero; beyond it, too, the earliest
	// go through before their window is over.
	Bytes int
	// Origin is that of the Lost events that tell of steps of the clock, and of
	// times during which the host was suspended.
	Origin analyze.Origin
	// Warn gets what they say; it may be nil.
	Warn func(string)

	clock func() reading // for tests; see systemClock
}

// Sequence merges live sources into one stream in the order of time. It fills
// in Seq and Mono, puts a Tick on every whole second, also when nothing else
// happens, and where the wall clock was set or the host was suspended, a Lost
// event; Mono goes on as if it had not been. What Files yields needs no Sequence: it has all this already.
//
// The stream ends when all sources have ended, when the context ends, after what
// is held was let through, or with the first error of a source. The sources must
// end with the context, or after yield returned false; who breaks out of the
// range loop ends the context too.
func Sequence(ctx context.Context, opt SequenceOptions, sources ...iter.Seq2[analyze.Event, error]) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) {
		q := newSequencer(opt, yield)
		in := make(chan arrival, 256)
		stop := make(chan struct{})
		defer close(stop)
		for i, s := range sources {
			go pump(s, i, in, stop)
		}
		more, err := q.run(ctx, in, len(sources))
		if more && q.finish() && err != nil {
			yield(nil, err)
		}
	}
}

// arrival is what came from a source; event is nil where the source ended.
type arrival struct {
	event  analyze.Event
	err    error
	source int
}

// pump hands on what a source yields until it ends or nobody wants more.
func pump(source iter.Seq2[analyze.Event, error], i int, in chan<- arrival, stop <-chan struct{}) {
	send := func(a arrival) bool {
		select {
		case in <- a:
			return true
		case <-stop:
			return false
		}
	}
	for e, err := range source {
		if err != nil {
			send(arrival{err: err, source: i})
			return
		}
		if e != nil && !send(arrival{event: e, source: i}) {
			return
		}
	}
	send(arrival{source: i})
}

// sequencer holds events until no earlier one is to be expected.
type sequencer struct {
	stamper stamper
	clock   *smoothClock
	origin  analyze.Origin
	warn    func(string)
	window  int64 // nanoseconds
	bytes   int   // that may be held
	held    holder
}

func newSequencer(opt SequenceOptions, yield func(analyze.Event, error) bool) *sequencer {
	if opt.Window <= 0 {
		opt.Window = defaultWindow
	}
	if opt.clock == nil {
		opt.clock = systemClock()
	}
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	if opt.Bytes <= 0 {
		opt.Bytes = maxHeldBytes
	}
	return &sequencer{
		stamper: stamper{yield: yield}, clock: newSmoothClock(opt.clock),
		origin: opt.Origin, warn: opt.Warn, window: int64(opt.Window), bytes: opt.Bytes,
	}
}

// run takes what the sources send until all have ended; more is false where the
// consumer broke out of the loop.
func (q *sequencer) run(ctx context.Context, in <-chan arrival, open int) (more bool, err error) {
	timer := time.NewTimer(clockInterval)
	defer timer.Stop()
	done := ctx.Done()
	var grace <-chan time.Time
	for open > 0 {
		select {
		case a := <-in:
			switch {
			case a.err != nil && !ended(ctx, a.err):
				return true, a.err
			case a.event == nil:
				open--
			default:
				q.take(a)
			}
		case <-timer.C:
		case <-done:
			done, grace = nil, time.After(endPatience)
		case <-grace:
			return true, nil
		}
		now := q.now()
		if !q.release(now) {
			return false, nil
		}
		timer.Reset(q.wait(now))
	}
	return true, nil
}

// ended reports whether an error is but the context's end.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// now returns the time on the smooth clock, and holds a Lost event where the
// wall clock was set or the host was suspended.
func (q *sequencer) now() int64 {
	now, jump := q.clock.now()
	if jump.slept != 0 {
		q.jumped(now, wasSuspended+jump.slept.Round(time.Millisecond).String())
	}
	if jump.step != 0 {
		q.jumped(now, clockStepped+jump.step.Round(time.Millisecond).String())
	}
	return now
}

func (q *sequencer) jumped(now int64, what string) {
	q.warn(what)
	h := analyze.Header{Time: unixTime(q.clock.wall(now)), Origin: q.origin}
	q.held.add(&analyze.Lost{Header: h, What: what}, now, -1)
}

// What begins the words of a Lost event that tells of a clock that was set, and of
// a host that was suspended.
const (
	clockStepped = "clock stepped by "
	wasSuspended = "host was suspended for "
)

// steppedBy returns by how much the wall clock was set, where a Lost event tells of
// that.
func steppedBy(e *analyze.Lost) (step time.Duration, ok bool) { return timeAfter(e, clockStepped) }

// suspendedFor returns for how long the host was suspended, where a Lost event
// tells of that.
func suspendedFor(e *analyze.Lost) (d time.Duration, ok bool) { return timeAfter(e, wasSuspended) }

// timeAfter returns the duration that follows those words.
func timeAfter(e *analyze.Lost, words string) (d time.Duration, ok bool) {
	text, ok := strings.CutPrefix(e.What, words)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// take holds an event.
func (q *sequencer) take(a arrival) {
	now := q.now()
	h := a.event.Head()
	if h.Time.IsZero() {
		h.Time = unixTime(q.clock.wall(now))
	}
	h.Time = h.Time.UTC().Round(0) // without the reading of the monotonic clock
	q.held.add(a.event, q.clock.place(h.Time.UnixNano(), now), a.source)
}

// release lets through what was held for its window, and the ticks.
func (q *sequencer) release(now int64) bool {
	until := now - q.window
	for q.held.Len() > 0 && (q.held.first().at <= until || q.held.Len() > maxHeld || q.held.bytes > q.bytes) {
		if h := q.held.take(); !q.stamper.event(h.event, h.at) {
			return false
		}
	}
	return q.stamper.idleAt(until)
}

// wait returns how long nothing will have to be let through.
func (q *sequencer) wait(now int64) time.Duration {
	next := now + int64(clockInterval)
	if q.held.Len() > 0 {
		next = min(next, q.held.first().at+q.window)
	}
	if at, ok := q.stamper.nextTick(); ok {
		next = min(next, at+q.window)
	}
	return time.Duration(max(next-now, 0))
}

// finish lets through all that is held, and the ticks up to the end.
func (q *sequencer) finish() bool {
	now := q.now()
	for q.held.Len() > 0 {
		if h := q.held.take(); !q.stamper.event(h.event, h.at) {
			return false
		}
	}
	return q.stamper.end(now)
}
