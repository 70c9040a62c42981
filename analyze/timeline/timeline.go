package timeline

import (
	"container/list"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
)

// Limits bound what a Timeline keeps.
type Limits struct {
	Bytes int // of all tracks together, about; default 32 MiB
	Pairs int // default 20,000
}

// Timeline is the record. Its zero value is not usable; see New.
type Timeline struct {
	notes     notes
	limits    Limits
	forgotten uint64
	size      int
	pairs     map[analyze.PairKey]*list.Element // of recent; the values are *pairTrack
	recent    *list.List
	hosts     map[analyze.Origin]*Track
	names     map[string]analyze.Origin // of hosts, as evidence names them
	rates     rates
	// spare is room of forgotten tracks, for new ones; spared how many items it is for.
	spare  [][]Item
	spared int
}

type pairTrack struct {
	key analyze.PairKey
	Track
}

// maxHosts bounds the hosts of which a record is kept.
const maxHosts = 256

// New returns an empty record.
func New(l Limits) *Timeline {
	if l.Bytes <= 0 {
		l.Bytes = 32 << 20
	}
	if l.Pairs <= 0 {
		l.Pairs = 20_000
	}
	return &Timeline{
		limits: l, recent: list.New(), pairs: map[analyze.PairKey]*list.Element{},
		hosts: map[analyze.Origin]*Track{}, names: map[string]analyze.Origin{},
	}
}

// Pair returns the record of a pair, nil where there is none. It is valid until
// the next Apply.
func (t *Timeline) Pair(k analyze.PairKey) *Track {
	t.settle()
	if e := t.pairs[k]; e != nil {
		return &e.Value.(*pairTrack).Track
	}
	return nil
}

// Host returns the record of what concerned a host as a whole, nil where there
// is none. It is valid until the next Apply.
func (t *Timeline) Host(o analyze.Origin) *Track { return t.hosts[o.Kernel()] }

// Clone returns a copy of a pair's record that later events do not touch, nil
// where there is none.
func (t *Timeline) Clone(k analyze.PairKey) *Track {
	if p := t.Pair(k); p != nil {
		return p.clone()
	}
	return nil
}

// Forgotten returns how many pairs were dropped for lack of room, the longest
// untouched first.
func (t *Timeline) Forgotten() uint64 {
	t.settle()
	return t.forgotten
}

// Pin keeps what a finding rests on: what was seen at that moment between the
// pair or by the host that evidence calls origin. It reports whether there is
// such a thing.
func (t *Timeline) Pin(k analyze.PairKey, origin string, mono time.Duration, at time.Time) bool {
	if p := t.Pair(k); p != nil && p.pin(mono, at) {
		return true
	}
	if o, ok := t.names[origin]; ok {
		return t.hosts[o].pin(mono, at)
	}
	return false
}

// forget drops the record of the pair that was not touched for the longest time.
func (t *Timeline) forget() {
	p := t.recent.Remove(t.recent.Front()).(*pairTrack)
	delete(t.pairs, p.key)
	t.size -= p.size
	t.forgotten++
	if n := cap(p.Items); (t.spared+n)*itemCost <= t.limits.Bytes {
		clear(p.Items)
		t.spare, t.spared = append(t.spare, p.Items[:0]), t.spared+n
	}
}

func (t *Timeline) newTrack(k analyze.PairKey) *pairTrack {
	p := &pairTrack{key: k}
	if n := len(t.spare); n > 0 {
		p.Items, t.spare = t.spare[n-1], t.spare[:n-1]
		t.spared -= cap(p.Items)
	}
	return p
}

// putHost adds an item to a host's record.
func (t *Timeline) putHost(o analyze.Origin, i Item) {
	o = o.Kernel()
	h := t.hosts[o]
	if h == nil {
		if len(t.hosts) >= maxHosts {
			return
		}
		h = new(Track)
		t.hosts[o], t.names[o.String()] = h, o
	}
	h.add(&i)
}

// run returns the run of ESP under that key which is still going on: nothing else
// has happened to the pair since.
func (t *Track) run(key analyze.FlowKey, o analyze.Origin) *Item {
	for n := len(t.Items) - 1; n >= 0 && t.Items[n].Kind == ESP; n-- {
		i := &t.Items[n]
		if f := i.Event.(*analyze.Flow); f.Key == key && i.At.Origin() == o {
			return i
		}
	}
	return nil
}

// other returns the end of a pair that a is not.
func other(k analyze.PairKey, a netip.Addr) netip.Addr {
	if a == k.A {
		return k.B
	}
	return k.A
}

// Pairs calls f with the record of every pair, the longest untouched first.
func (t *Timeline) Pairs(f func(analyze.PairKey, *Track)) {
	t.settle()
	for e := t.recent.Front(); e != nil; e = e.Next() {
		p := e.Value.(*pairTrack)
		f(p.key, &p.Track)
	}
}
