package spd

import (
	"iter"
	"net/netip"
	"slices"
)

// saIndex finds SAs by their destination.
type saIndex struct {
	owner *Database
	first *SA
	aged
	byDst map[netip.Addr][]uint64
}

// saIndex returns the index, made anew where the SAs were changed other than by
// the database's methods; nil where there are few.
func (db *Database) saIndex() *saIndex {
	if len(db.SAs) < indexFrom {
		return nil
	}
	x := db.sas
	if x == nil || x.owner != db || x.first != &db.SAs[0] || len(x.numbers) != len(db.SAs) {
		x = &saIndex{owner: db, first: &db.SAs[0], byDst: map[netip.Addr][]uint64{}}
		for i := range db.SAs {
			x.add(&db.SAs[i])
		}
		db.sas = x
	}
	return x
}

func (x *saIndex) add(s *SA) { x.byDst[s.Dst] = append(x.byDst[s.Dst], x.push()) }

func (x *saIndex) remove(i int, s *SA) {
	n := x.numbers[i]
	x.cut(i)
	rest := x.byDst[s.Dst]
	if j, ok := slices.BinarySearch(rest, n); ok {
		rest = slices.Delete(rest, j, j+1)
	}
	x.byDst[s.Dst] = rest
	if len(rest) == 0 {
		delete(x.byDst, s.Dst)
	}
}

// sasTo returns the places of the SAs with that destination, in order. Of few
// SAs it returns all.
func (db *Database) sasTo(dst netip.Addr) iter.Seq[int] {
	x := db.saIndex()
	if x == nil {
		return db.allSAs()
	}
	return func(yield func(int) bool) {
		for _, n := range x.byDst[dst] {
			if !yield(x.place(n)) {
				return
			}
		}
	}
}

func (db *Database) allSAs() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range db.SAs {
			if !yield(i) {
				return
			}
		}
	}
}
