package capture

import (
	"testing"
	"time"

	"ipsecdiag/analyze"
)

func ticksOf(events []analyze.Event) (list []time.Duration) {
	for _, e := range events {
		if _, ok := e.(*analyze.Tick); ok {
			list = append(list, e.Head().Mono)
		}
	}
	return list
}

func TestStamperTicks(t *testing.T) {
	s := time.Second
	tests := map[string]struct {
		at   []time.Duration
		end  time.Duration
		want []time.Duration
	}{
		"none within a second": {[]time.Duration{0, s - 1}, s - 1, nil},
		"before the event":     {[]time.Duration{0, s}, 0, []time.Duration{s}},
		"up to the end":        {[]time.Duration{0}, 2*s + 1, []time.Duration{s, 2 * s}},
		"late event":           {[]time.Duration{0, 2 * s, s}, 0, []time.Duration{s, 2 * s}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var events []analyze.Event
			for _, at := range tt.at {
				events = append(events, frameAt(at, nil))
			}
			got := stamp(events, tt.end)
			if ticks := ticksOf(got); !equal(ticks, tt.want) {
				t.Errorf("ticks %v, want %v", ticks, tt.want)
			}
			for i, e := range got {
				if e.Head().Seq != uint64(i+1) || (i > 0 && e.Head().Mono < got[i-1].Head().Mono) {
					t.Errorf("event %d: %+v", i, e.Head())
				}
			}
		})
	}
}

func equal[T comparable](a, b []T) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestStamperGap holds that a gap of a century costs 600 ticks and one.
func TestStamperGap(t *testing.T) {
	century := 100*365*24*time.Hour + 500*time.Millisecond
	got := ticksOf(stamp([]analyze.Event{frameAt(0, nil), frameAt(century, nil)}, 0))
	if len(got) != 601 || got[599] != 600*time.Second || got[600] != century.Truncate(time.Second) {
		t.Errorf("%d ticks, the last at %v", len(got), got[len(got)-1])
	}
}

// TestStamperIdle holds that ticks driven by a clock and ticks driven by events
// are the same.
func TestStamperIdle(t *testing.T) {
	var live []analyze.Event
	s := stamper{yield: func(e analyze.Event, _ error) bool { live = append(live, e); return true }}
	feed := func(at time.Duration) { s.event(frameAt(at, nil), t0.Add(at).UnixNano()) }
	feed(0)
	for i := range 1000 {
		s.idle(time.Duration(i) * time.Second)
	}
	feed(1001 * time.Second)
	s.idle(1002 * time.Second)
	s.end(t0.Add(5000 * time.Second).UnixNano())
	replayed := stamp([]analyze.Event{frameAt(0, nil), frameAt(1001*time.Second, nil)}, 5000*time.Second)
	sameEvents(t, live, replayed)
}
