package align

import "time"

// Clock turns the times of an observer into those of another, the reference:
// when the reference shows t, the observer's shows t + offset + drift × (t − at).
// The zero value leaves times as they are.
type Clock struct {
	at     int64 // where the offset is as said, on the reference's clock
	offset int64 // nanoseconds the observer is ahead
	drift  float64
}

// Reference returns what the reference's clock shows when the observer's shows a
// time, both in nanoseconds since 1970.
func (c Clock) Reference(at int64) int64 {
	if c == (Clock{}) {
		return at
	}
	since := at - c.offset - c.at
	return c.at + since - int64(float64(since)*c.drift/(1+c.drift))
}

// After returns the clock that turns times into those of the reference's own
// reference.
func (c Clock) After(reference Clock) Clock {
	if reference == (Clock{}) {
		return c
	}
	at := reference.Reference(c.at)
	offset := c.at + c.offset - at
	return Clock{at, offset, (1+c.drift)*(1+reference.drift) - 1}
}

// Offset is how far the observer's clock is ahead of the reference's where the
// observers' common time begins.
func (c Clock) Offset() time.Duration { return time.Duration(c.offset) }

// Drift is by how much the observer's clock gains on the reference's: 1e-6 is a
// microsecond each second.
func (c Clock) Drift() float64 { return c.drift }
