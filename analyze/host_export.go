package analyze

import (
	"cmp"
	"maps"
	"slices"
)

// Kernel returns what is known of the host's kernel now, as a snapshot that was
// taken at this moment would tell it. Slices are shared with h.
func (h *Host) Kernel() KernelState {
	k := KernelState{
		Release: h.Release, Policies: h.DB.Policies, Defaults: h.DB.Defaults, SAs: h.DB.SAs,
		Links: h.Links, Addresses: h.Addresses, Routes: h.Routes, Sysctls: maps.Clone(h.Sysctls),
		Listeners: h.Listeners, Missing: h.Missing, Counters: map[string]uint64{},
	}
	for _, known := range h.neighbors {
		for _, n := range known {
			k.Neighbors = append(k.Neighbors, n.Neighbor)
		}
	}
	slices.SortFunc(k.Neighbors, func(a, b Neighbor) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.IfIndex, b.IfIndex))
	})
	for name, c := range h.counters {
		k.Counters[name] = c.value()
	}
	return k
}

// Told reports whether the host's kernel has told of itself: of a foreign
// capture's host nothing but frames is known.
func (h *Host) Told() bool { return h.KernelSeen || len(h.Missing) > 0 }
