package capture

import "time"

// stepThreshold is by how much the wall clock and the monotonic one may part
// before that counts as a step. Slewing moves both.
const stepThreshold = 100 * time.Millisecond

// stepMemory is how long after a step events may still come with a time from
// before it.
const stepMemory = time.Second

// reading is what the clocks show at one moment.
type reading struct {
	wall int64         // nanoseconds since 1970
	mono time.Duration // CLOCK_MONOTONIC: stands still while the host is suspended
	// slept is for how long it has been suspended since it booted: what
	// CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC.
	slept time.Duration
}

// smoothClock is the wall clock with its steps taken out, and the time during
// which the host was suspended: it goes on as if the clock had never been set, and
// stands still while nothing can happen. What has lasted for ten seconds when a lid
// is closed has so when it is opened: nobody has missed an answer meanwhile.
type smoothClock struct {
	read    func() reading
	zero    int64         // wall clock where the monotonic one is 0, before any step
	steps   int64         // sum of all steps and suspensions, nanoseconds
	before  int64         // that sum before the last step
	stepped time.Duration // when the last step was, on the monotonic clock
	mono    time.Duration // of the last reading
	slept   time.Duration // of the last suspension
}

// systemClock reads the clocks of this host at the same moment.
func systemClock() func() reading {
	start := time.Now()
	return func() reading {
		now := time.Now()
		return reading{now.UnixNano(), now.Sub(start), sleptTime()}
	}
}

func newSmoothClock(read func() reading) *smoothClock {
	r := read()
	return &smoothClock{
		read: read, zero: r.wall - int64(r.mono), stepped: r.mono - 2*stepMemory, mono: r.mono, slept: r.slept,
	}
}

// jump is what happened to the wall clock since the last call, apart from its
// going on.
type jump struct {
	step  time.Duration // by how much it was set
	slept time.Duration // for how long the host was suspended
}

// now returns the time in nanoseconds since 1970, and whether the wall clock has
// jumped since the last call.
func (c *smoothClock) now() (now int64, j jump) {
	r, drift, slept := c.measure()
	if drift.Abs() > stepThreshold || slept > stepThreshold {
		// The clocks are read one after the other, and a busy machine may pause
		// in between: only what the second reading shows as well is a step.
		r, drift, slept = c.measure()
	}
	c.mono = r.mono
	if slept > stepThreshold {
		c.slept, j.slept = r.slept, slept
	}
	if drift.Abs() > stepThreshold {
		c.before, c.steps, c.stepped = c.steps, c.steps+int64(drift), r.mono
	}
	if step := drift - j.slept; step.Abs() > stepThreshold {
		j.step = step
	}
	return r.wall - c.steps, j
}

// measure reads the clocks, by how much they have parted, and how much of that is
// a suspension.
func (c *smoothClock) measure() (r reading, drift, slept time.Duration) {
	r = c.read()
	return r, time.Duration(r.wall - c.steps - c.zero - int64(r.mono)), r.slept - c.slept
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
