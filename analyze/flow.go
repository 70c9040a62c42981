package analyze

import (
	"net/netip"
	"time"
)

// Bounds on what is kept of one flow.
const (
	maxGaps = 16
	// maxAdvance is the furthest that sequence numbers may jump ahead in an
	// interval and be called lost: beyond it they were set, or have wrapped.
	maxAdvance = 1 << 24
	// behindReplay is how far behind the newest number a whole interval must be to
	// be called a new beginning where numbers are missing: what is late by more
	// falls out of every usual replay window (RFC 4303 section 3.4.3: 64 by default).
	behindReplay = 64
)

// FlowTotal is all that one SPI carried.
type FlowTotal struct {
	Key       FlowKey
	Direction Direction
	First     Sighting
	Last      Sighting
	Packets   uint64
	Bytes     uint64
	MinSeq    uint32
	MaxSeq    uint32
	// Missing is how many sequence numbers no packet had, of those between the
	// smallest and the largest. What came late is not missing.
	Missing uint64
	// Gaps are the intervals in which numbers went missing that are missing still,
	// the latest few.
	Gaps []Gap
	// Restart is when the sequence numbers last began again, as they do when an SA
	// is made anew by hand; nil where they never did. Restarts counts.
	Restart  *Restart
	Restarts int
	// Shared is set where the sender uses the SPI towards other destinations too, as
	// with multicast and keys set by hand (RFC 4552): they share the numbers, and what
	// is missing here may have gone there.
	Shared bool
	// Lengths has bit n set where one of the first packets had n more octets than
	// a multiple of 16, from the SPI to the end of the integrity check value.
	Lengths uint16
	// Longest is the length of the longest packet, on the wire, link layer
	// included, bytes; 0 where nobody told.
	Longest uint32

	epoch     numbering
	history   []flowPoint
	forgotten uint64 // packets before the history begins
}

// Gap is an interval, a second mostly, and how many numbers went missing in it.
type Gap struct {
	At      Sighting // of the interval's last packet
	Missing uint64
	Packets uint64
}

// Restart is a new beginning of sequence numbers under the same SPI.
type Restart struct {
	At    Sighting // of the first packet of the interval that showed it
	After uint32   // the largest number before
	From  uint32   // the first number seen after it
}

// numbering follows the numbers since the SA or the recording began: serial
// numbers, for with ESN only the lower half is on the wire (RFC 4303 section
// 2.2.1).
type numbering struct {
	packets uint64
	span    uint64 // from the smallest to the newest
	oldest  uint32
	newest  uint32
}

func begin(oldest uint32) numbering { return numbering{oldest: oldest, newest: oldest - 1} }

// Twice is how many packets more were seen than sequence numbers, since they last
// began: some came twice.
func (f *FlowTotal) Twice() uint64 {
	if n := &f.epoch; n.packets > n.span {
		return n.packets - n.span
	}
	return 0
}

// Behind reports whether the sequence numbers began again and have not yet passed
// those of before.
func (f *FlowTotal) Behind() bool {
	return f.Restarts > 0 && int32(f.epoch.newest-f.Restart.After) < 0
}

// flow returns the total of one key, nil where there is none.
func (v *View) flow(k FlowKey) *FlowTotal {
	for _, f := range v.Flows {
		if f.Key == k {
			return f
		}
	}
	return nil
}

// newFlow begins the total of a key.
func (s *State) newFlow(v *View, k FlowKey) *FlowTotal {
	f := &FlowTotal{Key: k}
	v.Flows = appendBounded(v.Flows, f, maxFlows)
	name := f.sender(v.Host)
	if o := s.senders[name]; o != nil {
		if o.Key.Dst != k.Dst {
			o.Shared, f.Shared = true, true
		}
		return f
	}
	for len(s.senderLog) >= s.limits.spis() {
		delete(s.senders, s.senderLog[0])
		s.senderLog = s.senderLog[1:]
	}
	s.senders[name], s.senderLog = f, append(s.senderLog, name)
	return f
}

// flowSender is who sends under an SPI, as one host sees it.
type flowSender struct {
	src   netip.Addr
	spi   uint32
	host  uint32 // Host.order
	proto uint8
}

// sender returns who sends under the flow's SPI.
func (f *FlowTotal) sender(h *Host) flowSender {
	return flowSender{f.Key.Src, f.Key.SPI, h.order, f.Key.Proto}
}

// addFlow adds an interval, and returns when its last packet was seen.
func (s *State) addFlow(v *View, e *Flow) (last Sighting) {
	f := v.flow(e.Key)
	if f == nil {
		f = s.newFlow(v, e.Key)
	}
	at := s.Now
	if f.Packets == 0 {
		f.First, f.MinSeq = at.earlier(e.Start), e.MinSeq
	}
	f.Direction, f.Last = e.Direction, at.earlier(e.End)
	f.number(e, at)
	v.run(f, e, at)
	f.Packets += e.Packets
	f.Bytes += e.Bytes
	f.MinSeq, f.MaxSeq = min(f.MinSeq, e.MinSeq), max(f.MaxSeq, e.MaxSeq)
	f.Longest = max(f.Longest, e.Longest)
	f.remember(e)
	return f.Last
}

// Run is what came of ESP and AH from one host of a pair since the last that came
// from the other.
type Run struct {
	Packets uint64 // 0 where the latest came from the other

	first, last moment
	answered    moment // when the other last sent anything; mono is never 0 then
	fromA       bool
}

// Lasted returns how long the run has gone on.
func (r *Run) Lasted() time.Duration { return r.last.mono - r.first.mono }

// Last returns how long after the beginning of the recording its last packet was
// seen.
func (r *Run) Last() time.Duration { return r.last.mono }

// First returns when its first packet was seen, of a flow that belongs to it.
func (r *Run) First(f *FlowTotal) Sighting { return r.first.at(f.Last.place) }

// Answered returns when the other host last sent anything before it, ok is false
// where it never did.
func (r *Run) Answered(f *FlowTotal) (at Sighting, ok bool) {
	return r.answered.at(f.Last.place), r.answered.wall != 0
}

// RunFrom returns what one of the pair has sent under SAs since the other did.
func (v *View) RunFrom(src netip.Addr) Run {
	if r := v.latest; r.fromA == (src == v.Pair.Key.A) {
		return r
	}
	return Run{}
}

// run takes an interval into the run of its sender. Order within an interval is not
// known: of what went both ways in one second the latter told of is the run.
func (v *View) run(f *FlowTotal, e *Flow, at Sighting) {
	r, fromA := &v.latest, e.Key.Src == v.Pair.Key.A
	if r.Packets == 0 || r.fromA != fromA {
		*r = Run{fromA: fromA, first: at.earlier(e.Start).moment(), answered: r.last}
	}
	r.Packets += e.Packets
	r.last = f.Last.moment()
}

// number follows the sequence numbers of an interval.
func (f *FlowTotal) number(e *Flow, at Sighting) {
	n := &f.epoch
	ahead := int32(e.MaxSeq - n.newest)
	switch {
	case e.MaxSeq-e.MinSeq > maxAdvance: // wrapped within the interval, or set
		*n = begin(e.LastSeq + 1)
	case n.packets == 0, ahead > maxAdvance, ahead < -maxAdvance:
		*n = begin(e.MinSeq)
		f.count(e)
	case n.again(e, ahead):
		f.restart(e, at, n.newest, e.FirstSeq)
		*n = begin(e.MinSeq)
		f.count(e)
	case n.againWithin(e):
		f.restart(e, at, max(n.newest, e.MaxSeq), e.MinSeq)
		*n = begin(e.LastSeq + 1)
	case int32(e.MaxSeq-n.oldest) < 0: // late, of before the first that was seen
	default:
		f.count(e)
	}
}

func (f *FlowTotal) restart(e *Flow, at Sighting, after, from uint32) {
	f.Restarts++
	f.Restart = &Restart{At: at.earlier(e.Start), After: after, From: from}
}

// again reports whether an interval begins the numbers anew: it begins at the
// beginning, all of it lies behind, and numbers come twice or from far behind.
// (What is only late fills gaps.)
func (n *numbering) again(e *Flow, ahead int32) bool {
	if ahead > 0 || e.FirstSeq > behindReplay {
		return false
	}
	known := int32(e.MinSeq-n.oldest) >= 0
	twice := known && n.packets+e.Packets > n.span && (e.Packets > 1 || ahead < -1)
	return twice || -ahead >= behindReplay
}

// againWithin reports whether the numbers begin anew within an interval: it ends far
// behind where it began, and holds the beginning.
func (n *numbering) againWithin(e *Flow) bool {
	return e.MinSeq <= behindReplay && int32(n.newest-e.MinSeq) >= behindReplay &&
		int32(e.FirstSeq-e.LastSeq) > 0 && int32(e.MaxSeq-e.LastSeq) >= behindReplay
}

// count adds an interval, the last, that goes on with the numbers.
func (f *FlowTotal) count(e *Flow) {
	n := &f.epoch
	if n.packets > 0 && int32(e.MinSeq-n.newest) <= 0 {
		f.overtaken(f.Last)
	}
	if ahead := int32(e.MaxSeq - n.newest); ahead > 0 {
		n.span += uint64(ahead)
		n.newest = e.MaxSeq
		f.missed(e, int64(ahead)-int64(e.Packets))
	} else {
		f.missed(e, -int64(e.Packets))
	}
	n.packets += e.Packets
}

// lateWithin is how late a packet may come after others that have overtaken it: two
// intervals of counting.
const lateWithin = 2 * time.Second

// overtaken dates the latest gaps anew when packets come late: which of them these
// fill, and which open in the same interval, is not known.
func (f *FlowTotal) overtaken(at Sighting) {
	var open Gap
	i := len(f.Gaps)
	for i > 0 && at.Mono-f.Gaps[i-1].At.Mono <= lateWithin {
		i--
		open.Missing += f.Gaps[i].Missing
		open.Packets += f.Gaps[i].Packets
	}
	if open.At = at; open.Missing > 0 {
		f.Gaps = append(f.Gaps[:i], open)
	}
}

// missed notes numbers that went missing in an interval; what is less than
// nothing came late and fills the latest gaps.
func (f *FlowTotal) missed(e *Flow, missing int64) {
	if missing > 0 {
		f.Missing += uint64(missing)
		f.Gaps = appendBounded(f.Gaps, Gap{At: f.Last, Missing: uint64(missing), Packets: e.Packets}, maxGaps)
		return
	}
	late := min(uint64(-missing), f.Missing)
	f.Missing -= late
	for i := len(f.Gaps) - 1; i >= 0 && late > 0; i-- {
		fills := min(late, f.Gaps[i].Missing)
		f.Gaps[i].Missing -= fills
		late -= fills
		if f.Gaps[i].Missing == 0 {
			f.Gaps = append(f.Gaps[:i], f.Gaps[i+1:]...)
		}
	}
}

// Inbound reports whether a host receives the flow, as its addresses or the
// direction of the frames tell; false where neither is known.
func (v *View) Inbound(f *FlowTotal) bool {
	if v.Local.IsValid() {
		return f.Key.Dst.WithZone("") == v.Local.WithZone("")
	}
	return f.Direction == DirIn
}

// sawFlowFrame notes the length of one of the first packets of a flow that is
// known already: octets from the SPI to the end of the packet.
func (v *View) sawFlowFrame(k FlowKey, length int) {
	if f := v.flow(k); f != nil {
		f.Lengths |= 1 << (length % 16)
	}
}
