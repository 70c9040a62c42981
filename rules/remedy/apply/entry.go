package apply

import (
	"time"

	"ipsecdiag/rules/remedy"
)

// Version is the version of the journal's files. Fields are only ever added
// within a version.
const Version = 1

// Header is what the journal knows of an application before its first step.
type Header struct {
	Version   int         `json:"version"`
	ID        int         `json:"id"`
	Time      time.Time   `json:"time"`
	Boot      string      `json:"boot"`
	Namespace string      `json:"namespace"`
	Netns     string      `json:"netns,omitempty"` // the name by which it was given
	Plan      remedy.Plan `json:"plan"`
	// KeyFile holds the keys of the plan's SAs; empty where it has none.
	KeyFile string `json:"key_file,omitempty"`
	// Deadline is when it is undone unless it was confirmed; zero: never.
	Deadline time.Time `json:"deadline,omitzero"`
}

// The kinds of a journal's records, in the order in which they come.
const (
	recPlan      = "plan"      // the header
	recIntent    = "intent"    // the step is about to be done
	recDone      = "done"      // it is done
	recFailed    = "failed"    // the kernel has refused it
	recApplied   = "applied"   // all steps are done
	recConfirmed = "confirmed" // it shall stay
	recUndoing   = "undoing"   // steps are about to be taken back
	recBack      = "back"      // the step is taken back, or was found changed
	recUndone    = "undone"    // all steps are
)

// record is one line of a journal's file.
type record struct {
	What string    `json:"record"`
	Time time.Time `json:"time"`
	Step int       `json:"step,omitempty"` // from 1
	Text string    `json:"text,omitempty"`
	// Index and AddTime are what the kernel gave to the policy or SA that the
	// step has made: another one that looks the same has others.
	Index   uint32  `json:"index,omitempty"`
	AddTime uint64  `json:"add_time,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	Header  *Header `json:"header,omitempty"`
}

// Status is where an application is in its life.
type Status string

// The statuses.
const (
	Partial Status = "partial" // its process ended before the last step
	Applied Status = "applied"
	Undoing Status = "undoing" // its undoing did not come to an end
	Undone  Status = "undone"
	Gone    Status = "gone" // the host was booted anew, which has removed everything
)

// StepState is what became of one step.
type StepState struct {
	Intent  time.Time // zero: not begun
	Done    bool
	Index   uint32
	AddTime uint64
	Failed  bool
	Back    Outcome // empty: not taken back
}

// Entry is one application of a plan, as the journal tells it.
type Entry struct {
	Header
	Status    Status
	Confirmed bool
	Ended     time.Time // of its undoing
	Steps     []StepState
}

// Stands reports whether something of it may be in the kernel.
func (e *Entry) Stands() bool { return e.Status != Undone && e.Status != Gone }

// Pending reports whether it waits to be confirmed.
func (e *Entry) Pending() bool { return e.Stands() && !e.Deadline.IsZero() && !e.Confirmed }

// begin makes the entry of a header.
func begin(h Header) *Entry {
	return &Entry{Header: h, Status: Partial, Steps: make([]StepState, len(h.Plan.Steps))}
}

// fold takes in the next record.
func (e *Entry) fold(r *record) {
	switch r.What {
	case recApplied:
		e.Status = Applied
	case recConfirmed:
		e.Confirmed = true
	case recUndoing:
		e.Status = Undoing
	case recUndone:
		e.Status, e.Ended = Undone, r.Time
	}
	if r.Step < 1 || r.Step > len(e.Steps) {
		return
	}
	s := &e.Steps[r.Step-1]
	switch r.What {
	case recIntent:
		s.Intent = r.Time
	case recDone:
		s.Done, s.Index, s.AddTime = true, r.Index, r.AddTime
	case recFailed:
		s.Failed = true
	case recBack:
		s.Back = r.Outcome
	}
}
