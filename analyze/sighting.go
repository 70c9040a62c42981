package analyze

import (
	"time"
	"unique"
)

// Sighting is when and where something was seen. The zero value means never.
type Sighting struct {
	Time   time.Time
	Mono   time.Duration
	Number uint64 // frame number in its file, 0 where there is none

	place place
}

// place is an origin, told once for all that was seen there: of every pair dozens of
// sightings are kept. Its zero value is nowhere.
type place struct{ unique.Handle[Origin] }

func placeOf(o Origin) place {
	if o == (Origin{}) {
		return place{}
	}
	return place{unique.Make(o)}
}

func (p place) origin() Origin {
	if p == (place{}) {
		return Origin{}
	}
	return p.Value()
}

// Seen returns the sighting of an event.
func Seen(e Event) Sighting {
	h := e.Head()
	return Sighting{Time: h.Time, Mono: h.Mono, Number: h.Number, place: placeOf(h.Origin)}
}

// next returns the sighting of the event that follows, nearly always at the same
// place.
func (s Sighting) next(e Event) Sighting {
	h := e.Head()
	p := s.place
	if h.Origin != p.origin() {
		p = placeOf(h.Origin)
	}
	return Sighting{Time: h.Time, Mono: h.Mono, Number: h.Number, place: p}
}

// Origin says where it was seen.
func (s Sighting) Origin() Origin { return s.place.origin() }

// In returns the sighting as one at another origin.
func (s Sighting) In(o Origin) Sighting {
	s.place = placeOf(o)
	return s
}

// earlier returns the sighting at a time before s that s tells of. A time that
// is not known or not before is taken for s's own.
func (s Sighting) earlier(t time.Time) Sighting {
	if ago := s.Time.Sub(t); !t.IsZero() && ago > 0 && ago <= s.Mono {
		s.Time, s.Mono = t, s.Mono-ago
	}
	return s
}

// IsZero reports whether it was never seen.
func (s Sighting) IsZero() bool { return s.Time.IsZero() }

// Before reports whether s was seen before o. What was never seen is before
// everything.
func (s Sighting) Before(o Sighting) bool {
	if s.IsZero() || o.IsZero() {
		return s.IsZero() && !o.IsZero()
	}
	return s.Mono < o.Mono
}

// moment is a Sighting without its origin, small enough to keep many.
type moment struct {
	wall   int64 // nanoseconds since 1970
	mono   time.Duration
	number uint64
}

func (s Sighting) moment() moment { return moment{s.Time.UnixNano(), s.Mono, s.Number} }

// at returns the sighting of the moment at a place.
func (m moment) at(p place) Sighting {
	return Sighting{Time: time.Unix(0, m.wall).UTC(), Mono: m.mono, Number: m.number, place: p}
}
