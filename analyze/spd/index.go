package spd

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// indexFrom is the number of entries from which an index is kept: below it a
// walk is as quick.
const indexFrom = 64

// aged gives the elements of a slice numbers that rise with their place and
// outlive the deletion of others.
type aged struct {
	numbers []uint64 // of the elements, in the slice's order
	next    uint64
}

func (a *aged) push() uint64 {
	a.next++
	a.numbers = append(a.numbers, a.next)
	return a.next
}

// place returns where the element with that number is now.
func (a *aged) place(number uint64) int {
	i, _ := slices.BinarySearch(a.numbers, number)
	return i
}

func (a *aged) cut(i int) { a.numbers = slices.Delete(a.numbers, i, i+1) }

// policyIndex finds the policies that may select a packet without a walk over
// all: those of one direction, type and if_id lie in buckets by their two
// prefixes, and a lookup looks into one bucket for each pair of prefix lengths
// that is in use, as tuple space search does. (The kernel has a tree of
// prefixes for it, xfrm_policy_inexact_lookup_rcu.)
type policyIndex struct {
	owner *Database // a copy of the database must not use it
	first *Policy   // where the slice began
	aged
	groups  map[policyGroup]reaches
	tunnels map[tunnelEnds][]uint64
	// leaders are the first policies that are not exact of each direction, where
	// they were asked for since the last change.
	leaders map[Direction]*Policy
}

type policyGroup struct {
	dir  Direction
	typ  PolicyType
	ifID uint32
}

// reaches holds the policies of one group by the lengths of their prefixes.
type reaches map[reach]map[prefixPair][]ranked

// reach is the lengths of two prefixes; -1 for one that is open.
type reach struct {
	src, dst   int
	src4, dst4 bool
}

type prefixPair struct{ src, dst netip.Prefix }

// ranked is a policy in its bucket, which is sorted as the kernel weighs: by
// priority, then age.
type ranked struct {
	priority uint32
	number   uint64
}

func (r ranked) compare(o ranked) int {
	return cmp.Or(cmp.Compare(r.priority, o.priority), cmp.Compare(r.number, o.number))
}

// policyIndex returns the index, made anew where the policies were changed
// other than by the database's methods; nil where there are few.
func (db *Database) policyIndex() *policyIndex {
	if len(db.Policies) < indexFrom {
		return nil
	}
	x := db.policies
	if x == nil || x.owner != db || x.first != &db.Policies[0] || len(x.numbers) != len(db.Policies) {
		x = &policyIndex{owner: db, first: &db.Policies[0], groups: map[policyGroup]reaches{}, tunnels: map[tunnelEnds][]uint64{}}
		for i := range db.Policies {
			x.add(&db.Policies[i])
		}
		db.policies = x
	}
	return x
}

// add takes in the policy that was appended to the slice.
func (x *policyIndex) add(p *Policy) {
	x.leaders = nil
	r := ranked{p.Priority, x.push()}
	if p.Socket {
		return
	}
	if ends, ok := tunnelOf(p); ok {
		x.tunnels[ends] = append(x.tunnels[ends], r.number)
	}
	g := policyGroup{p.Direction, p.Type, p.IfID}
	if x.groups[g] == nil {
		x.groups[g] = reaches{}
	}
	at, key := placeOf(p.Selector)
	if x.groups[g][at] == nil {
		x.groups[g][at] = map[prefixPair][]ranked{}
	}
	bucket := x.groups[g][at][key]
	i, _ := slices.BinarySearchFunc(bucket, r, ranked.compare)
	x.groups[g][at][key] = slices.Insert(bucket, i, r)
}

// remove forgets the policy at place i, before it is deleted from the slice.
func (x *policyIndex) remove(i int, p *Policy) {
	x.leaders = nil
	r := ranked{p.Priority, x.numbers[i]}
	x.cut(i)
	if ends, ok := tunnelOf(p); ok {
		x.tunnels[ends] = slices.DeleteFunc(x.tunnels[ends], func(n uint64) bool { return n == r.number })
	}
	rs := x.groups[policyGroup{p.Direction, p.Type, p.IfID}]
	at, key := placeOf(p.Selector)
	bucket := rs[at][key]
	if j, ok := slices.BinarySearchFunc(bucket, r, ranked.compare); ok {
		bucket = slices.Delete(bucket, j, j+1)
	}
	rs[at][key] = bucket
	if len(bucket) == 0 {
		delete(rs[at], key)
	}
	if len(rs[at]) == 0 {
		delete(rs, at) // so that a lookup does not look there
	}
}

func placeOf(s Selector) (reach, prefixPair) {
	r := reach{src: s.Src.Bits(), dst: s.Dst.Bits(), src4: s.Src.Addr().Is4(), dst4: s.Dst.Addr().Is4()}
	return r, prefixPair{s.Src.Masked(), s.Dst.Masked()}
}

// pair returns the prefixes of these lengths that hold the two addresses.
func (r reach) pair(src, dst netip.Addr) (p prefixPair, ok bool) {
	if p.src, ok = cover(src, r.src, r.src4); !ok {
		return p, false
	}
	p.dst, ok = cover(dst, r.dst, r.dst4)
	return p, ok
}

func cover(a netip.Addr, bits int, is4 bool) (netip.Prefix, bool) {
	if bits < 0 {
		return netip.Prefix{}, true
	}
	if a.Is4() != is4 {
		return netip.Prefix{}, false
	}
	p, err := a.Prefix(bits) // without its zone
	return p, err == nil
}

// buckets calls f with every bucket that may hold a policy of that group for
// packets between the two addresses.
func (x *policyIndex) buckets(g policyGroup, src, dst netip.Addr, f func([]ranked)) {
	for r, pairs := range x.groups[g] {
		if key, ok := r.pair(src, dst); ok {
			if bucket := pairs[key]; len(bucket) > 0 {
				f(bucket)
			}
		}
	}
}

// winner is Database.winner by the index.
func (x *policyIndex) winner(db *Database, g policyGroup, f Flow) (best, tied *Policy) {
	var first ranked
	x.buckets(g, f.Src, f.Dst, func(bucket []ranked) {
		for _, r := range bucket {
			if best != nil && r.compare(first) > 0 {
				return
			}
			if p := &db.Policies[x.place(r.number)]; p.Matches(f) {
				best, first = p, r
				return
			}
		}
	})
	if best == nil {
		return nil, nil
	}
	var second ranked
	x.buckets(g, f.Src, f.Dst, func(bucket []ranked) {
		i, _ := slices.BinarySearchFunc(bucket, first, ranked.compare)
		for _, r := range bucket[i:] {
			if r.priority != first.priority || (tied != nil && r.number > second.number) {
				return
			}
			if p := &db.Policies[x.place(r.number)]; p.Matches(f) && !sameEffect(best, p) {
				tied, second = p, r
				return
			}
		}
	})
	return best, tied
}

// equals is Database.equals by the index.
func (x *policyIndex) equals(db *Database, best *Policy, f Flow) []*Policy {
	var found []ranked
	x.buckets(policyGroup{best.Direction, best.Type, best.IfID}, f.Src, f.Dst, func(bucket []ranked) {
		i, _ := slices.BinarySearchFunc(bucket, ranked{priority: best.Priority}, ranked.compare)
		for _, r := range bucket[i:] {
			if r.priority != best.Priority {
				return
			}
			if db.Policies[x.place(r.number)].Matches(f) {
				found = append(found, r)
			}
		}
	})
	slices.SortFunc(found, ranked.compare)
	out := make([]*Policy, len(found))
	for i, r := range found {
		out[i] = &db.Policies[x.place(r.number)]
	}
	return out
}

// leader is Database.leader, remembered until the policies change.
func (x *policyIndex) leader(db *Database, dir Direction) *Policy {
	p, ok := x.leaders[dir]
	if !ok {
		if x.leaders == nil {
			x.leaders = map[Direction]*Policy{}
		}
		p = db.leader(dir)
		x.leaders[dir] = p
	}
	return p
}

// find returns the place of the oldest policy with that identity, -1 where
// there is none.
func (x *policyIndex) find(db *Database, id Identity) int {
	at, key := placeOf(id.Selector)
	oldest := uint64(0)
	for _, r := range x.groups[policyGroup{id.Direction, id.Type, id.IfID}][at][key] {
		if (oldest == 0 || r.number < oldest) && db.Policies[x.place(r.number)].Identity() == id {
			oldest = r.number
		}
	}
	if oldest == 0 {
		return -1
	}
	return x.place(oldest)
}

// tunnelEnds are the addresses of a policy's first template, where that is a
// tunnel.
type tunnelEnds struct{ src, dst netip.Addr }

func tunnelOf(p *Policy) (tunnelEnds, bool) {
	if p.Direction != Out || p.Socket || len(p.Templates) == 0 || p.Templates[0].Mode != Tunnel {
		return tunnelEnds{}, false
	}
	return tunnelEnds{p.Templates[0].Src, p.Templates[0].Dst}, true
}

// Between returns, the oldest first, the outbound policies that may concern two
// hosts: those that select packets from src to dst by their addresses, and
// those whose first template is a tunnel between the two. Others may be among
// them. Of few policies it returns all.
func (db *Database) Between(src, dst netip.Addr) iter.Seq[*Policy] {
	x := db.policyIndex()
	if x == nil {
		return func(yield func(*Policy) bool) {
			for i := range db.Policies {
				if !yield(&db.Policies[i]) {
					return
				}
			}
		}
	}
	found := slices.Clone(x.tunnels[tunnelEnds{src, dst}])
	for g := range x.groups {
		if g.dir == Out {
			x.buckets(g, src, dst, func(bucket []ranked) {
				for _, r := range bucket {
					found = append(found, r.number)
				}
			})
		}
	}
	slices.Sort(found)
	return func(yield func(*Policy) bool) {
		for _, n := range slices.Compact(found) {
			if !yield(&db.Policies[x.place(n)]) {
				return
			}
		}
	}
}
