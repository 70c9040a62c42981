package capture

import (
	"testing"
	"time"
)

// TestAPauseBetweenTwoClocksIsNoStep holds that a machine which pauses between
// reading the wall clock and the monotonic one does not make the wall clock step,
// and that a step is told once.
func TestAPauseBetweenTwoClocksIsNoStep(t *testing.T) {
	var wall int64
	var pause, passed time.Duration
	clock := newSmoothClock(func() (int64, time.Duration) {
		w := wall + int64(passed)
		passed += pause
		pause = 0
		return w, passed
	})
	pause = 128 * time.Millisecond
	if now, step := clock.now(); step != 0 || now != int64(128*time.Millisecond) {
		t.Errorf("a pause: now %d, step %s", now, step)
	}
	wall += int64(time.Hour)
	if now, step := clock.now(); step != time.Hour || now != int64(passed) {
		t.Errorf("a step: now %d, step %s", now, step)
	}
	if now, step := clock.now(); step != 0 || now != int64(passed) {
		t.Errorf("after the step: now %d, step %s", now, step)
	}
}
