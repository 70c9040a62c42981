package rules

import (
	"fmt"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// Severity is how much a finding matters.
type Severity uint8

// The severities, ascending.
const (
	Info Severity = iota
	Warning
	Error
)

var severityNames = [...]string{"info", "warning", "error"}

// String returns "info", "warning" or "error".
func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// MarshalText encodes s as its name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (s *Severity) UnmarshalText(b []byte) error { return unmarshalName(s, b, severityNames[:]) }

// Confidence tells what is proved from what is probable.
type Confidence uint8

// The confidences, ascending. Certain means that what was seen admits no other
// explanation.
const (
	Likely Confidence = iota
	Certain
)

var confidenceNames = [...]string{"likely", "certain"}

// String returns "likely" or "certain".
func (c Confidence) String() string { return confidenceNames[min(int(c), len(confidenceNames)-1)] }

// MarshalText encodes c as its name.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (c *Confidence) UnmarshalText(b []byte) error { return unmarshalName(c, b, confidenceNames[:]) }

// Status is where a finding is in its life.
type Status uint8

// The states of a finding. A stale one was open when the last evidence of it
// was seen, and nothing has confirmed or refuted it since.
const (
	Open Status = iota
	Resolved
	Stale
)

var statusNames = [...]string{"open", "resolved", "stale"}

// String returns "open", "resolved" or "stale".
func (s Status) String() string { return statusNames[min(int(s), len(statusNames)-1)] }

// MarshalText encodes s as its name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (s *Status) UnmarshalText(b []byte) error { return unmarshalName(s, b, statusNames[:]) }

func unmarshalName[T ~uint8](dst *T, b []byte, names []string) error {
	for i, n := range names {
		if n == string(b) {
			*dst = T(i)
			return nil
		}
	}
	return fmt.Errorf("parse %q: not one of %q", b, names)
}

// Evidence is one thing that was seen and bears on a finding.
type Evidence struct {
	Time   time.Time `json:"time"`
	Origin string    `json:"origin"`
	// Frame is the frame number in the origin's file, as Wireshark counts; 0
	// where there is no file.
	Frame uint64 `json:"frame,omitempty"`
	Text  string `json:"text"`
	mono  time.Duration
}

// Finding is a claim about somebody's network.
type Finding struct {
	ID          string          `json:"id"` // stable: rule and subject
	Rule        string          `json:"rule"`
	Severity    Severity        `json:"severity"`
	Confidence  Confidence      `json:"confidence"`
	State       Status          `json:"state"`
	Pair        []netip.Addr    `json:"pair"` // empty where the subject is a host
	Subject     string          `json:"subject"`
	Origins     []string        `json:"origins"`
	ExplainedBy string          `json:"explained_by"` // empty where it stands by itself
	FirstSeen   time.Time       `json:"first_seen"`
	LastSeen    time.Time       `json:"last_seen"`
	Title       string          `json:"title"`
	Explanation string          `json:"explanation"`
	Evidence    []Evidence      `json:"evidence"`
	Remedies    []remedy.Remedy `json:"remedies"`

	kind string // tells findings of one rule apart, for the table of causes
	// affects are pairs other than the finding's own to which it it bears, for the
	// table of causes.
	affects []analyze.PairKey
}

// Counts reports whether f makes the exit status 1: warning or worse, and no
// other finding explains it.
func (f *Finding) Counts() bool { return f.Severity >= Warning && f.ExplainedBy == "" }

// Saw makes evidence of a sighting.
func Saw(at analyze.Sighting, format string, args ...any) Evidence {
	return Evidence{
		Time: at.Time.UTC(), Origin: at.Origin().String(), Frame: at.Number,
		Text: fmt.Sprintf(format, args...), mono: at.Mono,
	}
}
