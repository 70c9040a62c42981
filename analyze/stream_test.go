package analyze

import (
	"testing"
	"time"
)

// stream feeds a state with events, a tenth of a second apart unless told
// otherwise.
type stream struct {
	t     testing.TB
	state *State
	mono  time.Duration
	seq   uint64
	log   []Event
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// here is where the frames of a stream are seen.
var here = Origin{Host: "glass", Interface: "eth0"}

func newStream(t testing.TB) *stream {
	return &stream{t: t, state: NewState(Limits{})}
}

// apply folds an event at the stream's time; one without an origin is here.
func (s *stream) apply(e Event) {
	s.mono += 100 * time.Millisecond
	s.seq++
	h := e.Head()
	if h.Origin == (Origin{}) {
		h.Origin = here
		if KindOf(e) != KindFrame && KindOf(e) != KindFlow {
			h.Origin = here.Kernel()
		}
	}
	h.Time, h.Mono, h.Seq = epoch.Add(s.mono), s.mono, s.seq
	s.log = append(s.log, e)
	s.state.Apply(e)
}

// frame folds an Ethernet frame.
func (s *stream) frame(b []byte) {
	s.apply(&Frame{Link: LinkEthernet, OrigLen: len(b), Data: b})
}

// pass lets time go by, with a tick each second.
func (s *stream) pass(d time.Duration) {
	for end := s.mono + d; s.mono < end; {
		s.mono = min(end, s.mono+time.Second) - 100*time.Millisecond
		s.apply(&Tick{})
	}
}

// views returns every view of every pair.
func (s *stream) views() []*View {
	var all []*View
	s.state.Pairs(func(p *Pair) { all = append(all, p.Views...) })
	return all
}

// onlyView returns the view where there must be exactly one.
func (s *stream) onlyView() *View {
	s.t.Helper()
	v := s.views()
	if len(v) != 1 {
		s.t.Fatalf("%d views, want 1", len(v))
	}
	return v[0]
}
