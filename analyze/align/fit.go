package align

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze"
)

// Limits of what is believed of clocks.
const (
	// maxDrift is far more than any crystal's: those of computers are specified
	// within 100 ppm, and NTP corrects up to 500 ppm (RFC 5905 section 7.3,
	// appendix A.1.1: MAXFREQ).
	maxDrift = 1000e-6
	// agree is how far apart clocks may be shown and are called the same: what
	// lies between a packet's passing and its time stamp on a busy machine.
	agree = int64(2 * time.Millisecond)
	// oneWayDelay is the longest delay that is taken for a delay and not for the
	// clocks where packets went one way only (ITU-T G.114 bears 400 ms).
	oneWayDelay = int64(500 * time.Millisecond)
	// spread is how far apart the delays of packets may be that belong to one
	// fit.
	spread = int64(2 * time.Second)
	// period is well below the shortest time after which anything is sent again
	// that has the same mark: neighbour discovery's second (RFC 4861 section 10).
	period = int64(600 * time.Millisecond)
	// maxRepeats bounds the sightings of one mark that are compared with each
	// other.
	maxRepeats = 16
)

// Fit is how the clock of one observer stands to that of another.
type Fit struct {
	Clock Clock
	// Error is how much the offset may be off: half of what packets of both
	// ways leave open. Where packets went one way only it is negative: their
	// delay is part of the offset, and how long it was cannot be known.
	Error time.Duration
	// Matched are the packets that both saw.
	Matched int
	// Same is set where the packets leave it open whether the clocks differ at
	// all: then they are taken for the same.
	Same bool
	// Near and Far are the senders whose packets came by the reference first,
	// and by the other observer first, as each of them saw their addresses.
	Near, Far []netip.Addr
}

// match is a packet that both saw.
type match struct {
	key    uint64
	at     int64 // on the reference's clock
	diff   int64 // the other's time less the reference's
	sender uint16
	other  uint16 // the sender as the other saw it
	way    int8   // +1: came by the reference first; -1: last; 0: not known
	// control is set for what is neither ESP nor AH.
	control bool
	sure    bool // both saw it equally often, and these are in the same place
}

// Compare fits the clock of other to that of the reference. ok is false where
// the packets that both saw are too few, or do not bear it out.
func Compare(reference, other *Marks) (f Fit, ok bool) {
	sure, all := matches(reference, other)
	base := sure
	if len(base) < 3 {
		base = all
	}
	rough, ok := coarse(base)
	if !ok {
		return f, false
	}
	all = nearest(all, rough)
	if !plausible(reference, other, all, rough) {
		return f, false
	}
	ways(all)
	f.Matched = len(all)
	f.fit(all)
	f.sides(reference, other, all)
	return f, true
}

// matches pairs what both saw: those marks that both saw equally often, in their
// order, and beside them every pair of each mark.
func matches(reference, other *Marks) (sure, all []match) {
	control := true
	collect := func(a, b []sighting) {
		for i, x := range a[:min(len(a), maxRepeats)] {
			for j, y := range b[:min(len(b), maxRepeats)] {
				m := match{x.key, x.at, y.at - x.at, x.sender, y.sender, way(x.dir, y.dir), control, len(a) == len(b) && i == j}
				all = append(all, m)
				if m.sure {
					sure = append(sure, m)
				}
			}
		}
	}
	shared(&reference.control, &other.control, collect)
	control = false
	shared(&reference.volume, &other.volume, collect)
	return sure, all
}

// way tells by the directions in which the two saw a packet whom it passed first.
func way(here, there analyze.Direction) int8 {
	switch {
	case here == analyze.DirOut || there == analyze.DirIn && here == analyze.DirUnknown:
		return 1
	case there == analyze.DirOut:
		return -1
	}
	return 0
}

// line is a first idea of the difference of two clocks.
type line struct {
	from  int64 // on the reference's clock
	diff  int64 // then
	drift float64
}

func (l line) at(t int64) int64 { return l.diff + int64(float64(t-l.from)*l.drift) }

func (l line) off(m match) int64 {
	d := m.diff - l.at(m.at)
	return max(d, -d)
}

// coarse finds the difference that most matches share, give or take what delays
// and drift may add: it is that of the fullest window.
func coarse(ms []match) (l line, ok bool) {
	if len(ms) == 0 {
		return l, false
	}
	ms = slices.Clone(ms)
	slices.SortFunc(ms, func(a, b match) int { return cmp.Compare(a.diff, b.diff) })
	to := ms[0].at
	l.from = to
	for _, m := range ms {
		l.from, to = min(l.from, m.at), max(to, m.at)
	}
	width := int64(300*time.Millisecond) + int64(float64(to-l.from)*maxDrift)
	best, first := 0, 0
	for i, j := 0, 0; j < len(ms); j++ {
		for ms[j].diff-ms[i].diff > width {
			i++
		}
		n := j - i + 1
		none := ms[i].diff <= width/2 && ms[j].diff >= -width/2 // of equal ones, that clocks agree
		if n > best || n == best && none {
			best, first = n, i
		}
	}
	window := ms[first : first+best]
	l.drift = drift(slices.Clone(window), l.from)
	slices.SortFunc(window, func(a, b match) int { return cmp.Compare(a.diff-l.at(a.at), b.diff-l.at(b.at)) })
	middle := window[best/2]
	l.diff = middle.diff - l.at(middle.at)
	return l, true
}

// nearest keeps for each packet one pair: that of the same place among equally
// many, where it fits, or the one that fits the difference best.
func nearest(all []match, l line) []match {
	apart := func(m match) int64 {
		if off := l.off(m); !m.sure || off > period {
			return off
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b match) int { return cmp.Compare(apart(a), apart(b)) })
	type packet struct {
		key uint64
		at  int64
	}
	here, there := map[packet]bool{}, map[packet]bool{}
	var kept []match
	for _, m := range all {
		a, b := packet{m.key, m.at}, packet{m.key, m.at + m.diff}
		if l.off(m) > spread || here[a] || there[b] {
			continue
		}
		here[a], there[b] = true, true
		kept = append(kept, m)
	}
	return kept
}

// plausible reports whether the clocks may be so: two packets at least, and a
// third of what the one who saw less saw while both watched, of all packets or of
// control traffic, where all others die on the way. Retransmissions are the same
// packets, and two captures one after the other share some of them.
func plausible(reference, other *Marks, ms []match, l line) bool {
	if len(ms) < 2 {
		return false
	}
	from := max(reference.first, other.first-l.at(reference.first)) - spread
	to := min(reference.last, other.last-l.at(reference.last)) + spread
	control := min(reference.control.within(from, to), other.control.within(from+l.at(from), to+l.at(to)))
	volume := min(reference.volume.within(from, to), other.volume.within(from+l.at(from), to+l.at(to)))
	matched := 0
	for _, m := range ms {
		if m.control {
			matched++
		}
	}
	return 3*len(ms) >= control+volume || matched >= 2 && 3*matched >= control
}

// within counts the sightings of a stretch of time.
func (s *sample) within(from, to int64) (n int) {
	for _, x := range s.ordered() {
		if x.at >= from && x.at <= to {
			n++
		}
	}
	return n
}

// ways tells of the matches whose directions nobody knows which way they went:
// as others of that sender did, or else by which of two senders' packets took
// longer to the other observer.
func ways(ms []match) {
	known, diffs := map[uint16]int8{}, map[uint16][]int64{}
	for _, m := range ms {
		diffs[m.sender] = append(diffs[m.sender], m.diff)
		if m.way != 0 {
			known[m.sender] = m.way
		}
	}
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	medians := map[uint16]int64{}
	for s, d := range diffs {
		slices.Sort(d)
		medians[s] = d[len(d)/2]
		low, high = min(low, medians[s]), max(high, medians[s])
	}
	for i := range ms {
		m := &ms[i]
		if m.way == 0 {
			m.way = known[m.sender]
		}
		if m.way == 0 && high > low {
			m.way = 1
			if medians[m.sender]-low < high-medians[m.sender] {
				m.way = -1
			}
		}
	}
}
