package daemon

import (
	"iter"
	"maps"
	"reflect"
	"slices"

	"ipsecdiag/analyze"
)

// holdings are what a daemon held when it was last asked: what it holds now is
// told as the difference.
type holdings struct {
	conns map[string]analyze.Connection
	sas   map[string]analyze.DaemonSA
}

// changed takes in what a daemon holds now, and returns what is new or changed,
// and which SAs are gone.
func (h *holdings) changed(conns []analyze.Connection, sas []analyze.DaemonSA) (newConns []analyze.Connection, newSAs []analyze.DaemonSA, gone []string) {
	was := *h
	*h = holdings{conns: map[string]analyze.Connection{}, sas: map[string]analyze.DaemonSA{}}
	for _, c := range conns {
		h.conns[c.Name] = c
		if old, ok := was.conns[c.Name]; !ok || !reflect.DeepEqual(old, c) {
			newConns = append(newConns, c)
		}
	}
	for _, sa := range sas {
		h.sas[sa.ID] = sa
		if old, ok := was.sas[sa.ID]; !ok || !reflect.DeepEqual(old, sa) {
			newSAs = append(newSAs, sa)
		}
	}
	for id := range was.sas {
		if _, ok := h.sas[id]; !ok {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	return newConns, newSAs, gone
}

// lost reports whether a connection that was known is not there any more: then
// all is told anew, since a word tells of none that is gone.
func (h *holdings) lost(conns []analyze.Connection) bool {
	names := map[string]bool{}
	for _, c := range conns {
		names[c.Name] = true
	}
	for name := range h.conns {
		if !names[name] {
			return true
		}
	}
	return false
}

// valuesOf yields the connections in the order of their names.
func valuesOf(conns map[string]analyze.Connection) iter.Seq[analyze.Connection] {
	return func(yield func(analyze.Connection) bool) {
		for _, name := range slices.Sorted(maps.Keys(conns)) {
			if !yield(conns[name]) {
				return
			}
		}
	}
}

func sortedNames(counts map[string]uint64) []string { return slices.Sorted(maps.Keys(counts)) }
