package analyze

import (
	"container/list"
	"maps"
	"net/netip"
	"slices"
)

// About how much memory things take, bytes, their places in lists and maps
// included.
const (
	pairCost       = 500
	viewCost       = 750
	resolutionCost = 500
	ikeSACost      = 1100
	exchangeCost   = 224
	notifyCost     = 176
	flowCost       = 560
	flowPointCost  = 24
	gapCost        = 104
	needCost       = 640
	acquireCost    = 192
	remarkCost     = 640 // an ICMP error, an end of a lifetime, a leak and the like
	sayingCost     = 1600
)

// regard is how much a pair matters when there is no room for all of them.
type regard uint8

const (
	stranger    regard = iota
	established        // packets under SAs went both ways
	known              // policies or SAs of an observer's kernel are about it
	regards
)

// crowd holds the pairs by regard, in each the longest untouched first. A pair
// begins as a stranger, and is looked at anew when it would have to go.
type crowd [regards]*list.List

func newCrowd() (c crowd) {
	for i := range c {
		c[i] = list.New()
	}
	return c
}

// push adds a pair as the latest touched.
func (c *crowd) push(p *Pair) *list.Element { return c[p.regard].PushBack(p) }

// touch makes a pair the latest touched.
func (c *crowd) touch(e *list.Element) { c[e.Value.(*Pair).regard].MoveToBack(e) }

// Pairs calls f with every pair: those of equal regard the longest untouched first.
func (s *State) Pairs(f func(*Pair)) {
	for _, l := range s.crowd {
		for e := l.Front(); e != nil; e = e.Next() {
			f(e.Value.(*Pair))
		}
	}
}

// weigh follows how much memory the pairs take that an event was about, and
// forgets others where that is too much.
func (s *State) weigh() {
	if s.limits.Bytes <= 0 {
		return
	}
	for _, v := range s.trace.Views {
		if !v.Pair.forgotten {
			was := v.weight
			v.weight = v.weigh()
			s.size += v.weight - was
		}
	}
	for s.size > s.limits.Bytes && len(s.pairs) > 1 {
		s.makeRoom()
	}
}

// weigh returns about how much memory a view takes, bytes.
func (v *View) weigh() int {
	n := viewCost + pairCost/len(v.Pair.Views) + resolutionCost*len(v.Resolutions)
	for _, sa := range v.IKE {
		n += ikeSACost + exchangeCost*cap(sa.Exchanges) + notifyCost*cap(sa.Errors)
	}
	for _, f := range v.Flows {
		n += flowCost + flowPointCost*cap(f.history) + gapCost*cap(f.Gaps)
	}
	if v.Need != nil {
		n += needCost + acquireCost*cap(v.Need.Acquires)
	}
	n += remarkCost * (len(v.Errors) + len(v.InvalidSPIs) + len(v.Expiries) + len(v.Leaks))
	return n + sayingCost*len(v.sayings)
}

// makeRoom forgets a pair: a stranger first, and of equals the longest untouched,
// but not the stranger that came last, which may become more than that.
func (s *State) makeRoom() {
	for i, l := range s.crowd {
		spare := 1
		if i > 0 {
			spare = 0
		}
		for l.Len() > spare {
			e := l.Front()
			p := e.Value.(*Pair)
			if r := s.regard(p); r > p.regard {
				l.Remove(e)
				p.regard = r
				s.pairs[p.Key] = s.crowd.push(p)
				continue
			}
			s.forget(e)
			return
		}
	}
}

// regard looks at what is known of a pair.
func (s *State) regard(p *Pair) regard {
	best := stranger
	for _, v := range p.Views {
		switch {
		case v.Host.KernelSeen && (v.named(p.Key.A, p.Key.B) || v.named(p.Key.B, p.Key.A)):
			return known
		case v.established():
			best = established
		}
	}
	return best
}

// Familiar reports whether two hosts are no strangers: policies of an observer's
// kernel are about them, or packets under SAs went both ways.
func (s *State) Familiar(a, b netip.Addr) bool {
	p := s.Pair(a, b)
	return p != nil && s.regard(p) > stranger
}

// established reports whether packets went both ways under an SA, of IKE or of ESP
// and AH: those that somebody sends who invents them are answered by nobody so.
func (v *View) established() bool {
	apart := func(a, b Direction) bool { return a == DirUnknown || a != b }
	for _, sa := range v.IKE {
		for i := range sa.Exchanges {
			x := &sa.Exchanges[i]
			if x.Request.Encrypted && x.Response.Encrypted && apart(x.Request.Direction, x.Response.Direction) {
				return true
			}
		}
	}
	for _, f := range v.Flows {
		if f.Key.Src != v.Flows[0].Key.Src && apart(f.Direction, v.Flows[0].Direction) {
			return true
		}
	}
	return false
}

// forget drops a pair with all that is kept of it. Its views leave judgement, its
// needs go when they are come across.
func (s *State) forget(e *list.Element) {
	p := e.Value.(*Pair)
	s.crowd[p.regard].Remove(e)
	p.forgotten = true
	delete(s.pairs, p.Key)
	for _, v := range p.Views {
		s.size -= v.weight
		s.judged.leave(v)
		s.unlink(v)
		*v = View{Pair: p, Host: v.Host, standing: v.standing} // who still holds it holds little
	}
	s.evicted("pairs")
}

// unlink takes what a view holds out of the indexes. A place in the order of SPIs
// stays, empty, until its turn comes.
func (s *State) unlink(v *View) {
	for _, sa := range v.IKE {
		s.unlinkIKE(v, sa)
	}
	for _, f := range v.Flows {
		if name := f.sender(v.Host); s.senders[name] == f {
			delete(s.senders, name)
		}
	}
}

func (s *State) unlinkIKE(v *View, sa *IKESA) {
	if e := s.spis[ikeKey{v.Host.order, sa.InitiatorSPI}]; e != nil && e.sa == sa {
		*e = ikeEntry{}
	}
}

// alive reports whether the IKE SA's pair is not forgotten.
func (e *ikeEntry) alive() bool { return e != nil && e.view != nil }

// maxSpared is how many IKE SAs of pairs that are no strangers are passed over at a
// time, in search of a stranger's.
const maxSpared = 8

// roomForSPI forgets the IKE SAs that are too many: the oldest, those of strangers
// first. Places of what is forgotten already cost nothing.
func (s *State) roomForSPI() {
	for spared := 0; len(s.spiLog) >= s.limits.spis(); {
		k := s.spiLog[0]
		s.spiLog = s.spiLog[1:]
		e := s.spis[k]
		if e.alive() && spared < min(len(s.spiLog), maxSpared) && s.regard(e.view.Pair) > stranger {
			spared++
			s.spiLog = append(s.spiLog, k)
			continue
		}
		if e.alive() {
			s.evicted("IKE SAs")
		}
		s.dropSPI(k)
	}
}

// spis is how many IKE SAs are followed by their SPIs.
func (l *Limits) spis() int {
	return l.part(2*ikeSACost, 1024, maxSPIs)
}

// part is a share of what the limits allow: of so many bytes at most, no less than
// those, and as ever where there is no limit.
func (l *Limits) part(share, least, most int) int {
	if l.Bytes <= 0 {
		return most
	}
	return min(most, max(l.Bytes/share, least))
}

// evicted counts what was forgotten for lack of room.
func (s *State) evicted(what string) {
	s.Evicted++
	if s.forgotten == nil {
		s.forgotten = map[string]uint64{}
	}
	s.forgotten[what]++
}

// Evict notes that somebody who follows the state had to forget such things.
func (s *State) Evict(what string) { s.evicted(what) }

// forRoom ends what a Lost event says of things that were forgotten.
const forRoom = " forgotten for lack of room"

// Forgotten returns what was forgotten since it was last asked: events to be folded
// and told like all others.
func (s *State) Forgotten() []*Lost {
	var out []*Lost
	for _, what := range slices.Sorted(maps.Keys(s.forgotten)) {
		head := Header{Time: s.Now.Time, Mono: s.Now.Mono, Origin: s.Now.Origin()}
		out = append(out, &Lost{Header: head, What: what + forRoom, Count: s.forgotten[what]})
	}
	clear(s.forgotten)
	return out
}
