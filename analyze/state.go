package analyze

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze/ike"
)

// Limits bound what a State keeps. What goes beyond is evicted, the oldest
// first, and counted in State.Evicted.
type Limits struct {
	Pairs int // default 100,000
	Hosts int // default 1,000
}

// activeTime is how long a pair stays under judgement after it was last
// touched. It exceeds every threshold of every rule.
const activeTime = 120 * time.Second

// State is the picture that the events fold into. Its zero value is not usable;
// see NewState.
type State struct {
	Now     Sighting // of the last event
	Start   Sighting // of the first event
	Hosts   []*Host  // in the order in which they were first seen
	Evicted uint64   // pairs and IKE SAs that were forgotten
	Losses  []SeenLoss
	Frames  uint64 // frames handed to the state
	Packets uint64 // ESP and AH packets counted

	limits  Limits
	hosts   map[Origin]*Host
	pairs   map[PairKey]*Pair
	order   []PairKey // oldest first
	made    uint64    // pairs ever made
	active  []*View
	spis    map[ikeKey]*ikeEntry
	spiLog  []ikeKey
	joiner  reassembler
	scratch Packet
}

// SeenLoss is a Lost event that was folded.
type SeenLoss struct {
	At    Sighting
	What  string
	Count uint64
}

// Bounds of the lists that are not per pair.
const (
	maxLosses = 256
	maxSPIs   = 65536
)

type ikeKey struct {
	host Origin
	spi  ike.SPI
}

type ikeEntry struct {
	view *View
	sa   *IKESA
}

// NewState returns an empty picture.
func NewState(l Limits) *State {
	if l.Pairs <= 0 {
		l.Pairs = 100_000
	}
	if l.Hosts <= 0 {
		l.Hosts = 1000
	}
	return &State{
		limits: l, hosts: map[Origin]*Host{}, pairs: map[PairKey]*Pair{}, spis: map[ikeKey]*ikeEntry{},
	}
}

// Apply folds one event. Folding a snapshot twice, or a change that a snapshot
// already holds, changes nothing.
func (s *State) Apply(e Event) {
	s.Now = Seen(e)
	if s.Start.IsZero() {
		s.Start = s.Now
	}
	switch e := e.(type) {
	case *Frame:
		s.Frames++
		s.applyFrame(e)
	case *Flow:
		s.Packets += e.Packets
		s.applyFlow(e)
	case *Lost:
		s.Losses = appendBounded(s.Losses, SeenLoss{At: s.Now, What: e.What, Count: e.Count}, maxLosses)
	case *Tick:
		s.retire()
	default:
		s.applyKernel(e)
	}
}

// Host returns the network stack of an origin, making it if need be.
func (s *State) Host(o Origin) *Host {
	o = o.Kernel()
	h := s.hosts[o]
	if h == nil {
		h = newHost(o)
		if len(s.Hosts) >= s.limits.Hosts { // hostile: names without end
			return h
		}
		s.hosts[o] = h
		s.Hosts = append(s.Hosts, h)
	}
	return h
}

// Pair returns the pair of two addresses, nil if it was never seen.
func (s *State) Pair(a, b netip.Addr) *Pair { return s.pairs[MakePairKey(a, b)] }

// Pairs calls f with every pair, the oldest first.
func (s *State) Pairs(f func(*Pair)) {
	for _, k := range s.order {
		if p := s.pairs[k]; p != nil {
			f(p)
		}
	}
}

// Active returns the views that were touched lately, in a stable order. The
// slice is valid until the next Apply.
func (s *State) Active() []*View { return s.active }

// view returns what host h saw of the pair, and marks it as touched.
func (s *State) view(h *Host, a, b netip.Addr) *View {
	p := s.pair(MakePairKey(a, b))
	for _, v := range p.Views {
		if v.Host == h {
			s.touch(v)
			return v
		}
	}
	v := &View{Pair: p, Host: h}
	v.orient()
	p.Views = append(p.Views, v)
	s.touch(v)
	return v
}

func (s *State) pair(k PairKey) *Pair {
	if p := s.pairs[k]; p != nil {
		return p
	}
	for len(s.pairs) >= s.limits.Pairs && len(s.order) > 0 {
		if _, ok := s.pairs[s.order[0]]; ok {
			delete(s.pairs, s.order[0])
			s.Evicted++
		}
		s.order = s.order[1:]
	}
	s.made++
	p := &Pair{Key: k, Order: s.made}
	s.pairs[k] = p
	s.order = append(s.order, k)
	return p
}

func (s *State) touch(v *View) {
	v.touched = s.Now.Mono
	if !v.active {
		v.active = true
		s.active = append(s.active, v)
	}
}

// retire takes views out of judgement that nothing has touched for activeTime.
func (s *State) retire() {
	kept := s.active[:0]
	for _, v := range s.active {
		if s.Now.Mono-v.touched <= activeTime {
			kept = append(kept, v)
		} else {
			v.active = false
		}
	}
	clear(s.active[len(kept):])
	s.active = kept
}

// orient finds out which end of the pair the observer is.
func (v *View) orient() {
	a, b := v.Pair.Key.A, v.Pair.Key.B
	ownsA, ownsB := v.Host.Owns(a), v.Host.Owns(b)
	switch {
	case ownsA && !ownsB:
		v.Local, v.Peer = a, b
	case ownsB && !ownsA:
		v.Local, v.Peer = b, a
	}
}

func (s *State) applyFlow(e *Flow) {
	if !e.Key.Src.IsValid() || !e.Key.Dst.IsValid() {
		return
	}
	s.view(s.Host(e.Origin), e.Key.Src, e.Key.Dst).applyFlow(e)
}
