package capture

import (
	"time"

	"ipsecdiag/analyze"
)

// maxQuiet is how long ticks go on after the last event. Then they pause, and
// the next event is preceded by the tick of its own second alone: a timestamp
// that lies a century ahead costs no more than that.
const maxQuiet = 600 * time.Second

// stamper completes the headers of events and puts ticks between them. What it
// gives is a pure function of the events and of the end, live and in replay
// alike.
type stamper struct {
	yield func(analyze.Event, error) bool
	begun bool
	base  int64         // when Mono is 0, nanoseconds since 1970
	seq   uint64        // of the last event
	mono  time.Duration // of the last event
	tick  time.Duration // the next tick's
	quiet time.Duration // of the last event that is no tick
	wall  time.Time     // that event's wall clock, set back to Mono 0
}

// event lets one event through. It belongs at a place in time in nanoseconds
// since 1970 on a clock that does not jump; where that has passed, Mono stays
// at what was let through before.
func (s *stamper) event(e analyze.Event, at int64) bool {
	if !s.begun {
		s.begun, s.base, s.tick = true, at, time.Second
	}
	mono := max(time.Duration(at-s.base), s.mono)
	if !s.ticks(mono) {
		return false
	}
	h := e.Head()
	s.mono, s.quiet, s.wall = mono, mono, h.Time.Add(-mono)
	return s.let(e)
}

// first lets an event through before all others, once, at the time of the first.
func (s *stamper) first(e analyze.Event, before item) bool {
	if s.begun {
		return true
	}
	*e.Head() = analyze.Header{Time: before.event.Head().Time}
	return s.event(e, before.at)
}

// let gives an event its place in the stream.
func (s *stamper) let(e analyze.Event) bool {
	s.seq++
	h := e.Head()
	h.Seq, h.Mono = s.seq, s.mono
	return s.yield(e, nil)
}

// ticks lets the ticks up to a time through, as an event at that time wants.
func (s *stamper) ticks(until time.Duration) bool {
	if !s.idle(until) {
		return false
	}
	if s.tick > until {
		return true
	}
	s.tick = until.Truncate(time.Second)
	return s.oneTick()
}

// idle lets ticks through while no event comes.
func (s *stamper) idle(until time.Duration) bool {
	for s.begun && s.tick <= min(until, s.quiet+maxQuiet) {
		if !s.oneTick() {
			return false
		}
	}
	return true
}

// idleAt is idle for a time in nanoseconds since 1970.
func (s *stamper) idleAt(at int64) bool { return s.idle(time.Duration(at - s.base)) }

func (s *stamper) oneTick() bool {
	s.mono = s.tick
	s.tick += time.Second
	return s.let(&analyze.Tick{Header: analyze.Header{Time: s.wall.Add(s.mono)}})
}

// end lets the ticks up to the end of the recording through.
func (s *stamper) end(at int64) bool {
	return !s.begun || s.ticks(time.Duration(at-s.base))
}

// atLeastOnce lets a first tick through where no second has passed: what happens is
// judged at ticks, and a few messages of IKE are over in a fifth of a second.
func (s *stamper) atLeastOnce() bool {
	return !s.begun || s.tick > time.Second || s.ticks(time.Second)
}

// nextTick returns when the next tick of an idle stream is due, in nanoseconds
// since 1970; ok is false where none is.
func (s *stamper) nextTick() (at int64, ok bool) {
	if !s.begun || s.tick > s.quiet+maxQuiet {
		return 0, false
	}
	return s.base + int64(s.tick), true
}
