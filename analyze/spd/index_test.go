package spd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// walkWinner is Database.winner without an index: what it must agree with.
func walkWinner(db *Database, dir Direction, f Flow, t PolicyType) (best, tied *Policy) {
	for i := range db.Policies {
		p := &db.Policies[i]
		if p.Type != t || p.Direction != dir || p.Socket || !p.Matches(f) {
			continue
		}
		switch {
		case best == nil || p.Priority < best.Priority:
			best, tied = p, nil
		case p.Priority == best.Priority && tied == nil && !sameEffect(best, p):
			tied = p
		}
	}
	return best, tied
}

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomPolicy makes a policy out of few values, so that many match and tie.
func randomPolicy(r *rand.Rand) Policy {
	nets := []string{"::/0", "fd00::/16", "fd00::/64", "fd00::1/128", "fd00::2/128", "fd00::1/64", "fd00::3/128"}
	if r.IntN(4) == 0 {
		nets = []string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.1/32", "10.0.0.2/32"}
	}
	s := between(pick(r, nets...), pick(r, nets...))
	switch r.IntN(10) {
	case 0:
		s.Src, s.Dst, s.Family = netip.Prefix{}, netip.Prefix{}, Unspecified
	case 1:
		s.Src = netip.Prefix{}
	}
	s.Proto = pick[uint8](r, 0, 0, ProtoICMPv6, ProtoUDP)
	s.SrcPort, s.SrcPortMask = pick[uint16](r, 135, 136), pick[uint16](r, 0, 0, 0xffff, 0xfe)
	s.IfIndex = pick(r, 0, 0, 0, 3)
	p := pol(pick(r, Out, Out, In), s, pick[uint32](r, 0, 10, 10, 20))
	p.Type = pick(r, Main, Main, Sub)
	p.Action = pick(r, Allow, Allow, Block)
	p.Mark = pick(r, Mark{}, Mark{}, Mark{5, 0xff})
	p.IfID = pick[uint32](r, 0, 0, 9)
	p.Socket = r.IntN(20) == 0
	p.Index = r.Uint32()
	if r.IntN(2) == 0 {
		p.Templates = []Template{{Proto: ProtoESP, Mode: Transport, ReqID: r.Uint32N(4)}}
		if r.IntN(3) == 0 {
			p.Templates[0].Mode, p.Templates[0].Src, p.Templates[0].Dst = Tunnel, pick(r, gate1, gate2, glass), pick(r, gate1, gate2, teapot)
		}
	}
	return p
}

// concerns is what Between must not miss.
func concerns(p *Policy, src, dst netip.Addr) bool {
	if p.Direction != Out || p.Socket {
		return false
	}
	tunnel := len(p.Templates) > 0 && p.Templates[0].Mode == Tunnel && p.Templates[0].Src == src && p.Templates[0].Dst == dst
	return tunnel || containsAddr(p.Selector.Src, src) && containsAddr(p.Selector.Dst, dst)
}

// checkBetween holds that the index finds all that concerns two hosts, once
// each, the oldest first.
func checkBetween(t *testing.T, db *Database, r *rand.Rand) {
	t.Helper()
	hosts := []netip.Addr{gate1, gate2, glass, teapot, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00:1::1")}
	src, dst := pick(r, hosts...), pick(r, hosts...)
	var got, want []*Policy
	for p := range db.Between(src, dst) {
		if concerns(p, src, dst) {
			got = append(got, p)
		}
	}
	for i := range db.Policies {
		if p := &db.Policies[i]; concerns(p, src, dst) {
			want = append(want, p)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("between %s and %s: got %d, want %d", src, dst, len(got), len(want))
	}
}

func randomFlow(r *rand.Rand) Flow {
	hosts := []string{"fd00::1", "fd00::2", "fd00:1::1", "fe80::1%eth0", "2001:db8::1", "::ffff:10.0.0.1"}
	if r.IntN(4) == 0 {
		hosts = []string{"10.0.0.1", "10.0.0.2", "192.0.2.1"}
	}
	return Flow{
		Src: netip.MustParseAddr(pick(r, hosts...)), Dst: netip.MustParseAddr(pick(r, hosts...)),
		Proto: pick[uint8](r, ProtoICMPv6, ProtoUDP), SrcPort: pick[uint16](r, 135, 136, 53),
		IfIndex: pick(r, 0, 3), Mark: pick[uint32](r, 0, 5), IfID: pick[uint32](r, 0, 0, 9),
	}
}

// checkIndex asks both ways and compares.
func checkIndex(t *testing.T, db *Database, r *rand.Rand) {
	t.Helper()
	for range 10 {
		f := randomFlow(r)
		for _, dir := range []Direction{In, Out, Fwd} {
			for _, typ := range []PolicyType{Main, Sub} {
				best, tied := db.winner(dir, f, typ)
				wantBest, wantTied := walkWinner(db, dir, f, typ)
				if best != wantBest || tied != wantTied {
					t.Fatalf("%d policies, %s %s %+v:\ngot  %v, tied %v\nwant %v, tied %v",
						len(db.Policies), dir, typ, f, best, tied, wantBest, wantTied)
				}
			}
		}
	}
}

// TestTheIndexAgreesWithTheWalk changes a database in every way there is, and
// asks after each change.
func TestTheIndexAgreesWithTheWalk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var db Database
	for len(db.Policies) < 3*indexFrom {
		db.Policies = append(db.Policies, randomPolicy(r))
	}
	for step := range 2000 {
		old := db.Policies[r.IntN(len(db.Policies))]
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			db.PutPolicy(randomPolicy(r))
		case 4, 5:
			old.Priority = pick[uint32](r, 0, 10, 20)
			db.PutPolicy(old)
		case 6, 7, 8:
			want := slices.IndexFunc(db.Policies, func(p Policy) bool { return !p.Socket && p.Identity() == old.Identity() })
			if got := db.findPolicy(old.Identity()); got != want {
				t.Fatalf("step %d: found at %d, want %d", step, got, want)
			}
			if db.DeletePolicy(old.Identity()) != (want >= 0) {
				t.Fatalf("step %d: deleted %t", step, want < 0)
			}
		case 9:
			db.Policies = append(db.Policies, randomPolicy(r))
		case 10:
			db.Policies = slices.Clone(db.Policies[:len(db.Policies)-1])
		case 11:
			if r.IntN(20) == 0 {
				db.FlushPolicies(Sub)
			}
		}
		if step%4 == 0 {
			checkIndex(t, &db, r)
			checkBetween(t, &db, r)
		}
		for len(db.Policies) < indexFrom { // where a walk is all there is
			db.Policies = append(db.Policies, randomPolicy(r))
		}
	}
}

// TestTheSAIndexAgreesWithTheWalk holds the changes of the SAD against those
// made with few SAs, where no index is.
func TestTheSAIndexAgreesWithTheWalk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	random := func() SA {
		host := func() netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00::%d", r.IntN(4))) }
		return sa(host(), host(), r.Uint32N(3), func(s *SA) {
			s.ReqID, s.Seq, s.Proto = r.Uint32N(3), r.Uint32N(3), pick[uint8](r, ProtoESP, ProtoAH)
			s.Used.AddTime = uint64(r.IntN(3))
			if s.SPI == 0 {
				s.Enc = nil
			}
		})
	}
	var indexed, walked Database
	for i := range indexFrom { // far away, so that the first has an index
		indexed.SAs = append(indexed.SAs, sa(gate1, gate2, uint32(i+1)))
	}
	for step := range 3000 {
		s := random()
		switch r.IntN(4) {
		case 0, 1:
			indexed.PutSA(s)
			walked.PutSA(s)
		case 2:
			if a, b := indexed.DeleteSA(s), walked.DeleteSA(s); a != b {
				t.Fatalf("step %d: deleted %t and %t", step, a, b)
			}
		case 3:
			p := pol(pick(r, In, Out), between("::/0", "::/0"), 1, tmpl(Template{
				Proto: ProtoESP, Mode: Transport, ReqID: r.Uint32N(3), Src: netip.IPv6Unspecified(), Dst: netip.IPv6Unspecified()}))
			f := Flow{Src: s.Src, Dst: s.Dst}
			a := indexed.findFor(&p, &p.Templates[0], p.Direction, f.Src, f.Dst, f)
			b := walked.findFor(&p, &p.Templates[0], p.Direction, f.Src, f.Dst, f)
			if (a == nil) != (b == nil) || (a != nil && *a != *b && a.String() != b.String()) {
				t.Fatalf("step %d: %v and %v", step, a, b)
			}
		}
		if !slices.EqualFunc(indexed.SAs[indexFrom:], walked.SAs, func(a, b SA) bool { return a.Key() == b.Key() && a.Seq == b.Seq }) {
			t.Fatalf("step %d: %v and %v", step, indexed.SAs[indexFrom:], walked.SAs)
		}
	}
	if len(walked.SAs) >= indexFrom {
		t.Fatal("both have an index")
	}
	db := indexed.Clone()
	db.FlushSAs(ProtoAH)
	if n := len(db.SAs); n == len(indexed.SAs) || db.saIndex() == nil || len(db.sas.numbers) != n {
		t.Errorf("%d SAs after a flush", n)
	}
}

// TestAnInboundTemplateWithoutADestinationTakesAnySA holds that many SAs are
// all looked at where a template names no destination.
func TestAnInboundTemplateWithoutADestinationTakesAnySA(t *testing.T) {
	tunnel := Template{Src: netip.IPv6Unspecified(), Dst: netip.IPv6Unspecified(), Proto: ProtoESP, Mode: Tunnel}
	db := Database{Policies: []Policy{pol(In, between("::/0", "::/0"), 1, tmpl(tunnel))}}
	for i := range indexFrom {
		db.SAs = append(db.SAs, sa(gate1, gate2, uint32(i+1)))
	}
	last := sa(gate2, gate1, 99, func(s *SA) { s.Mode = Tunnel })
	db.SAs = append(db.SAs, last)
	if v := db.Lookup(In, answer); v.MissingSA() != nil || v.Needs[0].SA.SPI != 99 {
		t.Errorf("needs %+v", v.Needs)
	}
}

// TestFlushedPoliciesAreForgotten holds that a slice of the same length in the
// same place is not taken for the old one.
func TestFlushedPoliciesAreForgotten(t *testing.T) {
	var db Database
	for i := range indexFrom {
		db.PutPolicy(pol(Out, icmp6(between("fd01::/16", "fd01::/16"), i, -1), 10, sub))
		db.PutSA(sa(teapot, glass, uint32(i+1)))
	}
	f := ICMPv6Flow(teapot, glass, 7)
	db.Lookup(Out, f)
	db.DeleteSA(sa(teapot, glass, 0x1000)) // there is none, but an index now
	db.FlushPolicies(Sub)
	db.FlushSAs(ProtoAny)
	for i := range indexFrom {
		db.PutPolicy(pol(Out, icmp6(between("fd00::/16", "fd00::/16"), i+100, -1), 10, withESP))
		db.PutSA(sa(glass, teapot, uint32(i+1)))
	}
	if v := db.Lookup(Out, f); len(v.Policies) != 0 {
		t.Errorf("decided by %v", v.Policies)
	}
	if v := db.Lookup(Out, ICMPv6Flow(teapot, glass, 107)); v.Decision != Protect || !v.Dies() {
		t.Errorf("%s, dies %t", v.Decision, v.Dies())
	}
	if i := db.findSA(&SA{Dst: teapot, Proto: ProtoESP, SPI: 5}); i != 4 {
		t.Errorf("an SA is found at %d, want 4", i)
	}
}

// TestACopyHasAnIndexOfItsOwn holds that what is changed in a clone does not
// show in the first database, nor in a copy by assignment.
func TestACopyHasAnIndexOfItsOwn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	var db Database
	for len(db.Policies) < indexFrom {
		db.PutPolicy(randomPolicy(r))
	}
	checkIndex(t, &db, r)
	best := pol(Out, between("::/0", "::/0"), 0, sub)
	clone, copied := db.Clone(), db
	clone.PutPolicy(best)
	checkIndex(t, &clone, r)
	copied.PutPolicy(best)
	checkIndex(t, &copied, r)
	if db.policies == copied.policies || db.policies.owner != &db || len(db.policies.numbers) != indexFrom {
		t.Error("the copy changed the first database's index")
	}
	if len(db.Policies) != indexFrom || db.policyIndex() != db.policies {
		t.Error("the first database was changed")
	}
	checkIndex(t, &db, r)
}

// manyPolicies are those of a gateway that has 5,000 peers, a bypass and a
// policy for each, with the SAs.
func manyPolicies() Database {
	var db Database
	for i := range 5000 {
		peer := netip.AddrFrom16([16]byte{0xfd, 1, 14: byte(i >> 8), 15: byte(i)})
		s := Selector{Src: netip.PrefixFrom(glass, 128), Dst: netip.PrefixFrom(peer, 128), Family: IPv6}
		db.Policies = append(db.Policies, pol(Out, s, 200, withESP), pol(Out, icmp6(s, NeighborAdvertisement, -1), 100))
		db.SAs = append(db.SAs, sa(glass, peer, uint32(i+1)))
	}
	return db
}

func BenchmarkLookup10000(b *testing.B) {
	db := manyPolicies()
	f := Flow{Src: glass, Dst: netip.MustParseAddr("fd01::507"), Proto: ProtoTCP, DstPort: 80}
	if v := db.Lookup(Out, f); v.Decision != Protect || v.Dies() {
		b.Fatalf("%s by %v", v.Decision, v.Policies)
	}
	for b.Loop() {
		db.Lookup(Out, f)
	}
}

func BenchmarkIndex10000(b *testing.B) {
	first := manyPolicies()
	f := ICMPv6Flow(glass, teapot, NeighborAdvertisement)
	for b.Loop() {
		db := first
		db.Lookup(Out, f)
	}
}

func BenchmarkBetween10000(b *testing.B) {
	db := manyPolicies()
	dst := netip.MustParseAddr("fd01::507")
	for b.Loop() {
		for p := range db.Between(glass, dst) {
			_ = p
		}
	}
}

func BenchmarkExplain10000(b *testing.B) {
	db := manyPolicies()
	f := Flow{Src: glass, Dst: netip.MustParseAddr("fd01::507"), Proto: ProtoTCP, DstPort: 80}
	for b.Loop() {
		db.Explain(Out, f)
	}
}

func BenchmarkPutPolicy10000(b *testing.B) {
	db := manyPolicies()
	for i := 0; b.Loop(); i++ {
		db.PutPolicy(db.Policies[i%len(db.Policies)])
	}
}
