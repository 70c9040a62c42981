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
	// maxFlights bounds the packets that are on their way at once.
	maxFlights = 1 << 14
	// maxCrossings bounds what is counted apart.
	maxCrossings = 4096
	// clockSlack is how much later than it arrived a packet may seem to have
	// left where clocks are said to agree.
	clockSlack = 200 * time.Millisecond
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
	// FirstLost and LastLost are where the first and the last left that did not
	// arrive; of ESP and AH, whose packets are counted and not followed one by
	// one, they are zero.
	FirstLost, LastLost Sighting
	// Unsure is set where the clocks of the two could not be compared: each was
	// taken at its word for when it watched.
	Unsure bool

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

// crossings follows packets. The zero value follows none.
type crossings struct {
	observers []Observer
	owners    map[Origin]*Host
	flights   map[uint64][]*flight
	queue     []*flight // in the order of time
	early     map[uint64][]arrival
	earliest  []arrival // in the order of time
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
}

// arrival is a packet that came before it was seen to leave.
type arrival struct {
	mark uint64
	host Origin
	at   time.Duration
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
		early: map[uint64][]arrival{}, received: map[espReceived]*espCount{}, byKey: map[CrossingKey]*Crossing{},
	}
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
	o := at.Origin.Kernel()
	v := x.at(o, at.Time)
	if v == nil {
		return
	}
	if x.leaves(v, dir, p.Sender()) {
		x.left(v, at, m, p)
	} else {
		x.came(o, at.Mono, m)
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
	if len(f.to) == 0 || len(x.queue) >= maxFlights {
		return
	}
	f.arrived = make([]bool, len(f.to))
	x.flights[f.mark] = append(x.flights[f.mark], f)
	x.queue = append(x.queue, f)
	early := x.early[f.mark]
	for i, a := range early {
		if at.Mono-a.at <= clockSlack && f.land(a.host) {
			x.early[f.mark] = slices.Delete(early, i, i+1)
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

// came ends the way of the latest packet of that mark that is still on it.
func (x *crossings) came(o Origin, at time.Duration, m Mark) {
	flights := x.flights[m.Key]
	for i := len(flights) - 1; i >= 0; i-- {
		if flights[i].land(o) {
			return
		}
	}
	if len(x.earliest) < maxFlights {
		a := arrival{m.Key, o, at}
		x.early[m.Key] = append(x.early[m.Key], a)
		x.earliest = append(x.earliest, a)
	}
}

// land counts a packet as arrived; it reports false where it was not to be seen
// there, or was.
func (f *flight) land(o Origin) bool {
	for i, c := range f.to {
		if c.To == o && !f.arrived[i] {
			f.arrived[i] = true
			c.Left++
			c.Arrived++
			return true
		}
	}
	return false
}

// tick gives up the packets that have not arrived.
func (x *crossings) tick(now time.Duration) {
	for len(x.queue) > 0 && now-x.queue[0].at.Mono > arrivalTime {
		f := x.queue[0]
		x.queue = x.queue[1:]
		rest := slices.DeleteFunc(x.flights[f.mark], func(o *flight) bool { return o == f })
		if len(rest) == 0 {
			delete(x.flights, f.mark)
		} else {
			x.flights[f.mark] = rest
		}
		f.giveUp()
	}
	for _, c := range x.order {
		c.decide(now)
	}
	for len(x.earliest) > 0 && now-x.earliest[0].at > clockSlack {
		delete(x.early, x.earliest[0].mark)
		x.earliest = x.earliest[1:]
	}
}

func (f *flight) giveUp() {
	for i, c := range f.to {
		if f.arrived[i] {
			continue
		}
		c.Left++
		c.LastLost = f.at
		if c.FirstLost.IsZero() {
			c.FirstLost = f.at
		}
	}
}
