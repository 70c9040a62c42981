// Package align finds out how the clocks of two observers stand to each other,
// from the packets that both saw. It is pure, and keeps a bounded sample of each
// observer's packets, however many there are.
package align

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze"
)

// maxMarks bounds the sightings that are kept of each kind: control traffic, and
// ESP and AH. Beyond it every other packet is left out, by its mark, so that both
// observers leave out the same ones.
const maxMarks = 1 << 16

// maxSenders bounds the addresses that are told apart.
const maxSenders = 4096

// Marks are the sightings of one observer. The zero value is ready.
type Marks struct {
	control, volume sample
	senders         []netip.Addr
	index           map[netip.Addr]uint16
	first, last     int64
	any             bool
}

// sample is a bounded number of sightings.
type sample struct {
	level uint // only marks whose lowest so many bits are zero are kept
	kept  []sighting
}

// sighting is one packet seen.
type sighting struct {
	key    uint64
	at     int64 // nanoseconds since 1970, on the observer's clock
	sender uint16
	dir    analyze.Direction
}

// Watched notes that the observer was there at a time, nanoseconds since 1970.
func (m *Marks) Watched(at int64) {
	if !m.any {
		m.any, m.first, m.last = true, at, at
	}
	m.first, m.last = min(m.first, at), max(m.last, at)
}

// Span is when the observer began and ended, nanoseconds since 1970.
func (m *Marks) Span() (first, last int64) { return m.first, m.last }

// Add notes that a packet of that mark was seen.
func (m *Marks) Add(mark analyze.Mark, from netip.Addr, dir analyze.Direction, at int64) {
	s := &m.control
	if mark.Class == analyze.MarkESP || mark.Class == analyze.MarkAH {
		s = &m.volume
	}
	if mark.Key&(1<<s.level-1) != 0 {
		return
	}
	s.kept = append(s.kept, sighting{mark.Key, at, m.sender(from), dir})
	if len(s.kept) > maxMarks {
		s.thin(s.level + 1)
	}
}

// thin leaves out all but the marks of a level.
func (s *sample) thin(level uint) {
	if level > s.level {
		s.level = level
		s.kept = slices.DeleteFunc(s.kept, func(x sighting) bool { return x.key&(1<<level-1) != 0 })
	}
}

// sender numbers an address, 0 where there are too many.
func (m *Marks) sender(a netip.Addr) uint16 {
	a = a.WithZone("")
	if i, ok := m.index[a]; ok {
		return i
	}
	if len(m.senders) >= maxSenders {
		return 0
	}
	if m.index == nil {
		m.index = map[netip.Addr]uint16{}
	}
	m.senders = append(m.senders, a)
	i := uint16(len(m.senders))
	m.index[a] = i
	return i
}

// echo is how soon the same packet may be seen again at one observer because two
// of its devices show it. Nobody retransmits so soon (see capture's deduper).
const echo = int64(50 * time.Millisecond)

// ordered returns what was sampled, by mark and time, without echoes.
func (s *sample) ordered() []sighting {
	slices.SortFunc(s.kept, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at))
	})
	return slices.CompactFunc(slices.Clone(s.kept), func(a, b sighting) bool {
		return a.key == b.key && max(a.at-b.at, b.at-a.at) <= echo
	})
}

// shared yields the marks that both have, with all sightings of each.
func shared(a, b *sample, yield func(a, b []sighting)) {
	level := max(a.level, b.level)
	a.thin(level)
	b.thin(level)
	x, y := a.ordered(), b.ordered()
	for len(x) > 0 && len(y) > 0 {
		switch n, m := run(x), run(y); cmp.Compare(x[0].key, y[0].key) {
		case -1:
			x = x[n:]
		case 1:
			y = y[m:]
		default:
			yield(x[:n], y[:m])
			x, y = x[n:], y[m:]
		}
	}
}

// run is how many sightings at the beginning have the same mark.
func run(s []sighting) int {
	n := 1
	for n < len(s) && s[n].key == s[0].key {
		n++
	}
	return n
}
