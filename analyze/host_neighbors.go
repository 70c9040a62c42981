package analyze

import (
	"cmp"
	"slices"
)

// Neighbors returns the host's neighbour entries, by address and interface.
func (h *Host) Neighbors() []Neighbor {
	var all []Neighbor
	for _, known := range h.neighbors {
		for _, n := range known {
			all = append(all, n.Neighbor)
		}
	}
	slices.SortFunc(all, func(a, b Neighbor) int {
		return cmp.Or(a.Addr.Compare(b.Addr), a.IfIndex-b.IfIndex)
	})
	return all
}
