package kernel

import (
	"cmp"
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
)

// neighborKey identifies an entry of the neighbour table.
type neighborKey struct {
	addr    netip.Addr
	ifindex int
}

func keyOf(n analyze.Neighbor) neighborKey { return neighborKey{n.Addr, n.IfIndex} }

// neighborTable is the neighbour table as it was told so far. Notifications and
// dumps are compared with it.
type neighborTable struct {
	entries map[neighborKey]analyze.Neighbor
	touched map[neighborKey]bool // notified since the dump began, so newer than it
	cost    cost
}

func (t *neighborTable) reset(ns []analyze.Neighbor) {
	t.entries = make(map[neighborKey]analyze.Neighbor, len(ns))
	for _, n := range ns {
		t.entries[keyOf(n)] = n
	}
}

// begin starts a dump.
func (t *neighborTable) begin() {
	t.cost.begin()
	t.touched = map[neighborKey]bool{}
}

// notified takes in a notification and returns the change to be told, nil where
// it says nothing new.
func (t *neighborTable) notified(n analyze.Neighbor, deleted bool) *analyze.NeighborChange {
	if t.touched != nil {
		t.touched[keyOf(n)] = true
	}
	if deleted {
		return t.remove(n)
	}
	return t.put(n)
}

func (t *neighborTable) put(n analyze.Neighbor) *analyze.NeighborChange {
	old, ok := t.entries[keyOf(n)]
	switch {
	case ok && old == n:
		return nil
	case !ok && len(t.entries) >= maxNeighbors:
		return nil
	}
	t.entries[keyOf(n)] = n
	change := analyze.Added
	if ok {
		change = analyze.Updated
	}
	return &analyze.NeighborChange{Change: change, Neighbor: n}
}

func (t *neighborTable) remove(n analyze.Neighbor) *analyze.NeighborChange {
	if _, ok := t.entries[keyOf(n)]; !ok {
		return nil
	}
	delete(t.entries, keyOf(n))
	return &analyze.NeighborChange{Change: analyze.Deleted, Neighbor: n}
}

// differences takes in a dump and returns what nobody had told, entries that
// are gone last, those sorted.
func (t *neighborTable) differences(now []analyze.Neighbor) []*analyze.NeighborChange {
	var out []*analyze.NeighborChange
	seen := make(map[neighborKey]bool, len(now))
	for _, n := range now {
		seen[keyOf(n)] = true
		if t.touched[keyOf(n)] {
			continue
		}
		if e := t.put(n); e != nil {
			out = append(out, e)
		}
	}
	var gone []analyze.Neighbor
	for k, n := range t.entries {
		if !seen[k] && !t.touched[k] {
			gone = append(gone, n)
		}
	}
	t.touched = nil
	slices.SortFunc(gone, func(a, b analyze.Neighbor) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.IfIndex, b.IfIndex))
	})
	for _, n := range gone {
		out = append(out, t.remove(n))
	}
	return out
}
