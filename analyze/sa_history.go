package analyze

import (
	"net/netip"
	"reflect"

	"ipsecdiag/analyze/spd"
)

// maxPastSAs bounds the SAs that left and those that refused packets, of one
// host.
const maxPastSAs = 4096

// SALeft is when and how an SA left the SAD.
type SALeft struct {
	At  Sighting
	How string // in words: "it was deleted"
	SA  spd.SA
}

// SARefusals is what an SA has refused of late, by its own error counters (struct
// xfrm_stats), from the poll before the first rise on.
type SARefusals struct {
	First, Last Sighting // polls that showed a rise
	Refused     spd.SAStats
	// Passed is how many packets it has accepted in that time, and PassedSince how
	// many after the first rise (struct xfrm_lifetime_cur).
	Passed, PassedSince uint64

	before spd.SA // as it was at that poll
	first  uint64 // packets accepted up to the first rise
}

// saName identifies an SA as a packet does.
type saName struct {
	dst   netip.Addr
	proto uint8
	spi   uint32
}

func nameOf(s *spd.SA) saName { return saName{s.Dst.WithZone(""), s.Proto, s.SPI} }

// saHistory is what a host's SAD no longer shows.
type saHistory struct {
	gone     map[saName]SALeft
	goneLog  []saName
	refusals map[saName]*SARefusals
	refLog   []saName
}

// LeftSA returns when the SA of that destination, protocol and SPI was seen to
// leave the SAD.
func (h *Host) LeftSA(dst netip.Addr, proto uint8, spi uint32) (SALeft, bool) {
	l, ok := h.sas.gone[saName{dst.WithZone(""), proto, spi}]
	return l, ok
}

// Refusals returns what an SA was seen to refuse, nil where nothing was.
func (h *Host) Refusals(s *spd.SA) *SARefusals { return h.sas.refusals[nameOf(s)] }

func (x *saHistory) left(l SALeft, s *spd.SA) {
	if s.SPI == 0 {
		return
	}
	l.SA = *s
	name := nameOf(s)
	if x.gone == nil {
		x.gone = map[saName]SALeft{}
	}
	if _, ok := x.gone[name]; !ok {
		x.goneLog = oldestOut(x.gone, x.goneLog, name)
	}
	x.gone[name] = l
	if r := x.refusals[name]; r != nil { // its successor counts from 0
		r.before, r.first = spd.SA{}, 0
		r.Refused, r.Passed, r.PassedSince = spd.SAStats{}, 0, 0
	}
}

// oldestOut makes room for one more name.
func oldestOut[V any](m map[saName]V, log []saName, name saName) []saName {
	for len(log) >= maxPastSAs {
		delete(m, log[0])
		log = log[1:]
	}
	return append(log, name)
}

// flushed notes that all SAs of a protocol left (spd.Database.FlushSAs).
func (x *saHistory) flushed(at Sighting, proto uint8, db *spd.Database) {
	for i := range db.SAs {
		if s := &db.SAs[i]; proto == spd.ProtoAny || proto == 255 || s.Proto == proto {
			x.left(SALeft{At: at, How: "all SAs were flushed"}, s)
		}
	}
}

// replaced compares the SAD with what a snapshot has now.
func (x *saHistory) replaced(at Sighting, was *spd.Database, now []spd.SA) {
	if len(was.SAs) == 0 {
		return
	}
	present := make(map[saName]bool, len(now))
	for i := range now {
		s := &now[i]
		present[nameOf(s)] = true
		x.counted(at, was.FindSA(s.Dst, s.Proto, s.SPI), s)
	}
	for i := range was.SAs {
		if s := &was.SAs[i]; !present[nameOf(s)] {
			x.left(SALeft{At: at, How: "it is gone"}, s)
		}
	}
}

// counted takes in what an SA has counted up to now; old is what was known of it,
// nil where nothing was.
func (x *saHistory) counted(at Sighting, old, s *spd.SA) {
	name := nameOf(s)
	r := x.refusals[name]
	if r == nil && (old == nil || old.Stats == s.Stats) {
		return
	}
	if r == nil {
		if x.refusals == nil {
			x.refusals = map[saName]*SARefusals{}
		}
		r = &SARefusals{First: at, before: *old, first: s.Used.Packets}
		x.refLog = oldestOut(x.refusals, x.refLog, name)
		x.refusals[name] = r
	}
	if b := &r.before; s.Used.Packets < b.Used.Packets || s.Used.AddTime != b.Used.AddTime || s.Stats.ReplayWindow < b.Stats.ReplayWindow {
		r.before, r.first = spd.SA{}, 0 // made anew, it counts from 0
	}
	now := spd.SAStats{
		ReplayWindow:    s.Stats.ReplayWindow - r.before.Stats.ReplayWindow,
		Replay:          s.Stats.Replay - r.before.Stats.Replay,
		IntegrityFailed: s.Stats.IntegrityFailed - r.before.Stats.IntegrityFailed,
	}
	if now != r.Refused && now != (spd.SAStats{}) {
		r.Last = at
	}
	r.Refused, r.Passed, r.PassedSince = now, s.Used.Packets-r.before.Used.Packets, s.Used.Packets-r.first
}

// sameSA reports whether two states of an SA differ in nothing but what it has
// counted.
func sameSA(a, b *spd.SA) bool {
	x, y := *a, *b
	for _, s := range []*spd.SA{&x, &y} {
		s.Used.Bytes, s.Used.Packets, s.Used.UseTime = 0, 0, 0
		s.Replay.OutSeq, s.Replay.InSeq = 0, 0
		s.Stats = spd.SAStats{}
	}
	return reflect.DeepEqual(x, y)
}
