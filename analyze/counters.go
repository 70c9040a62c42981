package analyze

import (
	"sort"
	"time"
)

// maxCounterPoints bounds the history of one counter: at one poll a second,
// about the last quarter of an hour in which it rose every second.
const maxCounterPoints = 1024

// series is the history of one counter: its value whenever it changed.
type series struct {
	points []counterPoint
}

type counterPoint struct {
	at    Sighting
	value uint64
}

func (s *series) put(at Sighting, value uint64) {
	if n := len(s.points); n > 0 && s.points[n-1].value == value {
		return
	}
	if len(s.points) >= maxCounterPoints {
		s.points = append(s.points[:0], s.points[maxCounterPoints/4:]...)
	}
	s.points = append(s.points, counterPoint{at: at, value: value})
}

func (s *series) value() uint64 {
	if s == nil || len(s.points) == 0 {
		return 0
	}
	return s.points[len(s.points)-1].value
}

// riseAt returns by how much the counter grew with the latest poll, if that was the one
// seen then. Polls that a busy recorder told of late share their place in the stream.
func (s *series) riseAt(at Sighting) uint64 {
	if s == nil || len(s.points) < 2 {
		return 0
	}
	last, before := s.points[len(s.points)-1], s.points[len(s.points)-2]
	if last.at != at || last.value <= before.value {
		return 0
	}
	return last.value - before.value
}

// rise returns by how much the counter grew after since and up to until, and
// when it grew first and last. What was counted before the history began is not known and
// not counted.
func (s *series) rise(since, until time.Duration) (n uint64, first, last Sighting) {
	if s == nil {
		return 0, first, last
	}
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].at.Mono > since })
	for i = max(i, 1); i < len(s.points) && s.points[i].at.Mono <= until; i++ {
		before, now := s.points[i-1].value, s.points[i].value
		if now <= before { // reset: the namespace or the host started anew
			continue
		}
		if n == 0 {
			first = s.points[i].at
		}
		n, last = n+now-before, s.points[i].at
	}
	return n, first, last
}
