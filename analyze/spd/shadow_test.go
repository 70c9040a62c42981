package spd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestShadows compares with a walk over all pairs of policies, on random ones.
func TestShadows(t *testing.T) {
	found := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		db := Database{}
		for range 20 {
			db.PutPolicy(overlappingPolicy(r))
		}
		var want []string
		for i := range db.Policies {
			if q := slowShadow(&db, i); q != nil && !sameEffect(&db.Policies[i], q) {
				want = append(want, fmt.Sprintf("%s | %s", &db.Policies[i], q))
			}
		}
		var got []string
		for _, s := range db.Shadows() {
			got = append(got, fmt.Sprintf("%s | %s", s.Policy, s.By))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: got\n%q\nwant\n%q", seed, got, want)
		}
		found += len(got)
	}
	if found < 100 {
		t.Errorf("only %d shadows in all", found)
	}
}

func overlappingPolicy(r *rand.Rand) Policy {
	prefix := func() netip.Prefix {
		a := netip.AddrFrom16([16]byte{0xfd, 15: byte(r.IntN(3))})
		return netip.PrefixFrom(a, []int{0, 8, 126, 128}[r.IntN(4)]).Masked()
	}
	p := Policy{
		Selector:  Selector{Src: prefix(), Dst: prefix(), Family: IPv6},
		Direction: []Direction{In, Out, Fwd}[r.IntN(3)], Priority: uint32(r.IntN(3)), Action: Action(r.IntN(2)),
	}
	if r.IntN(5) == 0 {
		p.Type = Sub
	}
	if r.IntN(3) == 0 {
		p.Selector.Proto, p.Selector.SrcPort, p.Selector.SrcPortMask = ProtoICMPv6, uint16(135+r.IntN(2)), 0xffff
	}
	if r.IntN(4) == 0 {
		p.Mark = Mark{Value: uint32(r.IntN(2)), Mask: 1}
	}
	return p
}

// slowShadow is the definition: the best policy that selects all packets of the
// one at place i and is asked before it.
func slowShadow(db *Database, i int) *Policy {
	p := &db.Policies[i]
	x := newShapes(db)
	best := -1
	for j := range db.Policies {
		q := &db.Policies[j]
		if i == j || q.Direction != p.Direction || !x.before(j, i) || !slowCovers(q, p) || (q.Type != p.Type && (q.Type != Sub || p.Direction == Fwd)) {
			continue
		}
		if best < 0 || x.compare(j, best) < 0 {
			best = j
		}
	}
	if best < 0 {
		return nil
	}
	return &db.Policies[best]
}

func slowCovers(q, p *Policy) bool {
	a, b := &q.Selector, &p.Selector
	return a.Src.Bits() <= b.Src.Bits() && a.Src.Contains(b.Src.Addr()) && a.Dst.Bits() <= b.Dst.Bits() && a.Dst.Contains(b.Dst.Addr()) &&
		(a.Proto == 0 || (a.Proto == b.Proto && (a.SrcPortMask == 0 || (b.SrcPortMask != 0 && a.SrcPort == b.SrcPort)))) &&
		(q.Mark.Mask == 0 || q.Mark == p.Mark)
}

func TestAUsedPolicyIsNoShadow(t *testing.T) {
	any := between("::/0", "::/0")
	narrow, wide := pol(Out, between("fd00::1/128", "fd00::2/128"), 7, withESP), pol(Out, any, 5)
	if got := (&Database{Policies: []Policy{narrow, wide}}).Shadows(); len(got) != 1 || got[0].Tie {
		t.Errorf("got %v", got)
	}
	wide.Priority = 7
	if got := (&Database{Policies: []Policy{narrow, wide}}).Shadows(); len(got) != 0 {
		t.Errorf("the older of two equals is no shadow: %v", got)
	}
	if got := (&Database{Policies: []Policy{wide, narrow}}).Shadows(); len(got) != 1 || !got[0].Tie {
		t.Errorf("got %v", got)
	}
	wide.AddTime, narrow.UseTime = 100, 200
	if got := (&Database{Policies: []Policy{wide, narrow}}).Shadows(); len(got) != 0 {
		t.Errorf("it was used after the other came: %v", got)
	}
}

// BenchmarkShadows audits 10,000 host-to-host policies beside wide ones.
func BenchmarkShadows(b *testing.B) {
	db := Database{}
	for i := range 10_000 {
		peer := netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 14: byte(i >> 8), 15: byte(i)}), 128)
		db.Policies = append(db.Policies, Policy{Selector: Selector{Src: netip.MustParsePrefix("fd00::1/128"), Dst: peer, Family: IPv6}, Direction: Out, Priority: 7})
	}
	db.Policies = append(db.Policies, Policy{Selector: Selector{Src: netip.MustParsePrefix("::/0"), Dst: netip.MustParsePrefix("::/0"), Family: IPv6}, Direction: Out, Priority: 1, Action: Block})
	for b.Loop() {
		if n := len(db.Shadows()); n != 10_000 {
			b.Fatal(n)
		}
	}
}
