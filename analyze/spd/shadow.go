package spd

import (
	"cmp"
	"net/netip"
	"slices"
)

// Shadow is a policy that can never decide over a packet, because another one
// selects all its packets and wins.
type Shadow struct {
	Policy, By *Policy
	// Tie is set where both have the same priority and By is older: kernels
	// differ in that.
	Tie bool
}

// Shadows returns the policies that can never win and would do something else
// than the one that wins, in order of age. Policies that only several others
// cover together are not among them, nor those that were used after the other
// came: something lets them win.
//
// It looks for the covering policy under each shape of selector that is in use
// (prefix lengths, protocol or not, port masks …), of which there are few.
func (db *Database) Shadows() []Shadow {
	x := newShapes(db)
	var out []Shadow
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Socket {
			continue
		}
		if q := x.beats(i); q != nil && !sameEffect(p, q) && (p.UseTime == 0 || q.AddTime == 0 || p.UseTime <= q.AddTime) {
			out = append(out, Shadow{Policy: p, By: q, Tie: p.Type == q.Type && p.Priority == q.Priority})
		}
	}
	return out
}

// maxShapes bounds the shapes that are looked at: hostile ones are without end.
const maxShapes = 4096

// shape is which parts of a packet a policy looks at.
type shape struct {
	dir                Direction
	typ                PolicyType
	family             Family
	src, dst           int // prefix lengths, -1 where open
	proto, dev         bool
	srcPorts, dstPorts uint16
	mark               uint32
}

// cut is a policy's selector as a shape sees it.
type cut struct {
	shape
	srcNet, dstNet   netip.Prefix
	protocol         uint8
	srcPort, dstPort uint16
	ifindex          int
	value, ifID      uint32
}

// shapes finds the policies that cover another one.
type shapes struct {
	db    *Database
	known map[shape]bool
	order []shape
	best  map[cut]int // place of the best policy with just this selector
}

func newShapes(db *Database) *shapes {
	x := &shapes{db: db, known: map[shape]bool{}, best: map[cut]int{}}
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Socket || p.Mark.Value&^p.Mark.Mask != 0 { // such a mark matches nothing
			continue
		}
		s := shapeOf(p)
		if !x.known[s] {
			x.known[s] = true
			if x.order = append(x.order, s); len(x.order) > maxShapes {
				x.order = x.order[:maxShapes]
			}
		}
		c := s.cut(p)
		if j, ok := x.best[c]; !ok || p.Priority < db.Policies[j].Priority {
			x.best[c] = i
		}
	}
	return x
}

func shapeOf(p *Policy) shape {
	s := &p.Selector
	return shape{
		dir: p.Direction, typ: p.Type, family: s.Family, src: s.Src.Bits(), dst: s.Dst.Bits(),
		proto: s.Proto != ProtoAny, dev: s.IfIndex != 0, srcPorts: s.SrcPortMask, dstPorts: s.DstPortMask, mark: p.Mark.Mask,
	}
}

// cut reduces p's selector to what s looks at.
func (s shape) cut(p *Policy) cut {
	c := cut{shape: s, ifID: p.IfID, value: p.Mark.Value & s.mark}
	c.srcNet, _ = p.Selector.Src.Addr().Prefix(s.src)
	c.dstNet, _ = p.Selector.Dst.Addr().Prefix(s.dst)
	if s.proto {
		c.protocol = p.Selector.Proto
	}
	if s.dev {
		c.ifindex = p.Selector.IfIndex
	}
	c.srcPort, c.dstPort = p.Selector.SrcPort&s.srcPorts, p.Selector.DstPort&s.dstPorts
	return c
}

// covers reports whether a policy of shape s may select all that one of shape o
// selects.
func (s shape) covers(o shape) bool {
	return s.dir == o.dir && s.family == o.family && s.src <= o.src && s.dst <= o.dst &&
		(!s.proto || o.proto) && (!s.dev || o.dev) &&
		s.srcPorts&^o.srcPorts == 0 && s.dstPorts&^o.dstPorts == 0 && s.mark&^o.mark == 0
}

// beats returns the policy that takes all packets of the one at place i: the
// best of its type that is better, or else a block among the sub policies, nil
// where there is none.
func (x *shapes) beats(i int) *Policy {
	p := &x.db.Policies[i]
	own := shapeOf(p)
	best := -1
	for _, s := range x.order {
		if !s.covers(own) || (s.typ != p.Type && (s.typ != Sub || p.Direction == Fwd)) {
			continue
		}
		j, ok := x.best[s.cut(p)]
		if !ok || j == i || !x.before(j, i) {
			continue
		}
		if best < 0 || x.compare(j, best) < 0 {
			best = j
		}
	}
	if best < 0 {
		return nil
	}
	return &x.db.Policies[best]
}

// before reports whether the policy at place j is asked before the one at i, and
// decides.
func (x *shapes) before(j, i int) bool {
	q, p := &x.db.Policies[j], &x.db.Policies[i]
	if q.Type != p.Type {
		return q.Action == Block // what a sub policy lets pass, main is asked about
	}
	return x.compare(j, i) < 0
}

// compare orders policies as the kernel weighs them: sub first, then by
// priority, then the older one.
func (x *shapes) compare(i, j int) int {
	a, b := &x.db.Policies[i], &x.db.Policies[j]
	return cmp.Or(cmp.Compare(b.Type, a.Type), cmp.Compare(a.Priority, b.Priority), cmp.Compare(i, j))
}

// Reversed returns the selector of the packets in the other direction. The type
// and code of ICMP stay where they are.
func (s Selector) Reversed() Selector {
	s.Src, s.Dst = s.Dst, s.Src
	if s.Proto != ProtoICMP && s.Proto != ProtoICMPv6 {
		s.SrcPort, s.DstPort = s.DstPort, s.SrcPort
		s.SrcPortMask, s.DstPortMask = s.DstPortMask, s.SrcPortMask
	}
	return s
}

// Required returns the templates of p that are not optional.
func (p *Policy) Required() []Template {
	return slices.DeleteFunc(slices.Clone(p.Templates), func(t Template) bool { return t.Optional })
}
