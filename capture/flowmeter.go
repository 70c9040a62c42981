package capture

import (
	"time"

	"ipsecdiag/analyze"
)

// defaultFlowKeys is how many keys a FlowMeter remembers unless told otherwise.
const defaultFlowKeys = 65536

// maxEvictedFlows bounds the flows of forgotten keys that wait to be collected.
const maxEvictedFlows = 65536

// FlowMeter counts ESP and AH packets by key, direction and origin. Counting a
// packet of a known key allocates nothing. It remembers a bounded number of
// keys; beyond that the one used longest ago is forgotten, and what it counted
// is handed on as a Flow of its own, so that no packet is lost.
type FlowMeter struct {
	limit   int
	entries []meterEntry
	index   map[meterKey]int32
	recent  [4096]int32 // direct-mapped by SPI: place in entries plus one
	newest  int32       // ends of the list in order of last use
	oldest  int32
	active  []int32 // entries of this interval, in order of their first packet
	evicted []*analyze.Flow
	lost    uint64
}

// meterKey is what is counted apart. The origin is told by its pointer.
type meterKey struct {
	flow      analyze.FlowKey
	origin    *analyze.Origin
	direction analyze.Direction
}

// meterEntry is a key with its counts in this interval; packets is 0 where
// there were none.
type meterEntry struct {
	key          meterKey
	seen         uint64 // packets since the key was first seen
	packets      uint64
	bytes        uint64
	start, end   int64 // nanoseconds since 1970
	first, last  uint32
	smallest     uint32
	largest      uint32
	longest      uint32 // packet, bytes on the wire
	newer, older int32  // list in order of last use; none is -1
	listed       bool   // in active
}

const none = int32(-1)

// NewFlowMeter returns a meter that remembers up to limit keys, a default of
// 65,536 where limit is 0.
func NewFlowMeter(limit int) *FlowMeter {
	if limit <= 0 {
		limit = defaultFlowKeys
	}
	return &FlowMeter{limit: limit, index: map[meterKey]int32{}, newest: none, oldest: none}
}

// Add counts one packet, wireLen bytes long on the wire, seen at a time in
// nanoseconds since 1970. It returns how many packets its key has had, this one
// included. All packets of one origin must come with the same pointer.
func (m *FlowMeter) Add(key analyze.FlowKey, dir analyze.Direction, origin *analyze.Origin, at int64, wireLen int, seq uint32) uint64 {
	i := m.find(meterKey{key, origin, dir})
	e := &m.entries[i]
	if e.packets == 0 {
		e.start, e.end, e.first, e.smallest, e.largest, e.longest = at, at, seq, seq, seq, 0
		m.list(i)
	}
	e.seen++
	e.packets++
	e.bytes += uint64(wireLen)
	e.longest = max(e.longest, uint32(wireLen))
	e.start, e.end = min(e.start, at), max(e.end, at)
	e.last, e.smallest, e.largest = seq, min(e.smallest, seq), max(e.largest, seq)
	return e.seen
}

// Frames returns how many packets of a key Add was told of since the key was
// first seen.
func (m *FlowMeter) Frames(key analyze.FlowKey, dir analyze.Direction, origin *analyze.Origin) uint64 {
	if i, ok := m.index[meterKey{key, origin, dir}]; ok {
		return m.entries[i].seen
	}
	return 0
}

// AddCounted adds what somebody else has counted of a key in this interval. Such
// packets are not among those that Add and Frames tell the number of.
func (m *FlowMeter) AddCounted(key analyze.FlowKey, dir analyze.Direction, origin *analyze.Origin, c *countSum) {
	i := m.find(meterKey{key, origin, dir})
	e := &m.entries[i]
	sum := countSum{
		Packets: e.packets, Bytes: e.bytes, Start: uint64(e.start), End: uint64(e.end),
		First: e.first, Last: e.last, Smallest: e.smallest, Largest: e.largest, Longest: e.longest,
	}
	sum.add(c)
	e.packets, e.bytes, e.start, e.end = sum.Packets, sum.Bytes, int64(sum.Start), int64(sum.End)
	e.first, e.last, e.smallest, e.largest, e.longest = sum.First, sum.Last, sum.Smallest, sum.Largest, sum.Longest
	m.list(i)
}

// list notes that an entry has counts in this interval.
func (m *FlowMeter) list(i int32) {
	if e := &m.entries[i]; !e.listed {
		e.listed = true
		m.active = append(m.active, i)
	}
}

// find returns the entry of a key, the newest in the list from now on.
func (m *FlowMeter) find(k meterKey) int32 {
	slot := &m.recent[k.flow.SPI%uint32(len(m.recent))]
	if i := *slot - 1; i >= 0 && m.entries[i].key == k {
		m.use(i)
		return i
	}
	i, ok := m.index[k]
	if ok {
		m.use(i)
	} else {
		i = m.insert(k)
	}
	*slot = i + 1
	return i
}

func (m *FlowMeter) insert(k meterKey) int32 {
	var i int32
	if len(m.entries) < m.limit {
		i = int32(len(m.entries))
		m.entries = append(m.entries, meterEntry{})
	} else {
		i = m.oldest
		m.evict(i)
	}
	m.entries[i] = meterEntry{key: k, listed: m.entries[i].listed}
	m.index[k] = i
	m.push(i)
	return i
}

// evict forgets the key of an entry and takes it out of the list.
func (m *FlowMeter) evict(i int32) {
	e := &m.entries[i]
	switch {
	case e.packets == 0:
	case len(m.evicted) < maxEvictedFlows:
		m.evicted = append(m.evicted, e.flow(e.end))
	default:
		m.lost += e.packets
	}
	delete(m.index, e.key)
	m.unlink(i)
}

// use makes an entry the newest.
func (m *FlowMeter) use(i int32) {
	if m.newest != i {
		m.unlink(i)
		m.push(i)
	}
}

func (m *FlowMeter) push(i int32) {
	e := &m.entries[i]
	e.newer, e.older = none, m.newest
	if m.newest != none {
		m.entries[m.newest].newer = i
	} else {
		m.oldest = i
	}
	m.newest = i
}

func (m *FlowMeter) unlink(i int32) {
	e := &m.entries[i]
	if e.newer != none {
		m.entries[e.newer].older = e.older
	} else {
		m.newest = e.older
	}
	if e.older != none {
		m.entries[e.older].newer = e.newer
	} else {
		m.oldest = e.newer
	}
}

// Evicted returns the flows of keys that were forgotten since the last call,
// each at the time of its last packet. It is nil most of the time, and is to be
// asked often: 65,536 are kept, and Lost counts the packets of the others.
func (m *FlowMeter) Evicted() []*analyze.Flow {
	flows := m.evicted
	m.evicted = nil
	return flows
}

// Lost returns how many packets were counted and then lost since the last call,
// because nobody asked for Evicted.
func (m *FlowMeter) Lost() uint64 {
	n := m.lost
	m.lost = 0
	return n
}

// Flush ends an interval: it returns what was counted since the last one, in
// the order of first packets, with the time given (nanoseconds since 1970) in
// the headers.
func (m *FlowMeter) Flush(at int64) []*analyze.Flow {
	flows := m.Evicted()
	for _, i := range m.active {
		e := &m.entries[i]
		if e.packets > 0 {
			flows = append(flows, e.flow(at))
		}
		e.packets, e.bytes, e.listed = 0, 0, false
	}
	m.active = m.active[:0]
	return flows
}

func (e *meterEntry) flow(at int64) *analyze.Flow {
	return &analyze.Flow{
		Header: analyze.Header{Time: unixTime(at), Origin: *e.key.origin},
		Key:    e.key.flow, Direction: e.key.direction,
		Start: unixTime(e.start), End: unixTime(e.end),
		Packets: e.packets, Bytes: e.bytes,
		FirstSeq: e.first, LastSeq: e.last, MinSeq: e.smallest, MaxSeq: e.largest, Longest: e.longest,
	}
}

// unixTime returns nanoseconds since 1970 as time, UTC.
func unixTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }
