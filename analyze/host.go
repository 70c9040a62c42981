package analyze

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze/spd"
)

// Host is one network stack as far as it was seen: the kernel of a host or of
// one of its network namespaces. For a foreign capture it is just a name.
type Host struct {
	Origin Origin // without interface
	// KernelSeen is set once a snapshot told of the policies and SAs.
	KernelSeen bool
	Release    string
	DB         spd.Database
	Links      []Link
	Addresses  []Address
	Routes     []Route
	Sysctls    map[string]string
	Listeners  []Listener
	Missing    []string
	// Starved is the present stretch of time in which packets die for lack of
	// an SA and no ACQUIRE tells which ones; nil where there is none.
	Starved *Starvation

	neighbors map[neighborKey]neighborState
	counters  map[string]*series
	needs     []*Need // open ones
}

type neighborKey struct {
	addr    netip.Addr
	ifindex int
}

type neighborState struct {
	Neighbor
	since Sighting
}

// maxNeighbors bounds the neighbour table that is kept; the kernel's own bound
// (gc_thresh3) is 1024 by default.
const maxNeighbors = 16384

func newHost(o Origin) *Host {
	return &Host{Origin: o, neighbors: map[neighborKey]neighborState{}, counters: map[string]*series{}}
}

// Counter returns the present value of a kernel counter, 0 for an unknown one.
func (h *Host) Counter(name string) uint64 { return h.counters[name].value() }

// Rise returns by how much a counter grew after that time, with the first and
// the last poll that showed it.
func (h *Host) Rise(name string, since time.Duration) (n uint64, first, last Sighting) {
	return h.counters[name].rise(since, math.MaxInt64)
}

// RiseBetween returns by how much a counter grew after since and up to until,
// with the last poll that showed it.
func (h *Host) RiseBetween(name string, since, until time.Duration) (n uint64, last Sighting) {
	n, _, last = h.counters[name].rise(since, until)
	return n, last
}

// Sysctl returns a kernel setting by its full name, def where it is not known.
func (h *Host) Sysctl(name, def string) string {
	if v, ok := h.Sysctls[name]; ok {
		return v
	}
	return def
}

// Daemons returns the listeners that may be IKE daemons.
func (h *Host) Daemons() []Listener {
	return slices.DeleteFunc(slices.Clone(h.Listeners), func(l Listener) bool { return l.Monitor })
}

// Owns reports whether a is an address of this host.
func (h *Host) Owns(a netip.Addr) bool {
	a = a.WithZone("")
	return slices.ContainsFunc(h.Addresses, func(x Address) bool { return x.Prefix.Addr() == a })
}

// InterfaceIndex returns the index of the interface of that name, 0 where it is
// not known.
func (h *Host) InterfaceIndex(name string) int {
	for _, l := range h.Links {
		if l.Name == name {
			return l.Index
		}
	}
	return 0
}

// InterfaceName returns the name of the interface with that index, "" where it
// is not known.
func (h *Host) InterfaceName(index int) string {
	for _, l := range h.Links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}

// OnLink returns the interface on which a is a direct neighbour, by the
// prefixes of the host's own addresses.
func (h *Host) OnLink(a netip.Addr) (ifindex int, ok bool) {
	a = a.WithZone("")
	for _, x := range h.Addresses {
		if x.Prefix.Bits() < x.Prefix.Addr().BitLen() && x.Prefix.Masked().Contains(a) {
			return x.IfIndex, true
		}
	}
	return 0, false
}

// Neighbor returns the neighbour entry of a and since when it is in its state.
func (h *Host) Neighbor(a netip.Addr) (n Neighbor, since Sighting, ok bool) {
	a = a.WithZone("")
	for k, v := range h.neighbors {
		if k.addr == a && (!ok || v.IfIndex < n.IfIndex) {
			n, since, ok = v.Neighbor, v.since, true
		}
	}
	return n, since, ok
}

func (h *Host) putNeighbor(n Neighbor, at Sighting) {
	k := neighborKey{n.Addr, n.IfIndex}
	old, ok := h.neighbors[k]
	if !ok && len(h.neighbors) >= maxNeighbors {
		return
	}
	if ok && old.State == n.State {
		at = old.since
	}
	h.neighbors[k] = neighborState{n, at}
}

// applySnapshot replaces everything by what the kernel has now.
func (h *Host) applySnapshot(s *Snapshot) {
	at := Seen(s)
	h.KernelSeen = true
	h.Release, h.Links, h.Addresses, h.Routes = s.Release, s.Links, s.Addresses, s.Routes
	h.Listeners, h.Missing = s.Listeners, s.Missing
	h.Sysctls = maps.Clone(s.Sysctls)
	h.DB = spd.Database{
		Policies: slices.Clone(s.Policies), SAs: slices.Clone(s.SAs), Defaults: s.Defaults,
	}
	old := h.neighbors
	h.neighbors = make(map[neighborKey]neighborState, len(s.Neighbors))
	for _, n := range s.Neighbors {
		since := at
		if o, ok := old[neighborKey{n.Addr, n.IfIndex}]; ok && o.State == n.State {
			since = o.since
		}
		h.putNeighbor(n, since)
	}
	h.applyCounters(at, s.Counters)
}

func (h *Host) applyCounters(at Sighting, values map[string]uint64) {
	for name, v := range values {
		c := h.counters[name]
		if c == nil {
			c = new(series)
			h.counters[name] = c
		}
		c.put(at, v)
	}
}

func (h *Host) applyPolicy(e *PolicyChange) {
	if e.Defaults != nil {
		h.DB.Defaults = *e.Defaults
		return
	}
	switch e.Change {
	case Added, Updated:
		h.DB.PutPolicy(e.Policy)
	case Deleted:
		h.DB.DeletePolicy(e.Policy.Identity())
	case Flushed:
		h.DB.FlushPolicies(e.Policy.Type)
	}
}

func (h *Host) applySA(e *SAChange) {
	switch e.Change {
	case Added, Updated:
		h.DB.PutSA(e.SA)
	case Deleted:
		h.DB.DeleteSA(e.SA)
	case Flushed:
		h.DB.FlushSAs(e.SA.Proto)
	}
}

func (h *Host) applyNeighbor(e *NeighborChange) {
	if e.Change == Deleted {
		delete(h.neighbors, neighborKey{e.Neighbor.Addr, e.Neighbor.IfIndex})
		return
	}
	h.putNeighbor(e.Neighbor, Seen(e))
}
