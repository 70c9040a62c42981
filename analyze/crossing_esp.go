package analyze

import (
	"slices"
	"time"
)

// decisionTime is after how long it is clear whether packets of ESP arrived: they
// are counted by the second, on each side by itself.
const decisionTime = arrivalTime + 2*time.Second

// maxPending bounds the intervals of one SPI that are not decided yet.
const maxPending = 16

// espCount is what one side has counted of an SPI, by sequence numbers.
type espCount struct {
	packets  uint64
	min, max uint32
	any      bool
}

// espReceived names what arrived: NAT may have given it other addresses.
type espReceived struct {
	host  Origin
	class MarkClass
	spi   uint64
}

// espPending is up to which sequence number packets had left at a time.
type espPending struct {
	at  time.Duration
	max uint32
}

func (c *espCount) add(e *Flow) {
	if !c.any {
		c.any, c.min, c.max = true, e.MinSeq, e.MaxSeq
	}
	c.packets += e.Packets
	c.min, c.max = min(c.min, e.MinSeq), max(c.max, e.MaxSeq)
}

// missing is how many sequence numbers between the first and the last were not
// seen.
func (c *espCount) missing() uint64 {
	span := uint64(c.max-c.min) + 1
	return span - min(c.packets, span)
}

// flow counts ESP and AH on both sides of each SPI.
func (x *crossings) flow(at Sighting, e *Flow) {
	if !x.active() {
		return
	}
	o := at.Origin().Kernel()
	v := x.at(o, e.Start)
	if v == nil || x.at(o, e.End) != v {
		return
	}
	m := FlowMark(e.Key, 0)
	if x.leaves(v, e.Direction, e.Key.Src) {
		x.flowLeft(at, v, m, e)
		return
	}
	if g := x.gotten(espReceived{o, m.Class, m.SPI}); g != nil {
		g.add(e)
	}
}

// gotten returns the count of what arrived, making it if need be; nil where there
// are too many.
func (x *crossings) gotten(k espReceived) *espCount {
	g := x.received[k]
	if g == nil && len(x.received) < maxCrossings {
		g = &espCount{}
		x.received[k] = g
	}
	return g
}

func (x *crossings) flowLeft(at Sighting, v *Observer, m Mark, e *Flow) {
	for i := range x.observers {
		w := &x.observers[i]
		if !apart(v, w) || !x.near(w, e.Key.Dst) || x.at(w.Origin, e.Start) != w || x.at(w.Origin, e.End) != w {
			continue
		}
		c := x.crossing(CrossingKey{From: v.Origin, To: w.Origin, Class: m.Class, SPI: m.SPI, Src: e.Key.Src, Dst: e.Key.Dst}, v, w)
		g := x.gotten(espReceived{w.Origin, m.Class, m.SPI})
		if c == nil || g == nil {
			continue
		}
		c.got = g
		c.sent.add(e)
		if x.at(w.Origin, e.End.Add(arrivalTime)) == w && len(c.pending) < maxPending {
			c.pending = append(c.pending, espPending{at.Mono, c.sent.max})
		}
	}
}

// decide counts what had time to arrive.
func (c *Crossing) decide(now time.Duration) {
	for len(c.pending) > 0 && now-c.pending[0].at > decisionTime {
		c.decided, c.settled = c.pending[0].max, true
		c.pending = slices.Delete(c.pending, 0, 1)
	}
	if c.settled {
		c.count()
	}
}

// count works out what arrived of what left: within the sequence numbers that the
// receiver saw, those that are missing there and not at the sender; before and
// after them, all that left while both watched and the last had time to arrive.
func (c *Crossing) count() {
	s, g := &c.sent, c.got
	if !g.any {
		c.Left, c.Arrived = uint64(c.decided-s.min)+1, 0
		return
	}
	lost := g.missing() - min(s.missing(), g.missing())
	if s.min < g.min {
		lost += uint64(g.min - s.min)
	}
	if c.decided > g.max {
		lost += uint64(c.decided - g.max)
	}
	c.Arrived = g.packets
	c.Left = c.Arrived + lost
}
