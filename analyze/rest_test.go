package analyze

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func flowBetween(i int, at time.Duration) *Flow {
	e := &Flow{Header: Header{Origin: here, Time: epoch.Add(at), Mono: at}, Key: espFlow, Packets: 1}
	e.Key.Dst = netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(i >> 8), 15: byte(i)})
	return e
}

func tickAt(at time.Duration) *Tick { return &Tick{Header: Header{Time: epoch.Add(at), Mono: at}} }

func TestARestEndsWhenTouchedOrInTime(t *testing.T) {
	s := NewState(Limits{})
	for i := range 3 {
		s.Apply(flowBetween(10+i, 0))
	}
	s.Apply(tickAt(time.Second))
	views := slices.Clone(s.Awake())
	if len(views) != 3 {
		t.Fatalf("%d views are awake, want 3", len(views))
	}
	s.Rest(views[0], 5*time.Second)
	s.Rest(views[1], 0)
	s.Rest(views[2], 0)
	expectAwake(t, s, 2*time.Second)
	s.Apply(flowBetween(12, 2500*time.Millisecond))
	expectAwake(t, s, 3*time.Second, views[2])
	expectAwake(t, s, 5*time.Second, views[0], views[2])
	s.Apply(flowBetween(11, 5500*time.Millisecond))
	expectAwake(t, s, 6*time.Second, views...)
	s.Rest(views[1], 0)
	expectAwake(t, s, activeTime+time.Second, views[2])
	if got := s.Active(); !slices.Equal(got, views[1:]) {
		t.Errorf("%d views are under judgement, want those that were touched after the start", len(got))
	}
}

// expectAwake lets time pass and looks at who is awake.
func expectAwake(t *testing.T, s *State, at time.Duration, want ...*View) {
	t.Helper()
	s.Apply(tickAt(at))
	if got := s.Awake(); !slices.Equal(got, want) {
		t.Errorf("after %v %d views are awake, want %d", at, len(got), len(want))
	}
}

func TestNobodyRestsWhoDependsOnMore(t *testing.T) {
	tests := map[string]Event{
		"frames were lost":    &Lost{Header: Header{Origin: here}, What: "frames"},
		"the kernel is seen":  &Snapshot{Header: Header{Origin: here}},
		"there is another":    &Flow{Header: Header{Origin: Origin{Host: "another"}}, Key: espFlow, Packets: 1},
		"files are compared":  &Alignment{},
		"the pair is touched": flowBetween(10, time.Second),
	}
	for name, event := range tests {
		s := NewState(Limits{})
		s.Apply(flowBetween(10, 0))
		s.Apply(tickAt(time.Second))
		v := s.Active()[0]
		s.Rest(v, 0)
		s.Apply(event)
		if !slices.Contains(s.Awake(), v) {
			t.Errorf("%s: the view rests on", name)
		}
	}
}

// TestRestKeepsCount plays all that can happen to views at rest, in random order, and
// holds what is awake against what plain reasoning says.
func TestRestKeepsCount(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := NewState(Limits{Pairs: 40})
	resting := map[*View]time.Duration{}
	for second := range 3000 {
		now := time.Duration(second) * time.Second
		for range r.IntN(4) {
			s.Apply(flowBetween(r.IntN(60), now))
		}
		s.Apply(tickAt(now + time.Second/2))
		for v, until := range resting {
			if until <= s.Now.Mono || v.touched >= now || v.Pair.forgotten {
				delete(resting, v)
			}
		}
		want := slices.DeleteFunc(slices.Clone(s.Active()), func(v *View) bool { _, ok := resting[v]; return ok })
		if got := s.Awake(); !slices.Equal(got, want) {
			t.Fatalf("after %v %d views are awake, want %d", now, len(got), len(want))
		}
		for _, v := range slices.Clone(s.Awake()) {
			if until := s.Now.Mono + time.Duration(r.IntN(30))*time.Second; r.IntN(3) > 0 {
				s.Rest(v, until)
				resting[v] = min(until, v.touched+activeTime+1)
			}
		}
	}
}
