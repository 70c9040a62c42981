package analyze

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds and times of what is followed from one observer to another.
const (
	// arrivalTime is how long a packet may be on its way: far longer than any
	// queue that leaves a link usable.
	arrivalTime = 3 * time.Second
	// lateTime is how much later in the stream than it happened something may
	// come from a busy recorder, and still be taken into account.
	lateTime = 20 * time.Second
	// maxFlights bounds the packets that are on their way at once.
	maxFlights = 1 << 14
	// maxCrossings bounds what is counted apart.
	maxCrossings = 4096
	// clockSlack is how much later than it arrived a packet may seem to have
	// left: clocks are as sure as the delays let them be.
	clockSlack = 500 * time.Millisecond
)

// CrossingKey names the packets of one kind from one observer to another.
type CrossingKey struct {
	From, To Origin // network stacks, or files that stand for them
	Class    MarkClass
	// SPI is that of ESP and AH, the initiator's of IKE; 0 for others.
	SPI uint64
	// Src and Dst are the packets' addresses where they left.
	Src, Dst netip.Addr
}

// Crossing tells what became of the packets of one kind on the way from one
// observer to another: what left here, while both watched, and came there. It is
// counted where the files of several observers are read together.
type Crossing struct {
	CrossingKey
	Left    uint64 // packets of whom it is known whether they arrived
	Arrived uint64
	// Unsure is set where the clocks of the two could not be compared: each was
	// taken at its word for when it watched.
	Unsure bool

	first, last Sighting  // of those lost for good
	open        []*flight // lost, unless they are told of late
	// Of ESP and AH: what each side has counted, and up to which packet it is
	// decided what arrived.
	sent    espCount
	got     *espCount
	pending []espPending
	decided uint32
	settled bool
}

// Lost is how many left and did not arrive.
func (c *Crossing) Lost() uint64 { return c.Left - min(c.Arrived, c.Left) }

// FirstLost is where the first left that did not arrive. Packets of ESP and AH are
// counted and not followed one by one: of them it is not known.
func (c *Crossing) FirstLost() Sighting {
	if c.first.IsZero() && len(c.open) > 0 {
		return c.open[0].at
	}
	return c.first
}

// LastLost is where the last left that did not arrive.
func (c *Crossing) LastLost() Sighting {
	if n := len(c.open); n > 0 {
		return c.open[n-1].at
	}
	return c.last
}

// crossings follows packets. The zero value follows none.
type crossings struct {
	observers []Observer
	owners    map[Origin]*Host
	flights   map[uint64][]*flight
	queue     []*flight // as they left
	late      []*flight // those that were given up, as they left
	early     map[uint64][]*arrival
	earliest  []*arrival // as they came
	received  map[espReceived]*espCount
	byKey     map[CrossingKey]*Crossing
	order     []*Crossing
}

// flight is a packet on its way.
type flight struct {
	mark    uint64
	at      Sighting
	to      []*Crossing // where it is to be seen
	arrived []bool
	late    bool // it was given up
}

// arrival is a packet that is not known to have left.
type arrival struct {
	mark uint64
	at   Sighting
}

// Crossings returns what was counted between observers, in the order in which it
// was first seen. It is empty unless several files are read together.
func (s *State) Crossings() []*Crossing { return s.across.order }

// Crossing returns what became of packets of a kind on the way between two
// observers; nil where none left while both watched.
func (s *State) Crossing(k CrossingKey) *Crossing { return s.across.byKey[k] }

// align begins to follow packets between the observers.
func (s *State) align(a *Alignment) {
	s.Alignment = a
	s.across = crossings{
		observers: a.Observers, owners: s.hosts, flights: map[uint64][]*flight{},
		early: map[uint64][]*arrival{}, received: map[espReceived]*espCount{}, byKey: map[CrossingKey]*Crossing{},
	}
	s.ends = a.ends()
}

// active reports whether there is anything to follow.
func (x *crossings) active() bool { return len(x.observers) > 1 }

// apart reports whether something can be said of the way between two observers.
func apart(a, b *Observer) bool {
	return a.Unread == "" && b.Unread == "" && a.Origin != b.Origin
}

// compared reports whether an observer's clock was compared with others'. That of
// the first file is what the others were compared with.
func (x *crossings) compared(v *Observer) bool { return v.Reference != "" || v == &x.observers[0] }

// at returns an observer that watched on a network stack at that time, nil for
// none.
func (x *crossings) at(o Origin, t time.Time) *Observer {
	for i := range x.observers {
		if v := &x.observers[i]; v.Origin == o && !t.Before(v.From) && !t.After(v.To) {
			return v
		}
	}
	return nil
}

// near reports whether an address is on an observer's side.
func (x *crossings) near(v *Observer, a netip.Addr) bool {
	a = a.WithZone("")
	if slices.Contains(v.Near, a) {
		return true
	}
	h := x.owners[v.Origin]
	return h != nil && h.Owns(a)
}

// leaves reports whether a packet that an observer saw was on its way out.
func (x *crossings) leaves(v *Observer, dir Direction, from netip.Addr) bool {
	switch dir {
	case DirOut:
		return true
	case DirIn:
		return false
	}
	return x.near(v, from)
}

// frame follows one frame of control traffic.
func (x *crossings) frame(at Sighting, dir Direction, p *Packet) {
	if !x.active() {
		return
	}
	m, ok := p.Mark()
	if !ok || m.Class == MarkESP || m.Class == MarkAH {
		return
	}
	o := at.Origin().Kernel()
	v := x.at(o, at.Time)
	if v == nil {
		return
	}
	if x.leaves(v, dir, p.Sender()) {
		x.left(v, at, m, p)
	} else {
		x.came(at, m)
	}
}

// left begins to follow a packet to all observers that have to see it.
func (x *crossings) left(v *Observer, at Sighting, m Mark, p *Packet) {
	f := &flight{mark: m.Key, at: at}
	for i := range x.observers {
		w := &x.observers[i]
		if !apart(v, w) || !x.expects(w, m, p.Dst) || x.at(w.Origin, at.Time) != w || x.at(w.Origin, at.Time.Add(arrivalTime)) != w {
			continue
		}
		dst := p.Dst
		if m.Target.IsValid() {
			dst = m.Target
		}
		k := CrossingKey{From: v.Origin, To: w.Origin, Class: m.Class, SPI: m.SPI, Src: p.Sender(), Dst: dst}
		if c := x.crossing(k, v, w); c != nil {
			f.to = append(f.to, c)
		}
	}
	if len(f.to) == 0 || len(x.queue)+len(x.late) >= maxFlights {
		return
	}
	f.arrived = make([]bool, len(f.to))
	x.flights[f.mark] = append(x.flights[f.mark], f)
	x.queue = append(x.queue, f)
	for i, a := range x.early[f.mark] {
		if f.land(a.at) {
			x.early[f.mark] = slices.Delete(x.early[f.mark], i, i+1)
			return
		}
	}
}

// expects reports whether an observer has to see a packet: one to its own side, or
// that asks for an address there.
func (x *crossings) expects(w *Observer, m Mark, dst netip.Addr) bool {
	switch m.Class {
	case MarkSolicitation, MarkARPRequest, MarkARPReply:
		return x.near(w, m.Target)
	}
	return x.near(w, dst)
}

func (x *crossings) crossing(k CrossingKey, v, w *Observer) *Crossing {
	c := x.byKey[k]
	if c == nil && len(x.order) < maxCrossings {
		c = &Crossing{CrossingKey: k, Unsure: !x.compared(v) || !x.compared(w)}
		x.byKey[k] = c
		x.order = append(x.order, c)
	}
	return c
}

// came ends the way of the packet of that mark that left last before.
func (x *crossings) came(at Sighting, m Mark) {
	var best *flight
	for _, f := range x.flights[m.Key] {
		if f.fits(at) >= 0 && (best == nil || f.at.Time.After(best.at.Time)) {
			best = f
		}
	}
	if best != nil {
		best.land(at)
		return
	}
	if len(x.earliest) < maxFlights {
		a := &arrival{m.Key, at}
		x.early[m.Key] = append(x.early[m.Key], a)
		x.earliest = append(x.earliest, a)
	}
}

// fits returns the place in f.to of the observer at which a packet was seen that
// may be this one, -1 for none.
func (f *flight) fits(at Sighting) int {
	if way := at.Time.Sub(f.at.Time); way < -clockSlack || way > arrivalTime {
		return -1
	}
	o := at.Origin().Kernel()
	return slices.IndexFunc(f.to, func(c *Crossing) bool { return c.To == o && !f.arrived[slices.Index(f.to, c)] })
}

// land counts a packet as arrived where it may be the one that was seen.
func (f *flight) land(at Sighting) bool {
	i := f.fits(at)
	if i < 0 {
		return false
	}
	f.arrived[i] = true
	c := f.to[i]
	c.Arrived++
	if !f.late {
		c.Left++
		return true
	}
	c.open = slices.DeleteFunc(c.open, func(o *flight) bool { return o == f })
	return true
}

// tick gives up the packets that have not arrived, and in the end forgets them.
func (x *crossings) tick(now time.Duration) {
	for len(x.queue) > 0 && now-x.queue[0].at.Mono > arrivalTime {
		x.queue[0].giveUp()
		x.late, x.queue = append(x.late, x.queue[0]), x.queue[1:]
	}
	for len(x.late) > 0 && now-x.late[0].at.Mono > lateTime {
		x.forget(x.late[0])
		x.late = x.late[1:]
	}
	for _, c := range x.order {
		c.decide(now)
	}
	for len(x.earliest) > 0 && now-x.earliest[0].at.Mono > lateTime {
		a := x.earliest[0]
		x.earliest = x.earliest[1:]
		rest := slices.DeleteFunc(x.early[a.mark], func(o *arrival) bool { return o == a })
		if x.early[a.mark] = rest; len(rest) == 0 {
			delete(x.early, a.mark)
		}
	}
}

func (x *crossings) forget(f *flight) {
	rest := slices.DeleteFunc(x.flights[f.mark], func(o *flight) bool { return o == f })
	if x.flights[f.mark] = rest; len(rest) == 0 {
		delete(x.flights, f.mark)
	}
	for i, c := range f.to {
		if f.arrived[i] {
			continue
		}
		c.open = slices.DeleteFunc(c.open, func(o *flight) bool { return o == f })
		c.last = f.at
		if c.first.IsZero() {
			c.first = f.at
		}
	}
}

func (f *flight) giveUp() {
	f.late = true
	for i, c := range f.to {
		if !f.arrived[i] {
			c.Left++
			c.open = append(c.open, f)
		}
	}
}
