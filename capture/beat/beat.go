// Package beat has what is done again and again done at the same moments, by all
// goroutines and by both processes of a watch. A process that sleeps until then is
// woken once for all of it: what a watch of a quiet host costs is being woken. Pure.
package beat

import "time"

// Next returns the first moment after now at which something is due that is due
// every so often: a multiple of that by the wall clock, no later than one interval
// from now. It carries now's reading of the monotonic clock, so that setting the wall
// clock moves moments, but none further away than that.
func Next(now time.Time, every time.Duration) time.Time {
	return now.Add(every - time.Duration(now.UnixNano()%int64(every)))
}
