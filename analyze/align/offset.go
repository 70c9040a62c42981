package align

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"
)

// fit finds drift and offset. A packet that came by the reference first shows
// the offset plus its delay, one of the other way the offset less its delay: so
// the offset lies between the least that the ones show and the most that the
// others show, and the middle is off by half of that at most.
func (f *Fit) fit(ms []match) {
	start := ms[0].at
	for _, m := range ms {
		start = min(start, m.at)
	}
	drift := drift(ms, start)
	var there, back []int64
	for _, m := range ms {
		d := m.diff - int64(float64(m.at-start)*drift)
		if m.way < 0 {
			back = append(back, d)
		} else {
			there = append(there, d)
		}
	}
	slices.Sort(there)
	slices.Sort(back)
	f.Clock = Clock{at: start, drift: drift}
	switch {
	case len(back) == 0:
		f.oneWay(there[trimmed(len(there))], 0, oneWayDelay)
	case len(there) == 0:
		f.oneWay(back[len(back)-1-trimmed(len(back))], -oneWayDelay, 0)
	default:
		slices.Reverse(back)
		f.between(agreed(back, there))
	}
}

// agreed returns the most that the packets of one way show, which come largest
// first, and the least that those of the other show, without the few that
// contradict all others.
func agreed(back, there []int64) (low, high int64) {
	i, j := trimmed(len(back)), trimmed(len(there))
	for back[i] > there[j] {
		left, right := back[i]-back[len(back)/2], there[len(there)/2]-there[j]
		switch {
		case left >= right && i < len(back)/5:
			i++
		case j < len(there)/5:
			j++
		case i < len(back)/5:
			i++
		default:
			return back[i], there[j]
		}
	}
	return back[i], there[j]
}

// trimmed is how many of the most extreme are left out: clocks do not run quite
// evenly, and a time stamp may come late.
func trimmed(n int) int { return n / 10 }

// between takes the middle of what packets of both ways leave open.
func (f *Fit) between(low, high int64) {
	low, high = min(low, high), max(low, high)
	f.Clock.offset = low + (high-low)/2
	f.Error = time.Duration((high - low + 1) / 2)
	if f.Clock.drift == 0 && low-agree <= 0 && high+agree >= 0 {
		f.same()
		f.Error = time.Duration(max(-low, high, 0))
	}
}

// oneWay takes what the quickest packet shows for the offset, unless that may be
// its delay alone.
func (f *Fit) oneWay(offset, low, high int64) {
	f.Clock.offset, f.Error = offset, -1
	if f.Clock.drift == 0 && offset >= low-agree && offset <= high+agree {
		f.same()
	}
}

func (f *Fit) same() { f.Same, f.Clock = true, Clock{} }

// drift is the slope of the differences over time, 0 where there is none beyond
// chance. Packets of each sender are looked at by themselves, for the two ways
// differ; the slope is the median of those between packets that lie far apart
// (Theil and Sen), which stray ones do not bend.
func drift(ms []match, start int64) float64 {
	bySender := map[uint16][]match{}
	for _, m := range ms {
		bySender[m.sender] = append(bySender[m.sender], m)
	}
	var sum, weight float64
	var slopes []estimate
	for _, sender := range slices.Sorted(maps.Keys(bySender)) {
		if e, ok := slope(bySender[sender], start); ok {
			w := 1 / (e.deviation * e.deviation)
			sum, weight = sum+e.slope*w, weight+w
			slopes = append(slopes, e)
		}
	}
	if weight == 0 {
		return 0
	}
	mean, deviation := sum/weight, 1/math.Sqrt(weight)
	if math.Abs(mean) < 4*deviation || math.Abs(mean) > maxDrift || math.Abs(mean)*float64(span(ms)) < float64(visible) {
		return 0
	}
	for _, e := range slopes { // a queue that grows delays one way alone
		if math.Abs(e.slope-mean) > 4*e.deviation {
			return 0
		}
	}
	return mean
}

// estimate is a slope and its standard deviation.
type estimate struct{ slope, deviation float64 }

// minSlope is the fewest packets that tell a slope.
const minSlope = 10

// visible is what a drift must have come to, to be told from busy recorders.
const visible = 5 * time.Millisecond

// span is how long it took from the first match to the last.
func span(ms []match) int64 {
	from, to := ms[0].at, ms[0].at
	for _, m := range ms {
		from, to = min(from, m.at), max(to, m.at)
	}
	return to - from
}

// slope fits one sender's packets.
func slope(g []match, start int64) (e estimate, ok bool) {
	if len(g) < minSlope {
		return e, false
	}
	slices.SortFunc(g, func(a, b match) int { return int(min(max(a.at-b.at, -1), 1)) })
	half := len(g) / 2
	var slopes []float64
	for i := range half {
		a, b := g[i], g[len(g)-half+i]
		if dt := b.at - a.at; dt > int64(time.Second) {
			slopes = append(slopes, float64(b.diff-a.diff)/float64(dt))
		}
	}
	if len(slopes) < minSlope/2 {
		return e, false
	}
	e.slope = median(slopes)
	e.deviation = uncertainty(g, e.slope, start)
	return e, true
}

// uncertainty is the standard deviation of a slope, from how far the packets are
// off it. A microsecond is the least that a time stamp is off.
func uncertainty(g []match, slope float64, start int64) float64 {
	rest := make([]float64, len(g))
	var mean, square float64
	for i, m := range g {
		t := float64(m.at - start)
		rest[i] = float64(m.diff) - slope*t
		mean += t / float64(len(g))
	}
	for _, m := range g {
		t := float64(m.at-start) - mean
		square += t * t
	}
	middle := median(slices.Clone(rest))
	for i := range rest {
		rest[i] = math.Abs(rest[i] - middle)
	}
	sigma := max(1.4826*median(rest), float64(time.Microsecond))
	return 3 * sigma / math.Sqrt(square) // the median is less sharp than the least squares, and delays are no Gaussian
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// maxSides bounds the addresses of Near and Far.
const maxSides = 256

// sides tells near which observer each sender is, as it is called there.
func (f *Fit) sides(reference, other *Marks, ms []match) {
	votes := map[netip.Addr]int{}
	var order []netip.Addr
	vote := func(m *Marks, sender uint16, n int) {
		if sender > 0 {
			a := m.senders[sender-1]
			if _, known := votes[a]; !known {
				order = append(order, a)
			}
			votes[a] += n
		}
	}
	for _, m := range ms {
		switch {
		case m.way > 0:
			vote(reference, m.sender, 1)
		case m.way < 0:
			vote(other, m.other, -1)
		}
	}
	slices.SortFunc(order, netip.Addr.Compare)
	for _, a := range order {
		switch n := votes[a]; {
		case n > 0 && len(f.Near) < maxSides:
			f.Near = append(f.Near, a)
		case n < 0 && len(f.Far) < maxSides:
			f.Far = append(f.Far, a)
		}
	}
}
