package analyze

import (
	"sort"
	"time"
)

// maxFlowPoints bounds the history of one SPI: at one interval a second, about
// the last minute in which it carried something.
const maxFlowPoints = 64

// flowPoint is what an SPI had carried at the end of an interval.
type flowPoint struct {
	at      time.Duration // of the interval's last packet
	packets uint64
	longest uint32 // packet of that interval
}

// remember notes what the SPI has carried up to now.
func (f *FlowTotal) remember(e *Flow) {
	if len(f.history) >= maxFlowPoints {
		cut := maxFlowPoints / 4
		f.forgotten = f.history[cut-1].packets
		f.history = append(f.history[:0], f.history[cut:]...)
	}
	f.history = append(f.history, flowPoint{f.Last.Mono, f.Packets, e.Longest})
}

// PacketsBetween returns how many packets came in intervals that ended after
// since and up to until. What came before the history begins is not counted.
func (f *FlowTotal) PacketsBetween(since, until time.Duration) uint64 {
	first, last := f.upTo(since), f.upTo(until)
	return last - min(first, last)
}

func (f *FlowTotal) upTo(t time.Duration) uint64 {
	i := sort.Search(len(f.history), func(i int) bool { return f.history[i].at > t })
	if i == 0 {
		return f.forgotten
	}
	return f.history[i-1].packets
}

// LongerThan returns the intervals after since in which a packet longer than so
// many bytes on the wire came: how many there were, and when the first and the
// last of them ended.
func (f *FlowTotal) LongerThan(bytes uint32, since time.Duration) (n int, first, last time.Duration) {
	for _, p := range f.history {
		if p.at <= since || p.longest <= bytes {
			continue
		}
		if n == 0 {
			first = p.at
		}
		n, last = n+1, p.at
	}
	return n, first, last
}
