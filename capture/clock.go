package capture

import "time"

// stepThreshold is by how much the wall clock and the monotonic one may part
// before that counts as a step. Slewing moves both.
const stepThreshold = 100 * time.Millisecond

// stepMemory is how long after a step events may still come with a time from
// before it.
const stepMemory = time.Second

// smoothClock is the wall clock with its steps taken out: it goes on as if the
// clock had never been set. A suspended host's clock steps forward.
type smoothClock struct {
	read    func() (wall int64, mono time.Duration)
	zero    int64         // wall clock where the monotonic one is 0, before any step
	steps   int64         // sum of all steps, nanoseconds
	before  int64         // that sum before the last step
	stepped time.Duration // when the last step was, on the monotonic clock
	mono    time.Duration // of the last reading
}

// systemClock reads the wall clock, in nanoseconds since 1970, and the monotonic
// one at the same moment.
func systemClock() func() (int64, time.Duration) {
	start := time.Now()
	return func() (int64, time.Duration) {
		now := time.Now()
		return now.UnixNano(), now.Sub(start)
	}
}

func newSmoothClock(read func() (int64, time.Duration)) *smoothClock {
	wall, mono := read()
	return &smoothClock{read: read, zero: wall - int64(mono), stepped: mono - 2*stepMemory, mono: mono}
}

// now returns the time in nanoseconds since 1970, and by how much the wall clock
// was set since the last call, 0 if it was not.
func (c *smoothClock) now() (now int64, step time.Duration) {
	wall, mono, drift := c.measure()
	if drift.Abs() > stepThreshold {
		// The two clocks are read one after the other, and a busy machine may pause
		// in between: only what the second reading shows as well is a step.
		wall, mono, drift = c.measure()
	}
	c.mono = mono
	if drift.Abs() > stepThreshold {
		c.before, c.steps, c.stepped = c.steps, c.steps+int64(drift), mono
		step = drift
	}
	return wall - c.steps, step
}

// measure reads both clocks, and by how much they have parted.
func (c *smoothClock) measure() (wall int64, mono, drift time.Duration) {
	wall, mono = c.read()
	return wall, mono, time.Duration(wall - c.steps - c.zero - int64(mono))
}

// wall returns the wall clock's time for one of the smooth clock.
func (c *smoothClock) wall(now int64) int64 { return now + c.steps }

// place returns where an event belongs that was stamped with the wall clock and
// arrives now. Soon after a step it may have been stamped before it; and no
// event is of the future.
func (c *smoothClock) place(wall, now int64) int64 {
	at := wall - c.steps
	if old := wall - c.before; c.mono-c.stepped < stepMemory && distance(old, now) < distance(at, now) {
		at = old
	}
	return min(at, now)
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
