package capture

import (
	"encoding/binary"

	"ipsecdiag/analyze"
)

// maxCaptured bounds the captured bytes of one frame. It is libpcap's
// MAXIMUM_SNAPLEN, and what Wireshark accepts.
const maxCaptured = 262144

// maxTime bounds timestamps, in nanoseconds since 1970 (the year 2116), so that
// sums and differences of any two never overflow.
const maxTime = 1 << 62

// recordKind tells what a reader found.
type recordKind uint8

const (
	frameRecord   recordKind = iota
	journalRecord            // a systemd journal export block
	sectionRecord            // a new pcapng section begins
)

// record is one record of a capture file as its format gives it.
type record struct {
	kind      recordKind
	number    uint64 // among the frames and journal blocks of the file, from 1
	at        int64  // nanoseconds since 1970
	face      *face
	direction analyze.Direction
	length    int    // on the wire, bytes
	data      []byte // of the frame or journal entry; valid until the next record
}

// face is an interface of a capture file.
type face struct {
	id     int // within its section
	name   string
	link   analyze.LinkType
	scale  timescale
	snap   uint32          // snap length, 0 for none
	origin *analyze.Origin // what its events carry
}

// recordReader reads a capture file of one format.
type recordReader interface {
	// next fills in r. The error is io.EOF at the file's end,
	// io.ErrUnexpectedEOF in the middle of a record, or *malformed.
	next(r *record) error
}

// bigEndian tells a file's byte order.
type bigEndian bool

func (big bigEndian) u16(b []byte) uint16 {
	if big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (big bigEndian) u32(b []byte) uint32 {
	if big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (big bigEndian) u64(b []byte) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}
