package spd

import (
	"iter"
	"net/netip"
	"slices"
)

// saIndex finds SAs by their destination, and of these by their source: a gateway
// has thousands with one destination, itself.
type saIndex struct {
	owner *Database
	first *SA
	aged
	byDst  map[netip.Addr][]uint64
	byEnds map[saEnds][]uint64
	bySPI  map[saName][]uint64
}

// saName is an SA's key without its mark.
type saName struct {
	dst   netip.Addr
	proto uint8
	spi   uint32
}

func nameOf(s *SA) saName { return saName{s.Dst, s.Proto, s.SPI} }

// saEnds are the ends of an SA; an open source is the zero Addr.
type saEnds struct{ src, dst netip.Addr }

func endsOf(s *SA) saEnds {
	if open(s.Src) {
		return saEnds{dst: s.Dst}
	}
	return saEnds{s.Src, s.Dst}
}

// saIndex returns the index, made anew where the SAs were changed other than by
// the database's methods; nil where there are few.
func (db *Database) saIndex() *saIndex {
	if len(db.SAs) < indexFrom {
		return nil
	}
	x := db.sas
	if x == nil || x.owner != db || x.first != &db.SAs[0] || len(x.numbers) != len(db.SAs) {
		x = &saIndex{owner: db, first: &db.SAs[0], byDst: map[netip.Addr][]uint64{}, byEnds: map[saEnds][]uint64{}, bySPI: map[saName][]uint64{}}
		for i := range db.SAs {
			x.add(&db.SAs[i])
		}
		db.sas = x
	}
	return x
}

func (x *saIndex) add(s *SA) {
	n, e := x.push(), endsOf(s)
	x.byDst[s.Dst] = append(x.byDst[s.Dst], n)
	x.byEnds[e] = append(x.byEnds[e], n)
	x.bySPI[nameOf(s)] = append(x.bySPI[nameOf(s)], n)
}

func (x *saIndex) remove(i int, s *SA) {
	n := x.numbers[i]
	x.cut(i)
	forget(x.byDst, s.Dst, n)
	forget(x.byEnds, endsOf(s), n)
	forget(x.bySPI, nameOf(s), n)
}

// replace notes that the SA at place i has other ends now; its key, and with it
// its destination, is the same.
func (x *saIndex) replace(i int, old, s *SA) {
	n, e := x.numbers[i], endsOf(s)
	forget(x.byEnds, endsOf(old), n)
	j, _ := slices.BinarySearch(x.byEnds[e], n)
	x.byEnds[e] = slices.Insert(x.byEnds[e], j, n)
}

// forget takes a number out of the list of a key.
func forget[K comparable](m map[K][]uint64, key K, n uint64) {
	rest := m[key]
	if j, ok := slices.BinarySearch(rest, n); ok {
		rest = slices.Delete(rest, j, j+1)
	}
	m[key] = rest
	if len(rest) == 0 {
		delete(m, key)
	}
}

// FindSA returns the SA with that destination, protocol and SPI, whatever its mark,
// nil where there is none. It is valid until the SAs change.
func (db *Database) FindSA(dst netip.Addr, proto uint8, spi uint32) *SA {
	name := saName{dst.WithZone(""), proto, spi}
	if x := db.saIndex(); x != nil {
		if found := x.bySPI[name]; len(found) > 0 {
			return &db.SAs[x.place(found[0])]
		}
		return nil
	}
	for i := range db.SAs {
		if nameOf(&db.SAs[i]) == name {
			return &db.SAs[i]
		}
	}
	return nil
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

// sasBetween returns the places of the SAs from src, or from anywhere, to dst, in
// order. Of few SAs it returns all; where src is open, all to dst.
func (db *Database) sasBetween(src, dst netip.Addr) iter.Seq[int] {
	x := db.saIndex()
	if x == nil || open(src) {
		return db.sasTo(dst)
	}
	own, any := x.byEnds[saEnds{src, dst}], x.byEnds[saEnds{dst: dst}]
	return func(yield func(int) bool) {
		for len(own) > 0 || len(any) > 0 {
			next := &own
			if len(own) == 0 || (len(any) > 0 && any[0] < own[0]) {
				next = &any
			}
			if !yield(x.place((*next)[0])) {
				return
			}
			*next = (*next)[1:]
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
