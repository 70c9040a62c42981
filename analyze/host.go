package analyze

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze/spd"
)

// Host is one network stack as far as it was seen: the kernel of a host or of
// one of its network namespaces. For a foreign capture it is just a name.
type Host struct {
	Origin Origin // without interface
	// KernelSeen is set while the last snapshot told of the policies and SAs:
	// without CAP_NET_ADMIN it does not.
	KernelSeen bool
	// PoliciesChanged is when the SPD was last seen to change; zero while it is
	// as it was first seen.
	PoliciesChanged Sighting
	// Changed is when what can be audited last changed: policies, SAs, listeners
	// for ACQUIRE, settings, addresses. Zero while no snapshot told of them.
	Changed Sighting
	// Generation counts those changes.
	Generation uint64
	Release    string
	DB         spd.Database
	Links      []Link
	Addresses  []Address
	Routes     []Route
	Sysctls    map[string]string
	Listeners  []Listener
	// IKEDaemons are those that tell of themselves, Sayings what they
	// said that belongs to no pair.
	IKEDaemons []*IKEDaemon
	Sayings    []SeenSaying
	Missing    []string
	Notes      []Note // on the files that tell of it
	// ClockJumped is when, before Changed, the host's wall clock was last seen to have
	// jumped, since it was set or the host was suspended: its Time is what the clock
	// showed then. What the kernel has dated before has no known age. Zero: never.
	ClockJumped Sighting
	// Starved is the present stretch of time in which packets die for lack of
	// an SA and no ACQUIRE tells which ones; nil where there is none.
	Starved *Starvation

	order     uint32                 // among the hosts
	captured  [MarkARPReply + 1]bool // the classes of packets that were seen there
	ended     Sighting               // when its last file ended; zero before
	jumped    Sighting               // as ClockJumped, also after Changed
	ahead     int64                  // what the wall clock showed when Mono was 0, by the last event; nanoseconds since 1970
	sas       saHistory
	seen      [2]time.Duration               // Mono of the first and the last event of this host
	neighbors map[netip.Addr][]neighborState // one for each interface, mostly one
	counters  map[string]*series
	needs     []*Need // open ones
	changes   uint64  // of the policies and SAs
	removed   []RemovedPolicy
}

type neighborState struct {
	Neighbor
	since Sighting
}

// Bounds on what a host may tell. The kernel's own bound on neighbours
// (gc_thresh3) is 1024 by default, and it has about 100 counters of interest.
const (
	maxNeighbors     = 16384
	maxNeighborLinks = 64 // on which one address is a neighbour
	maxCounters      = 1024
)

func newHost(o Origin) *Host {
	return &Host{Origin: o, neighbors: map[netip.Addr][]neighborState{}, counters: map[string]*series{}}
}

// maxClockDrift is by how much the wall clock may part from Mono between two events
// without having jumped: events come late by less.
const maxClockDrift = 10 * time.Second

// noteClock notes whether the wall clock has jumped before what is seen now.
func (h *Host) noteClock(now Sighting) {
	ahead := now.Time.UnixNano() - int64(now.Mono)
	if drift := time.Duration(ahead - h.ahead); h.ahead != 0 && drift.Abs() > maxClockDrift {
		h.jumped = now
	}
	h.ahead = ahead
}

// Counter returns the present value of a kernel counter, 0 for an unknown one.
func (h *Host) Counter(name string) uint64 { return h.counters[name].value() }

// Rise returns by how much a counter grew after that time, with the first and
// the last poll that showed it.
func (h *Host) Rise(name string, since time.Duration) (n uint64, first, last Sighting) {
	return h.counters[name].rise(since, math.MaxInt64)
}

// RiseAt returns by how much a counter grew with the poll of that sighting, if no later
// one has told of the counter.
func (h *Host) RiseAt(name string, poll Sighting) uint64 { return h.counters[name].riseAt(poll) }

// RiseBetween returns by how much a counter grew after since and up to until,
// with the last poll that showed it.
func (h *Host) RiseBetween(name string, since, until time.Duration) (n uint64, last Sighting) {
	n, _, last = h.counters[name].rise(since, until)
	return n, last
}

// Watched reports whether this host was observed from one time to another: its
// first event came no later, its last no sooner.
func (h *Host) Watched(from, until time.Duration) bool {
	return h.seen[0] <= from && h.seen[1] >= until
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

// Neighbor returns the neighbour entry of a and since when it is in its state:
// on the interface that a's zone names, or on any.
func (h *Host) Neighbor(a netip.Addr) (n Neighbor, since Sighting, ok bool) {
	dev := h.InterfaceIndex(a.Zone())
	for _, v := range h.neighbors[a.WithZone("")] {
		if (dev == 0 || v.IfIndex == dev) && (!ok || v.IfIndex < n.IfIndex) {
			n, since, ok = v.Neighbor, v.since, true
		}
	}
	return n, since, ok
}

func (h *Host) putNeighbor(n Neighbor, at Sighting) {
	known := h.neighbors[n.Addr]
	for i := range known {
		if known[i].IfIndex == n.IfIndex {
			if known[i].State == n.State {
				at = known[i].since
			}
			known[i] = neighborState{n, at}
			return
		}
	}
	if len(known) < maxNeighborLinks && (len(known) > 0 || len(h.neighbors) < maxNeighbors) {
		h.neighbors[n.Addr] = append(known, neighborState{n, at})
	}
}

// sinceOf returns since when the entry is in its state, at where it was not.
func sinceOf(known []neighborState, n Neighbor, at Sighting) Sighting {
	for _, o := range known {
		if o.IfIndex == n.IfIndex && o.State == n.State {
			return o.since
		}
	}
	return at
}

// applySnapshot replaces everything by what the kernel has now.
func (h *Host) applySnapshot(s *Snapshot) {
	at := Seen(s)
	readable := !slices.ContainsFunc(s.Missing, unread)
	if h.KernelSeen && readable && !samePolicies(h.DB.Policies, s.Policies) {
		h.PoliciesChanged = at
	}
	if h.KernelSeen && readable {
		h.sas.replaced(at, &h.DB, s.SAs)
	}
	h.KernelSeen = readable
	h.Release, h.Links, h.Addresses, h.Routes = s.Release, s.Links, s.Addresses, s.Routes
	h.Listeners, h.Missing, h.Notes = s.Listeners, s.Missing, s.Notes
	h.Sysctls = maps.Clone(s.Sysctls)
	was := h.DB.Policies
	h.DB = s.Database()
	h.unguarded(at, was)
	old := h.neighbors
	h.neighbors = make(map[netip.Addr][]neighborState, len(s.Neighbors))
	for _, n := range s.Neighbors {
		h.putNeighbor(n, sinceOf(old[n.Addr], n, at))
	}
	h.applyCounters(at, s.Counters)
}

// Lacks reports whether the last snapshot could not tell of a part.
func (h *Host) Lacks(part string) bool {
	return slices.ContainsFunc(h.Missing, func(m string) bool { return strings.HasPrefix(m, part+":") })
}

// unread reports whether a part that a snapshot lacks is one without which
// nothing can be said of the policies.
func unread(missing string) bool {
	return strings.HasPrefix(missing, PartPolicies+":") || strings.HasPrefix(missing, PartSAs+":")
}

// samePolicies compares by what decides over packets.
func samePolicies(a, b []spd.Policy) bool {
	return slices.EqualFunc(a, b, func(x, y spd.Policy) bool {
		return x.Index == y.Index && x.Priority == y.Priority && x.Action == y.Action &&
			x.Identity() == y.Identity() && slices.Equal(x.Templates, y.Templates)
	})
}

// applyCounters notes new values, in the order of their names, so that it is
// always the same ones that are beyond the bound.
func (h *Host) applyCounters(at Sighting, values map[string]uint64) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		c := h.counters[name]
		if c == nil && len(h.counters) < maxCounters {
			c = new(series)
			h.counters[name] = c
		}
		if c != nil {
			c.put(at, values[name])
		}
	}
}

func (h *Host) applyPolicy(e *PolicyChange) {
	h.PoliciesChanged = Seen(e)
	h.loses(e)
	if e.Defaults != nil {
		h.DB.Defaults = *e.Defaults
		return
	}
	switch e.Change {
	case Added, Updated:
		if e.Change == Updated || !h.DB.HasPolicy(&e.Policy) { // a snapshot may have been quicker
			h.DB.PutPolicy(e.Policy)
		}
	case Deleted:
		h.DB.DeletePolicy(e.Policy.Identity())
	case Flushed:
		h.DB.FlushPolicies(e.Policy.Type)
	}
}

// applyExpire removes what has expired hard: the kernel has deleted it and says
// no more (xfrm_timer_handler, xfrm_policy_timer).
func (h *Host) applyExpire(e *Expire) {
	if !e.Hard {
		return
	}
	if e.SA != nil {
		h.sas.left(SALeft{At: Seen(e), How: "its hard lifetime was over"}, e.SA)
		h.DB.DeleteSA(*e.SA)
	}
	if e.Policy != nil {
		h.DB.DeletePolicy(e.Policy.Identity())
	}
}

// applySA folds a change of the SAD, and reports whether it is one: news of what
// an SA has counted changes nothing.
func (h *Host) applySA(e *SAChange) (changed bool) {
	at := Seen(e)
	switch e.Change {
	case Added, Updated:
		old := h.DB.FindSA(e.SA.Dst, e.SA.Proto, e.SA.SPI)
		changed = e.Change == Added || old == nil || !sameSA(old, &e.SA)
		h.sas.counted(at, old, &e.SA)
		h.DB.PutSA(e.SA)
		return changed
	case Deleted:
		h.sas.left(SALeft{At: at, How: "it was deleted"}, &e.SA)
		h.DB.DeleteSA(e.SA)
	case Flushed:
		h.sas.flushed(at, e.SA.Proto, &h.DB)
		h.DB.FlushSAs(e.SA.Proto)
	}
	return true
}

func (h *Host) applyNeighbor(e *NeighborChange) {
	if e.Change == Deleted {
		a := e.Neighbor.Addr
		h.neighbors[a] = slices.DeleteFunc(h.neighbors[a], func(n neighborState) bool { return n.IfIndex == e.Neighbor.IfIndex })
		if len(h.neighbors[a]) == 0 {
			delete(h.neighbors, a)
		}
		return
	}
	h.putNeighbor(e.Neighbor, Seen(e))
}
