package analyze

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
	// is made anew by hand; zero where they never did. Restarts counts.
	Restart  Restart
	Restarts int
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

// flow returns the total of one key, making it if need be.
func (v *View) flow(k FlowKey) *FlowTotal {
	for _, f := range v.Flows {
		if f.Key == k {
			return f
		}
	}
	f := &FlowTotal{Key: k}
	v.Flows = appendBounded(v.Flows, f, maxFlows)
	return f
}

// applyFlow adds an interval, and returns when its last packet was seen.
func (v *View) applyFlow(e *Flow) (last Sighting) {
	f := v.flow(e.Key)
	at := Seen(e)
	if f.Packets == 0 {
		f.First, f.MinSeq = at.earlier(e.Start), e.MinSeq
	}
	f.Direction, f.Last = e.Direction, at.earlier(e.End)
	f.number(e, at)
	f.Packets += e.Packets
	f.Bytes += e.Bytes
	f.MinSeq, f.MaxSeq = min(f.MinSeq, e.MinSeq), max(f.MaxSeq, e.MaxSeq)
	f.Longest = max(f.Longest, e.Longest)
	f.remember(e)
	return f.Last
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
		f.Restarts++
		f.Restart = Restart{At: at.earlier(e.Start), After: n.newest, From: e.FirstSeq}
		*n = begin(e.MinSeq)
		f.count(e)
	case int32(e.MaxSeq-n.oldest) < 0: // late, of before the first that was seen
	default:
		f.count(e)
	}
}

// again reports whether an interval begins the numbers anew: all of it lies
// behind, and numbers come twice, or it begins at the beginning and far behind.
// (What is only late fills gaps.)
func (n *numbering) again(e *Flow, ahead int32) bool {
	if ahead > 0 {
		return false
	}
	known := int32(e.MinSeq-n.oldest) >= 0
	twice := known && n.packets+e.Packets > n.span && (e.Packets > 1 || ahead < -1)
	return twice || (-ahead >= behindReplay && e.FirstSeq <= behindReplay)
}

// count adds an interval that goes on with the numbers.
func (f *FlowTotal) count(e *Flow) {
	n := &f.epoch
	if ahead := int32(e.MaxSeq - n.newest); ahead > 0 {
		n.span += uint64(ahead)
		n.newest = e.MaxSeq
		f.missed(e, int64(ahead)-int64(e.Packets))
	} else {
		f.missed(e, -int64(e.Packets))
	}
	n.packets += e.Packets
}

// missed notes numbers that went missing in an interval; what is less than
// nothing came late and fills the latest gaps.
func (f *FlowTotal) missed(e *Flow, missing int64) {
	if missing > 0 {
		f.Missing += uint64(missing)
		f.Gaps = appendBounded(f.Gaps, Gap{At: Seen(e).earlier(e.End), Missing: uint64(missing), Packets: e.Packets}, maxGaps)
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
	for _, f := range v.Flows {
		if f.Key == k {
			f.Lengths |= 1 << (length % 16)
		}
	}
}
