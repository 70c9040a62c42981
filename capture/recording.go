package capture

import (
	"time"

	"ipsecdiag/analyze"
)

// A recording is a pcapng file that holds everything: frames in enhanced packet
// blocks with their direction, all other events in systemd journal export
// blocks. tcpdump skips those, Wireshark shows them between the packets.
//
// Each journal block of ours has exactly one of these fields; the first one in
// a recording holds its header.
const (
	fieldPrefix    = "IPSECDIAG_"
	fieldHeader    = "IPSECDIAG_RECORDING" // recordingHeader
	fieldClock     = "IPSECDIAG_CLOCK"     // recordedClock
	fieldInterface = "IPSECDIAG_INTERFACE" // recordedInterface
	fieldEvent     = "IPSECDIAG_EVENT"     // analyze.EncodeEvent
	fieldEnd       = "IPSECDIAG_END"       // recordedEnd
)

// fieldPart stands beside fieldEvent in the parts of a Snapshot that is too
// large for one block: recordedPart.
const fieldPart = "IPSECDIAG_PART"

// Name and version of the format. The version rises when an older program could
// misread a recording; whatever it can skip needs no new version.
const (
	recordingFormat  = "ipsecdiag"
	recordingVersion = 1
)

// recordingHeader says what the file is and where it was recorded.
type recordingHeader struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Program string    `json:"program"` // version of ipsecdiag
	Host    string    `json:"host"`
	Netns   string    `json:"netns,omitempty"`
	Kernel  string    `json:"kernel,omitempty"` // uname -r
	Started time.Time `json:"started"`
}

// recordedClock relates the two clocks from here on: a frame that has the
// timestamp Time has Mono = Time − Base, and no less than Floor. Other events
// carry their Mono themselves.
type recordedClock struct {
	Base  int64         `json:"base_ns"`  // nanoseconds since 1970
	Floor time.Duration `json:"floor_ns"` // Mono
}

// mono returns the Mono of a frame at a time, and raises the floor to it.
func (c *recordedClock) mono(at int64) time.Duration {
	c.Floor = max(c.Floor, time.Duration(at-c.Base))
	return c.Floor
}

// recordedInterface gives the origin of an interface whose host or namespace is
// not the header's.
type recordedInterface struct {
	ID     int            `json:"id"` // of the interface description block to come
	Origin analyze.Origin `json:"origin"`
}

// recordedPart is the place of one part of a Snapshot, from 1.
type recordedPart struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// recordedEnd closes a recording that was ended in good order.
type recordedEnd struct {
	Mono time.Duration `json:"mono_ns"`
}
