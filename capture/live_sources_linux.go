package capture

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
)

// regroupAfter is after how many looks the relations between interfaces are
// read again, besides when a new interface shows a frame.
const regroupAfter = 10

// liveSources are the interfaces that a stream watches.
type liveSources struct {
	devices *devices
	all     bool
	named   []namedDevice // none if all
	origin  analyze.Origin

	origins map[int]*analyze.Origin // of interfaces that showed a frame
	groups  deviceGroups
	regroup func() (deviceGroups, error) // nil where no two interfaces are watched
	looks   int                          // since groups were read
	warned  bool                         // that they could not be read
	warn    func(string)
}

// find looks the interfaces up that are asked for. It must be called on a
// thread in the namespace.
func (s *liveSources) find(names []string) error {
	if s.all = slices.Contains(names, Any); s.all {
		return nil
	}
	for _, name := range names {
		index, err := s.devices.index(name)
		if err != nil {
			return errNoInterface(name, s.origin.Netns)
		}
		if slices.Contains(s.indexes(), index) {
			continue
		}
		d := namedDevice{index: index, asked: name, name: name, up: s.devices.up(name)}
		if d.hatype, err = s.devices.hatype(name); err != nil {
			return errNoInterface(name, s.origin.Netns)
		}
		if !d.up {
			s.warn(fmt.Sprintf("interface %s is down", name))
		}
		s.named = append(s.named, d)
	}
	return nil
}

// link returns the link type that suits the interfaces.
func (s *liveSources) link() analyze.LinkType {
	if len(s.named) != 1 {
		return analyze.LinkSLL2
	}
	return linkOf(s.named[0].hatype)
}

// hatypes returns the ARPHRD_ types of the named interfaces by their indexes.
func (s *liveSources) hatypes() map[int]uint16 {
	types := map[int]uint16{}
	for _, d := range s.named {
		if !d.gone {
			types[d.index] = d.hatype
		}
	}
	return types
}

// indexes returns those of the named interfaces that are there.
func (s *liveSources) indexes() []int {
	var indexes []int
	for _, d := range s.named {
		if !d.gone {
			indexes = append(indexes, d.index)
		}
	}
	return indexes
}

// String names the interfaces.
func (s *liveSources) String() string {
	if s.all {
		return Any
	}
	var names []string
	for _, d := range s.named {
		names = append(names, d.name)
	}
	return strings.Join(names, ", ")
}

// originOf returns the origin of an interface's frames, always by the same
// pointer until the interface is renamed.
func (s *liveSources) originOf(index int) *analyze.Origin {
	if origin, ok := s.origins[index]; ok {
		return origin
	}
	name, ok := s.devices.lookup(index)
	if !ok {
		name = fmt.Sprint("if", index) // gone before it was asked for
	}
	origin := s.origin
	origin.Interface = name
	s.origins[index] = &origin
	if _, known := s.groups[index]; !known {
		s.readGroups()
	}
	return &origin
}

// gone reports whether an interface is neither named nor has shown a frame since
// it was last there.
func (s *liveSources) gone(index int) bool {
	_, showed := s.origins[index]
	return !showed && !slices.Contains(s.indexes(), index)
}

// lookAfter finds out what became of the interfaces that showed frames.
func (s *liveSources) lookAfter() {
	if s.looks++; s.looks >= regroupAfter {
		s.readGroups()
	}
	for index, origin := range s.origins {
		if name, ok := s.devices.lookup(index); !ok || name != origin.Interface {
			delete(s.origins, index)
		}
	}
}

// readGroups reads how the interfaces are related.
func (s *liveSources) readGroups() {
	s.looks = 0
	if s.regroup == nil {
		return
	}
	groups, err := s.regroup()
	if err != nil {
		if !s.warned {
			s.warn(fmt.Sprintf("packets may count twice on bonds, bridges and VLANs: %v", err))
		}
		s.warned = true
		return
	}
	s.groups = groups
}
