package analyze

import "slices"

// Trace is what the last event was about, as the state understood it: for those
// who keep a record of what happened, so that nothing is decoded twice.
type Trace struct {
	// Views are those that the event touched, bounded.
	Views []*View
	// Packet holds the headers of a Frame; nil for other events and for frames
	// that cannot be decoded.
	Packet *Packet
	// IKE is the IKE message that the frame held, or that it completed as the
	// last of its fragments; nil where there is none.
	IKE []byte
}

// maxTraced bounds Trace.Views: a change of the databases may close many needs.
const maxTraced = 64

// Trace returns what the last event was about. It is valid until the next
// Apply; its bytes belong to that event.
func (s *State) Trace() *Trace { return &s.trace }

func (t *Trace) reset() {
	clear(t.Views)
	*t = Trace{Views: t.Views[:0]}
}

func (t *Trace) add(v *View) {
	if len(t.Views) < maxTraced && !slices.Contains(t.Views, v) {
		t.Views = append(t.Views, v)
	}
}
