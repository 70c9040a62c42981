package beat

import (
	"testing"
	"time"
)

// TestNext holds that whoever asks within one interval is told the same moment,
// which is to come, and no more than the interval away.
func TestNext(t *testing.T) {
	const every = 250 * time.Millisecond
	base := time.Now()
	for step := range 2000 {
		now := base.Add(time.Duration(step) * time.Millisecond)
		next := Next(now, every)
		if wait := next.Sub(now); wait <= 0 || wait > every {
			t.Fatalf("%v: in %v", now, wait)
		}
		if next.UnixNano()%int64(every) != 0 {
			t.Fatalf("%v: %v is no multiple of %v", now, next, every)
		}
		if again := Next(next, every); again.Sub(next) != every {
			t.Fatalf("%v is followed by %v", next, again)
		}
	}
}
