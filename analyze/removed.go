package analyze

import (
	"slices"

	"ipsecdiag/analyze/spd"
)

// maxRemoved bounds the policies that are remembered after they were removed, of
// one host, the latest.
const maxRemoved = 64

// RemovedPolicy is an outbound policy that wanted an SA and stands no more.
type RemovedPolicy struct {
	At     Sighting
	Policy spd.Policy
}

// loses remembers what a change takes away.
func (h *Host) loses(e *PolicyChange) {
	switch e.Change {
	case Added, Updated:
		if old := h.DB.FindPolicy(e.Policy.Identity()); old != nil && guards(old) && !guards(&e.Policy) {
			h.removes(Seen(e), old)
		}
		if guards(&e.Policy) {
			id := e.Policy.Identity()
			h.removed = slices.DeleteFunc(h.removed, func(r RemovedPolicy) bool { return r.Policy.Identity() == id })
		}
	case Deleted:
		if old := h.DB.FindPolicy(e.Policy.Identity()); old != nil && guards(old) {
			h.removes(Seen(e), old)
		}
	case Flushed:
		for i := range h.DB.Policies {
			if q := &h.DB.Policies[i]; q.Type == e.Policy.Type && guards(q) {
				h.removes(Seen(e), q)
			}
		}
	}
}

// unguarded remembers which of the policies of before a snapshot has no more.
func (h *Host) unguarded(at Sighting, was []spd.Policy) {
	if !h.KernelSeen || (len(was) == 0 && len(h.removed) == 0) {
		return
	}
	present := make(map[spd.Identity]bool, len(h.DB.Policies))
	for i := range h.DB.Policies {
		if q := &h.DB.Policies[i]; guards(q) {
			present[q.Identity()] = true
		}
	}
	h.removed = slices.DeleteFunc(h.removed, func(r RemovedPolicy) bool { return present[r.Policy.Identity()] })
	for i := range was {
		if q := &was[i]; guards(q) && !present[q.Identity()] {
			h.removes(at, q)
		}
	}
}

func (h *Host) removes(at Sighting, q *spd.Policy) {
	h.removed = appendBounded(h.removed, RemovedPolicy{At: at, Policy: *q}, maxRemoved)
}

// guards reports whether an outbound policy wants an SA, be it optional.
func guards(q *spd.Policy) bool {
	return q.Direction == spd.Out && !q.Socket && q.Action == spd.Allow && len(q.Templates) > 0
}
