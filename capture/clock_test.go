package capture

import (
	"testing"
	"time"
)

// TestAPauseBetweenTwoClocksIsNoStep holds that a machine which pauses between
// reading the wall clock and the monotonic one does not make the wall clock step,
// that a step is told once, and that a host that was suspended is told from one
// whose clock was set.
func TestAPauseBetweenTwoClocksIsNoStep(t *testing.T) {
	var wall int64
	var pause, passed, slept time.Duration
	clock := newSmoothClock(func() reading {
		w := wall + int64(passed+slept)
		passed += pause
		pause = 0
		return reading{w, passed, slept}
	})
	holds := func(what string, want jump) {
		t.Helper()
		if now, j := clock.now(); j != want || now != int64(passed) {
			t.Errorf("%s: now %d, want %d; jump %+v, want %+v", what, now, passed, j, want)
		}
	}
	pause = 128 * time.Millisecond
	holds("a pause", jump{})
	wall += int64(time.Hour)
	holds("a step", jump{step: time.Hour})
	holds("after the step", jump{})
	wall -= int64(2 * time.Hour)
	holds("a step back", jump{step: -2 * time.Hour})
	slept += time.Hour
	holds("a suspension", jump{slept: time.Hour})
	holds("after the suspension", jump{})
	slept, wall = slept+time.Hour, wall+int64(time.Minute)
	holds("a suspension, and the clock is set", jump{slept: time.Hour, step: time.Minute})
	slept, wall = slept+time.Hour, wall-int64(time.Hour)
	holds("a suspension of which the wall clock does not know", jump{slept: time.Hour, step: -time.Hour})
	holds("after all that", jump{})
}
