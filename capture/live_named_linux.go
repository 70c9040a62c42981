package capture

import (
	"fmt"
	"slices"
	"time"
)

// seekEvery is how often an interface that is gone is looked for.
const seekEvery = 100 * time.Millisecond

// namedDevice is an interface that was asked for by name. It is followed by its
// index when it is renamed. When it is gone, deleted or moved to another
// namespace, the next one that is called as it was called last, or as it was
// asked for, takes its place.
type namedDevice struct {
	index  int
	asked  string // the name that was asked for
	name   string // what it is called, or was called last
	hatype uint16 // ARPHRD_ type
	up     bool
	gone   bool
}

// fate is what became of a named interface since the last look.
type fate struct {
	said string // for people; empty: nothing
	lost string // what cannot be seen because of it; empty: nothing
	back bool   // it is there again, and frames are to be received from it anew
}

// follow takes one look at the interface.
func (d *namedDevice) follow(s *liveSources) fate {
	if d.gone {
		return d.seek(s)
	}
	name, ok := s.devices.lookup(d.index)
	if !ok {
		d.gone, d.up = true, false
		lost := fmt.Sprintf("interface %s vanished", d.name)
		return fate{said: lost + "; it is waited for", lost: lost}
	}
	if name != d.name {
		was := d.name
		d.name = name
		return fate{said: fmt.Sprintf("interface %s is called %s now", was, name)}
	}
	was := d.up
	d.up = s.devices.up(d.name)
	switch down := fmt.Sprintf("interface %s is down", d.name); {
	case was && !d.up:
		return fate{said: down, lost: down}
	case !was && d.up:
		return fate{said: fmt.Sprintf("interface %s is up", d.name)}
	}
	return fate{}
}

// seek looks for the interface under the names that it had. Where it is the only
// one, the frames of all that take its place must have the same form.
func (d *namedDevice) seek(s *liveSources) fate {
	for _, name := range []string{d.name, d.asked} {
		index, err := s.devices.index(name)
		if err != nil || slices.Contains(s.indexes(), index) {
			continue
		}
		hatype, err := s.devices.hatype(name)
		if err != nil || len(s.named) == 1 && hatype != d.hatype {
			continue
		}
		d.index, d.name, d.hatype = index, name, hatype
		d.gone, d.up = false, s.devices.up(name)
		return d.returned()
	}
	return fate{}
}

// returned tells that the interface is there again.
func (d *namedDevice) returned() fate {
	said := fmt.Sprintf("interface %s is there again", d.name)
	if !d.up {
		said += ", and down"
	}
	return fate{said: said, lost: fmt.Sprintf("the first frames of interface %s, which is there again", d.name), back: true}
}

// missing reports whether a named interface is gone.
func (s *liveSources) missing() bool {
	for i := range s.named {
		if s.named[i].gone {
			return true
		}
	}
	return false
}

// follow looks at the named interfaces, says what became of them, and has frames
// received from those that are there again.
func (l *live) follow(now time.Time) error {
	l.seek = now.Add(seekEvery)
	for i := range l.sources.named {
		d := &l.sources.named[i]
		f := d.follow(l.sources)
		if f == (fate{}) && l.deafTo(d) {
			f = d.returned()
		}
		if f.said != "" {
			l.opt.Warn(f.said)
		}
		if f.lost != "" {
			l.lost(now, f.lost, d.name, 0)
		}
		if f.back {
			if err := l.rejoin(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// deafTo reports whether the socket is bound to the interface no more: it was
// moved to another namespace and back between two looks.
func (l *live) deafTo(d *namedDevice) bool {
	return len(l.sources.named) == 1 && !d.gone && l.socket.boundTo() != d.index
}

// rejoin has frames of an interface received that is there again. Where it has
// gone once more, it is looked for again.
func (l *live) rejoin(d *namedDevice) error {
	l.sources.readGroups()
	if l.counting.counter != nil {
		l.counting.tell(d.index, kindOf(d.hatype, maybeRelated))
	}
	var err error
	switch {
	case len(l.sources.named) == 1:
		err = l.socket.bind(d.index)
	case l.counting.counter == nil:
		err = l.socket.attachFilter(l.sources.indexes())
	}
	if err == nil {
		return nil
	}
	if _, there := l.sources.devices.lookup(d.index); !there {
		return nil // the next look finds that out
	}
	return fmt.Errorf("watch interface %s again: %w", d.name, err)
}
