package capture

import (
	"time"

	"ipsecdiag/analyze"
)

// firstFrames is how many packets of each ESP or AH flow are handed on as
// frames, besides being counted.
const firstFrames = 8

// flowFrameLen is how much of such a frame is handed on, bytes: the link layer,
// IPv6 with extension headers, UDP, and the ESP or AH header.
const flowFrameLen = 128

// item is an event on its way from a file to the merge.
type item struct {
	event analyze.Event // nil: only time went on
	at    int64         // nanoseconds since 1970 on a clock that does not jump
}

// foreign turns the frames of a capture that other programs made into events:
// control traffic frame by frame, ESP and AH as flows, nothing else.
type foreign struct {
	emit   func(item) bool
	packet analyze.Packet
	meter  *FlowMeter
	due    int64 // when this interval of the meter ends, a whole second
	last   int64 // the latest time seen
	// sampled has every sampleOf-th packet of a flow handed on besides, by its
	// sequence number: two captures of one flow sample the same ones.
	sampled bool
}

const sampleOf = 64

func newForeign(emit func(item) bool, flows int) *foreign {
	return &foreign{emit: emit, meter: NewFlowMeter(flows)}
}

// frame takes one frame; it returns false where the consumer wants no more.
func (f *foreign) frame(r *record) bool {
	if r.at >= f.due && !f.interval(r.at) {
		return false
	}
	f.last = max(f.last, r.at)
	p := &f.packet
	if p.Decode(r.face.link, r.data) != nil {
		return true
	}
	if r.direction == analyze.DirUnknown {
		r.direction = cookedDirection(r.face.link, r.data)
	}
	if key, seq, ok := p.Flow(); ok {
		return f.flow(r, key, seq)
	}
	return !p.Interesting() || f.hand(r, len(r.data))
}

func (f *foreign) flow(r *record, key analyze.FlowKey, seq uint32) bool {
	seen := f.meter.Add(key, r.direction, r.face.origin, r.at, r.length, seq)
	if evicted := f.meter.Evicted(); evicted != nil && !f.handFlows(evicted, r.at) {
		return false
	}
	if seen > firstFrames && !(f.sampled && seq%sampleOf == 0) {
		return true
	}
	return f.hand(r, flowFrameLen)
}

// hand hands on a copy of a frame, cut to n bytes.
func (f *foreign) hand(r *record, n int) bool {
	e := r.frame(*r.face.origin, n)
	e.ReadAhead(&f.packet)
	return f.emit(item{e, r.at})
}

// frame returns a record as an event with bytes of its own.
func (r *record) frame(origin analyze.Origin, n int) *analyze.Frame {
	return &analyze.Frame{
		Header: analyze.Header{Time: unixTime(r.at), Number: r.number, Origin: origin},
		Link:   r.face.link, Direction: r.direction, OrigLen: r.length,
		Data: append([]byte{}, r.data[:min(n, len(r.data))]...),
	}
}

// interval ends the meter's interval when a frame of a later one comes.
func (f *foreign) interval(at int64) bool {
	due := f.due
	f.due = at - at%int64(time.Second) + int64(time.Second)
	return due == 0 || f.handFlows(f.meter.Flush(due), due)
}

func (f *foreign) handFlows(flows []*analyze.Flow, at int64) bool {
	for _, flow := range flows {
		if !f.emit(item{flow, at}) {
			return false
		}
	}
	return true
}

// end hands on what the meter still holds.
func (f *foreign) end() bool { return f.handFlows(f.meter.Flush(f.last), f.last) }

// Packet types of a Linux cooked header (PACKET_* in linux/if_packet.h).
const (
	cookedForUs     = 0
	cookedMulticast = 2
	cookedOutgoing  = 4
)

// cookedDirection returns the direction that a Linux cooked header tells:
// LINKTYPE_LINUX_SLL begins with the packet type (2), LINKTYPE_LINUX_SLL2 has
// it at offset 10 (1).
func cookedDirection(link analyze.LinkType, b []byte) analyze.Direction {
	var typ byte
	switch {
	case link == analyze.LinkSLL && len(b) >= 2:
		typ = b[1]
	case link == analyze.LinkSLL2 && len(b) >= 11:
		typ = b[10]
	default:
		return analyze.DirUnknown
	}
	switch {
	case typ == cookedOutgoing:
		return analyze.DirOut
	case typ >= cookedForUs && typ <= cookedMulticast:
		return analyze.DirIn
	}
	return analyze.DirUnknown
}
