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

// Captures reports whether packets of a class that are not among what was seen at this
// host did not come there: a recording made by watch leaves none out, and a capture,
// which somebody's filter may have thinned, has others of the class. It is followed
// where the files of several observers are read together.
func (h *Host) Captures(c MarkClass) bool { return h.Told() || h.captured[c] }

// capture notes that a packet of a class was seen at the host.
func (h *Host) capture(m Mark, ok bool) {
	if ok {
		h.captured[m.Class] = true
	}
}

// wordSize is how many connections or IKE SAs one of Words holds at most.
const wordSize = 32

// Words returns what the host's IKE daemons hold now, as they would tell it if
// they were asked at this moment. Slices are shared with h.
func (h *Host) Words() []Word {
	var all []Word
	for _, d := range h.IKEDaemons {
		if d.Silent != "" {
			continue
		}
		w := Word{Daemon: d.Daemon, Version: d.Version, Via: d.Via, Whole: true}
		conns, sas := slices.Chunk(d.Connections, wordSize), slices.Chunk(d.SAs, wordSize)
		for part := range conns {
			w.Connections = part
			all, w.Whole = append(all, w), false
		}
		w.Connections = nil
		for part := range sas {
			w.SAs = part
			all, w.Whole = append(all, w), false
		}
		if w.Whole { // it holds nothing
			all = append(all, w)
		}
	}
	return all
}
