package analyze

import (
	"net/netip"
	"time"
)

// Alignment tells how several observers, whose files were read together, stand to
// each other. It is made by who reads them, comes before everything that they saw,
// and is not recorded.
type Alignment struct {
	Header    `json:"-"`
	Observers []Observer `json:"observers"`
}

// Observer is one file among several.
type Observer struct {
	Name string `json:"name"` // the file's
	// Origin is whose network stack saw it, or stands for it.
	Origin Origin `json:"origin"`
	// From and To are when it watched, on the reference's clock.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Reference is the name of the observer whose clock its clock was compared
	// with, by the packets that both saw; empty where there were none, and for
	// the first file, whose clock is that of the whole stream.
	Reference string `json:"reference,omitempty"`
	Matched   int    `json:"matched,omitempty"` // packets that both saw
	// Same is set where its clock shows the same, as far as packets can tell.
	Same bool `json:"same,omitempty"`
	// Offset is how far its clock was ahead of the first file's when their
	// common time began, DriftPPM how much it gained, in microseconds each
	// second. Times of the stream are free of both.
	Offset   time.Duration `json:"offset_ns,omitempty"`
	DriftPPM float64       `json:"drift_ppm,omitempty"`
	// Error is how much the offset may be off; negative where packets went one
	// way only, and their delay is part of it.
	Error time.Duration `json:"error_ns,omitempty"`
	// Near are addresses whose packets it saw before the others did.
	Near []netip.Addr `json:"near,omitempty"`
	// Unread is why the file was not looked at for its clock, empty where it was.
	Unread string `json:"unread,omitempty"`
}
