package analyze

import (
	"cmp"
	"maps"
	"slices"
)

// Told reports whether the host's kernel has told of itself: of a foreign
// capture's host nothing but frames is known.
func (h *Host) Told() bool { return h.KernelSeen || len(h.Missing) > 0 }

// Kernel returns what is known of the host's kernel now, as a snapshot would
// tell it: folding it into a new state gives the same picture. The parts that
// are slices belong to the host.
func (h *Host) Kernel() KernelState {
	return KernelState{
		Release: h.Release, Policies: h.DB.Policies, Defaults: h.DB.Defaults, SAs: h.DB.SAs,
		Neighbors: h.neighborTable(), Links: h.Links, Addresses: h.Addresses, Routes: h.Routes,
		Counters: h.counterValues(), Sysctls: maps.Clone(h.Sysctls), Listeners: h.Listeners,
		Missing: h.Missing,
	}
}

// neighborTable returns the entries in a stable order.
func (h *Host) neighborTable() []Neighbor {
	var table []Neighbor
	for _, entries := range h.neighbors {
		for _, n := range entries {
			table = append(table, n.Neighbor)
		}
	}
	slices.SortFunc(table, func(a, b Neighbor) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.IfIndex, b.IfIndex))
	})
	return table
}

func (h *Host) counterValues() map[string]uint64 {
	values := make(map[string]uint64, len(h.counters))
	for name, c := range h.counters {
		values[name] = c.value()
	}
	return values
}
