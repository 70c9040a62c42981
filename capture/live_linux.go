package capture

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/await"
	"ipsecdiag/capture/beat"
	"ipsecdiag/capture/kernel"
)

// liveInterval is how often flows are told, drops asked for and interfaces
// looked after.
const liveInterval = time.Second

// Live yields what passes the interfaces from now on, not sequenced: a Frame
// for each frame of control traffic and the first ones of each flow of ESP or
// AH, a Flow each second for each flow, Lost for what the kernel dropped and
// for interfaces that go down or away. One that is gone is waited for, and one
// that is renamed is followed; Warn is told of either. It ends without an error
// once the context is done. An error before it has begun comes first and alone; a
// missing CAP_NET_RAW is fs.ErrPermission.
//
// Frames of one stream have one link type: Ethernet or bare IP for one
// interface, as it is, and LINKTYPE_LINUX_SLL2 for several. A packet that
// several related devices show is yielded once (see deduper); loopback shows
// each packet once, as incoming.
func Live(ctx context.Context, opt LiveOptions) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) {
		l, err := openLive(ctx, opt)
		if err != nil {
			yield(nil, err)
			return
		}
		defer l.close()
		l.yield = yield
		if opt.Started != nil {
			opt.Started()
		}
		err = l.run()
		if err == nil {
			err = l.drain()
		}
		err = errors.Join(err, l.account(time.Now(), true))
		if err != nil && !l.stopped {
			yield(nil, err)
		}
	}
}

// live is the state of one stream. All of it belongs to the goroutine that
// ranges over the stream.
type live struct {
	ctx      context.Context
	opt      LiveOptions
	sources  *liveSources
	links    *kernel.LinkReader // nil where one interface is watched
	counting counting
	socket   *packetSocket
	waiter   *await.Poller
	framer   framer
	sorter   liveSorter
	due      time.Time // of the next look after things
	seek     time.Time // of the next look for an interface that is gone

	yield   func(analyze.Event, error) bool
	stopped bool // yield returned false and must not be called again
}

// run reads blocks and looks after things until the stream ends.
func (l *live) run() error {
	l.due = beat.Next(time.Now(), liveInterval)
	for l.ctx.Err() == nil && !l.stopped {
		if err := l.step(); err != nil {
			return err
		}
		if err := l.whatIsDue(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// whatIsDue looks after things where it is time to.
func (l *live) whatIsDue(now time.Time) error {
	switch {
	case !now.Before(l.due):
		l.due = beat.Next(now, liveInterval)
		return l.lookAfter(now)
	case l.sources.missing() && !now.Before(l.seek):
		return l.follow(now)
	}
	return nil
}

// step reads a block of the ring or waits for one.
func (l *live) step() error {
	block := l.socket.ring.block()
	if block == nil {
		return l.wait()
	}
	return l.take(block)
}

// take takes the frames out of a block and gives it back.
func (l *live) take(block []byte) error {
	err := blockFrames(block, l.frame)
	l.socket.ring.release()
	// A block holds fewer packets than the meter keeps forgotten flows.
	l.emitFlows(l.sorter.meter.Evicted())
	return err
}

// wait waits for a block, for the context's end and for the time to look after
// things. Where the socket has an error, its interface went down or away: that
// is soon to be looked at, but not before the kernel is done with it.
func (l *live) wait() error {
	until := l.due
	if l.sources.missing() && l.seek.Before(until) {
		until = l.seek
	}
	ready, err := l.waiter.Wait(time.Until(until), l.socket.fd)
	if l.ctx.Err() != nil {
		return nil // the stream ends
	}
	if len(ready) > 0 && ready[0].Events&(unix.POLLERR|unix.POLLHUP) != 0 {
		l.socket.clearError()
		if soon := time.Now().Add(liveInterval / 10); soon.Before(l.due) {
			l.due = soon
		}
	}
	return err
}

// drain takes what came before the end out of the ring, so that every frame is
// accounted for: the kernel hands a block over when its time is up.
func (l *live) drain() error {
	if err := l.socket.deafen(); err != nil {
		return fmt.Errorf("detach filter: %w", err)
	}
	for !l.stopped {
		block := l.socket.ring.block()
		if block == nil {
			if more, err := l.socket.poll(4 * retireMillis * time.Millisecond); err != nil || !more {
				return err
			}
			continue
		}
		if err := l.take(block); err != nil {
			return err
		}
	}
	return nil
}

// frame takes one frame out of the ring and reports whether to go on.
func (l *live) frame(f *ringFrame) bool {
	if shownTwice(f) {
		return true
	}
	origin := l.sources.originOf(f.index)
	l.counting.saw(f.index, f.hatype, l.sources.groups)
	data, length := l.framer.frame(f)
	seen := analyze.Frame{
		Header:    analyze.Header{Time: unixTime(f.at), Origin: *origin},
		Link:      l.framer.link,
		Direction: direction(f),
		OrigLen:   length,
		Data:      data,
	}
	if l.sorter.wanted(&seen, origin, f.index, l.sources.groups.of(f.index)) {
		event := seen
		event.Data = slices.Clone(data)
		l.emit(&event)
	}
	return !l.stopped
}

// lookAfter does what is to be done each second.
func (l *live) lookAfter(now time.Time) error {
	if err := l.account(now, false); err != nil {
		return err
	}
	l.sources.lookAfter()
	err := l.follow(now)
	l.counting.regroup(l.sources.groups)
	l.counting.forget(l.sources.gone)
	return err
}

// account yields what was counted in the interval that ends, and what was lost.
// After the last one nothing comes out of the ring any more.
func (l *live) account(now time.Time, last bool) error {
	if err := l.counting.read(l.sorter.meter, l.sources.originOf, last); err != nil {
		return err
	}
	l.emitFlows(l.sorter.meter.Flush(now.UnixNano()))
	if n := l.sorter.meter.Lost(); n > 0 {
		l.lost(now, "packets of too many flows", "", n)
	}
	drops, err := l.socket.drops()
	if drops > 0 {
		l.lost(now, fmt.Sprintf("frames dropped by the kernel on %s", l.sources), "", drops)
	}
	return err
}

func (l *live) emitFlows(flows []*analyze.Flow) {
	for _, flow := range flows {
		l.emit(flow)
	}
}

// lost yields that something is missing, on an interface where it has a name.
func (l *live) lost(now time.Time, what, name string, count uint64) {
	origin := l.sources.origin
	origin.Interface = name
	head := analyze.Header{Time: now.UTC(), Origin: origin}
	l.emit(&analyze.Lost{Header: head, What: what, Count: count})
}

// emit hands an event on unless the consumer has had enough.
func (l *live) emit(e analyze.Event) {
	if !l.stopped {
		l.stopped = !l.yield(e, nil)
	}
}
