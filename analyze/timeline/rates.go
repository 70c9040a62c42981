package timeline

import (
	"time"

	"ipsecdiag/analyze"
)

// buckets is how many values a Series holds. One that spans a minute has
// buckets of a second, one that spans a day of several minutes.
const buckets = 120

// maxSeries bounds the series of either kind; those beyond it are counted.
const maxSeries = 256

// Series is a sum over time: bytes of an SPI, or rises of a counter.
type Series struct {
	Start analyze.Sighting // of the first value
	Width time.Duration    // of a bucket
	Total uint64
	Max   uint64 // the largest bucket
	sums  []uint64
}

// Buckets returns the sums, oldest first, and when the first one began on the
// monotonic clock.
func (s *Series) Buckets() (first time.Duration, sums []uint64) {
	return s.Start.Mono.Truncate(s.Width), s.sums
}

// add puts a value into its bucket, making all wider where that is too far on.
func (s *Series) add(at analyze.Sighting, value uint64) {
	if s.sums == nil {
		s.Start, s.Width = at, time.Second
	}
	n := s.index(at)
	for n >= buckets {
		s.widen()
		n = s.index(at)
	}
	for len(s.sums) <= n {
		s.sums = append(s.sums, 0)
	}
	s.sums[n] += value
	s.Total += value
	s.Max = max(s.Max, s.sums[n])
}

func (s *Series) index(at analyze.Sighting) int {
	return int(max(0, (at.Mono-s.Start.Mono.Truncate(s.Width))/s.Width))
}

// widen doubles the width of the buckets.
func (s *Series) widen() {
	old, odd := s.sums, int(s.Start.Mono/s.Width)&1
	s.Width *= 2
	s.sums, s.Max = make([]uint64, 0, buckets), 0
	for i, v := range old {
		n := (i + odd) / 2
		for len(s.sums) <= n {
			s.sums = append(s.sums, 0)
		}
		s.sums[n] += v
		s.Max = max(s.Max, s.sums[n])
	}
}

// FlowRate is what one SPI carried over time, as one observer saw it: bytes.
type FlowRate struct {
	Key     analyze.FlowKey
	Host    analyze.Origin
	Packets uint64
	Series
}

// CounterRate is by how much one counter of one host rose over time.
type CounterRate struct {
	Name string
	Host analyze.Origin
	Series
}

// rates holds all series, in the order in which they began.
type rates struct {
	flows    []*FlowRate
	counters []*CounterRate
	bySPI    map[uint32][]*FlowRate // those of flows
	beyond   int
}

func (r *rates) flow(now analyze.Sighting, e *analyze.Flow) {
	host := now.Origin().Kernel()
	for _, f := range r.bySPI[e.Key.SPI] {
		if f.Key == e.Key && f.Host == host {
			f.take(now, e)
			return
		}
	}
	if len(r.flows) >= maxSeries {
		r.beyond++
		return
	}
	if r.bySPI == nil {
		r.bySPI = map[uint32][]*FlowRate{}
	}
	f := &FlowRate{Key: e.Key, Host: host}
	r.flows = append(r.flows, f)
	r.bySPI[e.Key.SPI] = append(r.bySPI[e.Key.SPI], f)
	f.take(now, e)
}

func (f *FlowRate) take(now analyze.Sighting, e *analyze.Flow) {
	f.Packets += e.Packets
	f.add(now, e.Bytes)
}

func (r *rates) counter(now analyze.Sighting, name string, by uint64) {
	host := now.Origin().Kernel()
	for _, c := range r.counters {
		if c.Name == name && c.Host == host {
			c.add(now, by)
			return
		}
	}
	if len(r.counters) >= maxSeries {
		r.beyond++
		return
	}
	c := &CounterRate{Name: name, Host: host}
	r.counters = append(r.counters, c)
	c.add(now, by)
}

// Flows returns the rates of all SPIs, in the order in which they were first
// seen.
func (t *Timeline) Flows() []*FlowRate { return t.rates.flows }

// Counters returns the rises of all counters of lost packets, in the order in
// which they first rose.
func (t *Timeline) Counters() []*CounterRate { return t.rates.counters }
