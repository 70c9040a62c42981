package capture

import "ipsecdiag/analyze"

// deviceGroups holds groups of interfaces that show each other's packets, by
// interface index: a bond or bridge with its members, a VLAN with the device
// below it, and whatever is related to these. It is a forest of disjoint sets:
// each index leads to another of its group, the group's own to itself, and that
// of an interface that stands alone to 0.
type deviceGroups map[int]int

// newDeviceGroups groups the interfaces of one namespace.
func newDeviceGroups(links []analyze.Link) deviceGroups {
	g := deviceGroups{}
	for _, l := range links {
		g[l.Index] = 0
	}
	for _, l := range links {
		// A veth's other end shows its packets in the other direction.
		if l.Kind != "veth" {
			g.join(l.Index, l.Parent)
		}
		g.join(l.Index, l.Master)
	}
	return g
}

// of returns the group of an interface, 0 for one that stands alone or is not
// known.
func (g deviceGroups) of(index int) int {
	up, ok := g[index]
	for ok && up != index {
		index, up = up, g[up]
	}
	return up
}

// join makes one group of two interfaces' groups; index 0 is no interface.
func (g deviceGroups) join(a, b int) {
	if b == 0 {
		return
	}
	a, b = g.root(a), g.root(b)
	g[a] = b
}

// root is of for an interface that is about to join a group.
func (g deviceGroups) root(index int) int {
	if group := g.of(index); group != 0 {
		return group
	}
	g[index] = index
	return index
}
