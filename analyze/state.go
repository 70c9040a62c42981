package analyze

import (
	"container/list"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze/ike"
)

// Limits bound what a State keeps. Of pairs beyond the limits the longest
// untouched is forgotten, strangers first, so that neither a scan of the network
// nor a flood pushes out those that speak IPsec; what a host beyond the limit sees
// is not taken in. Both are counted in State.Evicted.
type Limits struct {
	Pairs int // default 100,000
	Hosts int // default 1,000
	// Bytes bounds the memory of pairs with all that is kept of them, about; 0 for
	// no such bound. What else is kept is scaled by it.
	Bytes int
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
	Evicted uint64   // pairs, IKE SAs and needs that were forgotten; losses and events of hosts beyond the limits
	Losses  []SeenLoss
	Frames  uint64 // frames handed to the state
	Packets uint64 // ESP and AH packets counted
	// Alignment tells how several files stand to each other; nil for one, and
	// live.
	Alignment *Alignment

	limits    Limits
	hosts     map[Origin]*Host
	latest    *Host                     // whose event came last; nil at first
	pairs     map[PairKey]*list.Element // of crowd; the values are *Pair
	crowd     crowd
	size      int // of the pairs, bytes, where that is bounded
	forgotten map[string]uint64
	made      uint64 // pairs ever made
	judged    judged
	spis      map[ikeKey]*ikeEntry
	spiLog    []ikeKey
	offers    offers
	senders   map[flowSender]*FlowTotal
	senderLog []flowSender
	joiner    reassembler
	across    crossings
	ends      map[Origin]time.Time
	sharedIKE map[hostPair]bool // observers that saw messages of one IKE SA
	scratch   Packet
	trace     Trace
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

// ikeKey is an IKE SA as one host sees it.
type ikeKey struct {
	host uint32 // Host.order
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
		limits: l, hosts: map[Origin]*Host{}, spis: map[ikeKey]*ikeEntry{}, senders: map[flowSender]*FlowTotal{},
		pairs: map[PairKey]*list.Element{}, crowd: newCrowd(),
		joiner: reassembler{most: l.part(16, 4*maxDatagram, maxPieces)},
		offers: offers{most: l.part(16, 8*maxOfferBytes*offerSize, maxOffersSize)},
	}
}

// Apply folds one event. Folding a snapshot twice, or a change that a snapshot
// already holds, changes nothing.
func (s *State) Apply(e Event) {
	s.Now = s.Now.next(e)
	s.trace.reset()
	if s.Start.IsZero() {
		s.Start = s.Now
	}
	switch e := e.(type) {
	case *Lost:
		s.lost(e)
		s.judged.rouseAll()
	case *Alignment:
		s.align(e)
		s.judged.rouseAll()
	case *Tick:
		s.retire()
		s.endHosts()
		s.across.tick(s.Now.Mono)
	default:
		s.applySeen(e)
	}
}

// lost notes a loss; what was lost before in the same words is added up, under
// the time of the first.
func (s *State) lost(e *Lost) {
	for i := range s.Losses {
		if l := &s.Losses[i]; l.What == e.What && l.At.Origin() == s.Now.Origin() {
			l.Count += e.Count
			return
		}
	}
	if len(s.Losses) >= maxLosses {
		s.Evicted++
		return
	}
	s.Losses = append(s.Losses, SeenLoss{At: s.Now, What: e.What, Count: e.Count})
}

// applySeen folds what a host has seen.
func (s *State) applySeen(e Event) {
	h := s.host(e.Head().Origin)
	if h == nil {
		s.Evicted++
		return
	}
	h.seen[1], h.ended = s.Now.Mono, Sighting{}
	h.noteClock(s.Now)
	switch e := e.(type) {
	case *Frame:
		s.Frames++
		s.applyFrame(h, e)
	case *Flow:
		s.Packets += e.Packets
		s.applyFlow(h, e)
	case *Clear:
		s.applyClear(h, e)
	default:
		s.applyKernel(h, e)
		s.judged.rouseAll()
	}
	s.weigh()
}

// host returns the network stack of an origin, making it if need be, nil where
// there are too many (hostile: names without end).
func (s *State) host(o Origin) *Host {
	o = o.Kernel()
	if s.latest != nil && s.latest.Origin == o { // nearly always
		return s.latest
	}
	h := s.hosts[o]
	if h == nil && len(s.Hosts) < s.limits.Hosts {
		h = newHost(o)
		h.seen[0], h.order = s.Now.Mono, uint32(len(s.Hosts))
		s.hosts[o] = h
		s.Hosts = append(s.Hosts, h)
		s.judged.rouseAll()
	}
	s.latest = h
	return h
}

// Host returns the network stack of an origin, nil where it was never seen.
func (s *State) Host(o Origin) *Host { return s.hosts[o.Kernel()] }

// Pair returns the pair of two addresses, nil if it was never seen or is
// forgotten.
func (s *State) Pair(a, b netip.Addr) *Pair {
	if e := s.pairs[MakePairKey(a, b)]; e != nil {
		return e.Value.(*Pair)
	}
	return nil
}

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
	p.Views = append(p.Views, v)
	s.touch(v)
	return v
}

// pair returns the pair of that key as the latest touched, making it if need
// be.
func (s *State) pair(k PairKey) *Pair {
	if e := s.pairs[k]; e != nil {
		s.crowd.touch(e)
		return e.Value.(*Pair)
	}
	if len(s.pairs) >= s.limits.Pairs {
		s.makeRoom()
	}
	s.made++
	p := &Pair{Key: k, Order: s.made}
	s.pairs[k] = s.crowd.push(p)
	return p
}

func (s *State) touch(v *View) {
	v.touched = s.Now.Mono
	s.trace.add(v)
	s.judged.rouse(v)
	if !v.active {
		v.orient() // the host's addresses may have become known, or changed
		s.judged.add(v)
	}
}

// retire takes views out of judgement that nothing has touched for activeTime.
func (s *State) retire() {
	s.judged.rouseDue(s.Now.Mono)
	s.judged.retire(func(v *View) bool { return v.Pair.forgotten || s.Now.Mono-v.touched > activeTime })
}

// orient finds out which end of the pair the observer is.
func (v *View) orient() {
	a, b := v.Pair.Key.A, v.Pair.Key.B
	ownsA, ownsB := v.Host.Owns(a), v.Host.Owns(b)
	v.Local, v.Peer = netip.Addr{}, netip.Addr{}
	switch {
	case ownsA && !ownsB:
		v.Local, v.Peer = a, b
	case ownsB && !ownsA:
		v.Local, v.Peer = b, a
	}
}

func (s *State) applyFlow(h *Host, e *Flow) {
	if !e.Key.Src.IsValid() || !e.Key.Dst.IsValid() {
		return
	}
	s.across.flow(s.Now, e)
	if s.across.active() {
		h.capture(FlowMark(e.Key, 0), true)
	}
	src := zoned(e.Key.Src, e.Origin)
	v := s.view(h, src, zoned(e.Key.Dst, e.Origin))
	v.sawUnicast(src, s.addFlow(v, e))
}

// Counterparts returns what other observers saw of the same two hosts: of the same
// pair, or across NAT of the pair with the same IKE SA.
func (s *State) Counterparts(v *View) []*View {
	var out []*View
	for _, o := range v.Pair.Views {
		if o.Host != v.Host {
			out = append(out, o)
		}
	}
	if len(s.Hosts) < 2 || len(v.IKE) == 0 {
		return out
	}
	spi := v.IKE[len(v.IKE)-1].InitiatorSPI
	for _, h := range s.Hosts {
		if e := s.spis[ikeKey{h.order, spi}]; h != v.Host && e.alive() && !slices.Contains(out, e.view) {
			out = append(out, e.view)
		}
	}
	return out
}
