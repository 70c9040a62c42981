// Package ladder tells what happened between two hosts as a ladder: a column
// for each host, and where its kernel was seen also for the applications and
// the IKE daemon on it; an arrow for each packet; what the kernel did on the
// host's line; and, marked as such, what did not happen.
//
// The model is built apart from its drawing. It is drawn as text (Text), as a
// Mermaid sequence diagram (Mermaid) and as SVG (Layout), and every drawing
// cleans or escapes what was captured.
package ladder

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// Role is who on a host sends, takes or does something.
type Role uint8

// The roles. Where the kernel of a host was not seen, all of it is Wire: one
// line, on which packets come and go.
const (
	Wire Role = iota
	App
	IKE
	Kernel
)

var roleNames = [...]string{"", "app", "IKE", "kernel"}

// String returns "app", "IKE" or "kernel", "" for Wire.
func (r Role) String() string { return roleNames[min(int(r), len(roleNames)-1)] }

// Place is a line of the ladder: a role on one of its hosts.
type Place struct {
	Host int // 0: left, 1: right
	Role Role
}

// Host is one end of the pair.
type Host struct {
	Addr netip.Addr
	Name string // of the observer whose kernel it is, else empty
	// Kernel is set where the host's kernel was seen.
	Kernel bool
	// Roles are the host's lines: Wire alone, or those in which something
	// happens, Kernel last.
	Roles []Role
}

// Label names the host: its name, or its address where it has none.
func (h *Host) Label() string {
	if h.Name != "" {
		return h.Name
	}
	return h.Addr.String()
}

// Fate is what became of what a step sends.
type Fate uint8

// The fates.
const (
	Arrives Fate = iota // it was seen on the wire, and nothing speaks against its arrival
	Event               // nothing is sent: something happens at From
	Held                // it never left its host: the host's kernel dropped or kept it
	Lost                // it was seen to leave and not to arrive
	Refused             // it arrived, and the receiver's kernel dropped it
	Missing             // it was to come, and was not seen; where it ended is not known
)

// Absent reports whether the step tells of something that did not happen.
func (f Fate) Absent() bool { return f == Held || f == Missing }

// Dead reports whether what was sent does not reach whom it is for.
func (f Fate) Dead() bool { return f >= Held }

// Mark says that a step is evidence of a finding.
type Mark struct {
	Finding  string // its id
	Evidence int    // index in the finding's evidence
}

// Seen is one observer's sight of a step.
type Seen struct {
	Origin string
	Time   time.Time
	Frame  uint64 // frame number in its file, 0 where there is none
}

// Step is one line of the ladder.
type Step struct {
	ID   string // unique in its ladder, made of digits and letters
	Kind timeline.Kind
	At   analyze.Sighting
	// Last is when it happened last, where Count is more than 1.
	Last  analyze.Sighting
	Count int
	From  Place
	To    Place // From where Fate is Event
	Fate  Fate
	// Confidence is that of an absent or dead step: proved, or concluded.
	Confidence rules.Confidence
	// Label says what it is, Why what became of it and for which reason, where
	// there is something to say.
	Label, Why string
	// Brief is Label without what can be left out where there is little room.
	Brief string
	// Detail is all there is to say, line by line. Captured strings in it are
	// not cleaned.
	Detail []string
	Marks  []Mark
	Seen   []Seen
	// Before counts what happened before this step and was not kept.
	Before uint64
	// Item is what the step was made of, nil where it was concluded; Items are
	// all observers' sights of it.
	Item  *timeline.Item
	Items []*timeline.Item

	key  string           // equal for steps that fold into one
	sums []*timeline.Item // of those folded into it, where there is something to add up
}

// Ladder is what happened between two hosts.
type Ladder struct {
	Pair  analyze.PairKey
	Hosts [2]Host
	Steps []Step
	// Omitted counts the steps that Decisive left out.
	Omitted int
}
