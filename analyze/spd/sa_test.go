package spd

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// lookupOut asks for the answer of teapot to glass under a policy and one SA.
func lookupOut(p Policy, s SA, f Flow) Verdict {
	db := Database{Policies: []Policy{p}, SAs: []SA{s}}
	return db.Lookup(Out, f)
}

// TestWhichSASatisfiesATemplate holds xfrm_state_find and xfrm_state_look_at.
func TestWhichSASatisfiesATemplate(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	policy := pol(Out, pair, 1, withESP)
	tests := []struct {
		name   string
		change func(*SA)
		want   bool
	}{
		{"one that fits", func(*SA) {}, true},
		{"another reqid", func(s *SA) { s.ReqID = 8 }, false},
		{"no reqid", func(s *SA) { s.ReqID = 0 }, false},
		{"another mode", func(s *SA) { s.Mode = Tunnel }, false},
		{"another protocol", func(s *SA) { s.Proto = ProtoAH }, false},
		{"another destination", func(s *SA) { s.Dst = teapot }, false},
		{"another source", func(s *SA) { s.Src = netip.MustParseAddr("fd00::9") }, false},
		{"an open source", func(s *SA) { s.Src = netip.IPv6Unspecified() }, true},
		{"the other direction", func(s *SA) { s.Src, s.Dst = s.Dst, s.Src }, false},
		{"another if_id", func(s *SA) { s.IfID = 5 }, false},
		{"a mark", func(s *SA) { s.Mark = Mark{5, 0xff} }, false},
		{"made for inbound packets", func(s *SA) { s.Dir = DirIn }, false},
		{"made for outbound packets", func(s *SA) { s.Dir = DirOut }, true},
		{"one that takes any source, for inbound packets", func(s *SA) { s.Flags = StateWildRecv }, false},
		{"a selector that fits", func(s *SA) { s.Selector = pair }, true},
		{"a selector that does not", func(s *SA) { s.Selector = pair; s.Selector.Proto = ProtoTCP }, false},
		{"larval", func(s *SA) { s.SPI, s.Enc = 0, nil }, false},
		{"reserved", func(s *SA) { s.Enc = nil }, false},
		{"authentication only", func(s *SA) { s.Enc, s.Auth = nil, &Algorithm{Name: "hmac(sha256)"} }, true},
		{"AEAD", func(s *SA) { s.Enc, s.AEAD = nil, &Algorithm{Name: "rfc4106(gcm(aes))"} }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sa(teapot, glass, 0x1000)
			tt.change(&s)
			v := lookupOut(policy, s, answer)
			if v.Decision != Protect {
				t.Fatalf("decision %s, want protect", v.Decision)
			}
			if got := v.MissingSA() == nil; got != tt.want {
				t.Errorf("%s satisfies %s: %t, want %t", &s, policy.Templates[0], got, tt.want)
			}
			if v.Dies() == tt.want {
				t.Errorf("dies = %t", v.Dies())
			}
		})
	}
}

// TestAnSAOfAnotherSourceMayServeByChance holds what 6.1 did.
func TestAnSAOfAnotherSourceMayServeByChance(t *testing.T) {
	policy := pol(Out, between("::/0", "fd00::1/128"), 1, withESP)
	stray := sa(netip.MustParseAddr("fd00::9"), glass, 0x1000)
	db := Database{Policies: []Policy{policy}, SAs: []SA{stray}}
	e := db.Explain(Out, answer)
	if n := e.Verdict.MissingSA(); n == nil || n.Stray == nil || n.Stray.SPI != 0x1000 || !e.Verdict.Dies() {
		t.Errorf("missing %+v", n)
	}
	if !strings.HasPrefix(e.Depends(), "SA spi 0x00001000 has another source, fd00::9, and fits otherwise") {
		t.Errorf("depends on %q", e.Depends())
	}
	for name, change := range map[string]func(*SA){
		"another reqid": func(s *SA) { s.ReqID = 8 }, "another destination": func(s *SA) { s.Dst = teapot },
		"larval": func(s *SA) { s.SPI, s.Enc = 0, nil },
	} {
		other := stray
		change(&other)
		db.SAs = []SA{other}
		if v := db.Lookup(Out, answer); v.MissingSA().Stray != nil {
			t.Errorf("%s: it may serve", name)
		}
	}
	db.SAs = []SA{stray, sa(teapot, glass, 0x2000)}
	if v := db.Lookup(Out, answer); v.MissingSA() != nil || v.Needs[0].SA.SPI != 0x2000 || v.Needs[0].Stray != nil {
		t.Errorf("with one that fits: %+v", v.Needs)
	}
	in := Database{Policies: []Policy{pol(In, between("::/0", "fd00::1/128"), 1, withESP)}, SAs: []SA{stray}}
	if v := in.Lookup(In, answer); v.MissingSA() == nil || v.MissingSA().Stray != nil {
		t.Errorf("inbound: %+v", v.Needs)
	}
}

func TestATemplateMayNameItsSPI(t *testing.T) {
	policy := pol(Out, between("fd00::2/128", "fd00::1/128"), 1, tmpl(Template{Proto: ProtoESP, Mode: Transport, ReqID: 7, SPI: 0x1000}))
	for spi, want := range map[uint32]bool{0x1000: true, 0x1001: false} {
		if v := lookupOut(policy, sa(teapot, glass, spi), answer); (v.MissingSA() == nil) != want {
			t.Errorf("SPI %#x: satisfied %t", spi, !want)
		}
	}
}

// TestAnOutboundSAIsChosenByThePolicysMark holds xfrm_state_find: mark =
// pol->mark.v & pol->mark.m, whatever mark the packet has.
func TestAnOutboundSAIsChosenByThePolicysMark(t *testing.T) {
	tests := []struct {
		name       string
		policy, sa Mark
		packet     uint32
		want       bool
	}{
		{"the policy's mark is the SA's", Mark{5, 0xff}, Mark{5, 0xff}, 5, true},
		{"an SA without a mark serves every policy", Mark{5, 0xff}, Mark{}, 5, true},
		{"the packet's mark alone does not choose the SA", Mark{}, Mark{5, 0xff}, 5, false},
		{"bits outside the policy's mask do not choose the SA", Mark{5, 0xf}, Mark{0x15, 0xff}, 0x15, false},
	}
	for _, tt := range tests {
		f := answer
		f.Mark = tt.packet
		p := pol(Out, between("fd00::2/128", "fd00::1/128"), 1, withESP, marked(tt.policy.Value, tt.policy.Mask))
		v := lookupOut(p, sa(teapot, glass, 1, func(s *SA) { s.Mark = tt.sa }), f)
		if (v.MissingSA() == nil) != tt.want {
			t.Errorf("%s: satisfied %t, want %t", tt.name, !tt.want, tt.want)
		}
	}
}

// TestATunnelsSAHasTheTemplatesAddresses holds xfrm_tmpl_resolve_one.
func TestATunnelsSAHasTheTemplatesAddresses(t *testing.T) {
	f := Flow{Src: netip.MustParseAddr("10.1.0.5"), Dst: netip.MustParseAddr("10.2.0.5"), Proto: ProtoTCP}
	nets := between("10.1.0.0/16", "10.2.0.0/16")
	for _, mode := range []Mode{Tunnel, BEET, IPTFS} {
		tunnel := Template{Src: gate1, Dst: gate2, Proto: ProtoESP, Mode: mode, ReqID: 7}
		p := pol(Out, nets, 1, tmpl(tunnel))
		inMode := func(s *SA) { s.Mode = mode }
		if v := lookupOut(p, sa(gate1, gate2, 1, inMode), f); v.MissingSA() != nil {
			t.Errorf("%s: the gateways' SA does not satisfy it", mode)
		}
		if v := lookupOut(p, sa(f.Src, f.Dst, 1, inMode), f); v.MissingSA() == nil {
			t.Errorf("%s: an SA of the inner addresses satisfies it", mode)
		}
	}
	t.Run("and so has what comes behind the tunnel", func(t *testing.T) {
		p := pol(Out, nets, 1, tmpl(
			Template{Src: gate1, Dst: gate2, Proto: ProtoESP, Mode: Tunnel, ReqID: 7},
			Template{Proto: ProtoAH, Mode: Transport, ReqID: 7}))
		inTunnel := func(s *SA) { s.Mode = Tunnel }
		viaAH := func(s *SA) { s.Proto = ProtoAH }
		db := Database{Policies: []Policy{p}, SAs: []SA{sa(gate1, gate2, 1, inTunnel), sa(gate1, gate2, 2, viaAH)}}
		if v := db.Lookup(Out, f); v.Dies() || len(v.Needs) != 2 {
			t.Errorf("dies %t with needs %v", v.Dies(), v.Needs)
		}
		db.SAs[1] = sa(f.Src, f.Dst, 2, viaAH)
		if v := db.Lookup(Out, f); v.MissingSA() == nil || v.MissingSA().Template.Proto != ProtoAH {
			t.Errorf("AH between the inner addresses satisfies it: needs %v", v.Needs)
		}
	})
	t.Run("and an open source is the route's", func(t *testing.T) {
		p := pol(Out, nets, 1, tmpl(Template{Src: netip.IPv4Unspecified(), Dst: gate2, Proto: ProtoESP, Mode: Tunnel, ReqID: 7}))
		if v := lookupOut(p, sa(gate1, gate2, 1, func(s *SA) { s.Mode = Tunnel }), f); v.Dies() {
			t.Error("the SA does not satisfy it")
		}
	})
}

// TestAnInboundTemplateTakesMore holds xfrm_state_ok: no reqid and no if_id in
// the template mean any.
func TestAnInboundTemplateTakesMore(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	free := Template{Proto: ProtoESP, Mode: Transport}
	tests := []struct {
		name     string
		template Template
		change   func(*SA)
		want     bool
	}{
		{"a template without a reqid", free, func(*SA) {}, true},
		{"the same reqid", espTransport, func(*SA) {}, true},
		{"another reqid", espTransport, func(s *SA) { s.ReqID = 8 }, false},
		{"an SA with an if_id", free, func(s *SA) { s.IfID = 5 }, true},
		{"made for outbound packets", free, func(s *SA) { s.Dir = DirOut }, false},
		{"another mode", free, func(s *SA) { s.Mode = Tunnel }, false},
	}
	for _, tt := range tests {
		s := sa(teapot, glass, 0x1000)
		tt.change(&s)
		db := Database{Policies: []Policy{pol(In, pair, 1, tmpl(tt.template))}, SAs: []SA{s}}
		v := db.Lookup(In, answer)
		if v.Decision != Protect || (v.MissingSA() == nil) != tt.want {
			t.Errorf("%s: %s, satisfied %t; want %t", tt.name, v.Decision, v.MissingSA() == nil, tt.want)
		}
	}
}

func TestTheYoungestSACarriesThePacket(t *testing.T) {
	at := func(sec uint64) func(*SA) { return func(s *SA) { s.Used.AddTime = sec } }
	db := Database{
		Policies: []Policy{pol(Out, between("fd00::2/128", "fd00::1/128"), 1, withESP)},
		SAs:      []SA{sa(teapot, glass, 1, at(100)), sa(teapot, glass, 2, at(300)), sa(teapot, glass, 3, at(200))},
	}
	if v := db.Lookup(Out, answer); v.Needs[0].SA.SPI != 2 {
		t.Errorf("SPI %d carries it, want that of the youngest, 2 (xfrm_state_look_at)", v.Needs[0].SA.SPI)
	}
}

func TestSAsAreLarvalReservedOrUsable(t *testing.T) {
	plain := func(s *SA) { s.Enc = nil }
	tests := []struct {
		name                     string
		sa                       SA
		larval, reserved, usable bool
	}{
		{"of an ACQUIRE", sa(glass, teapot, 0, plain), true, false, false},
		{"of ALLOCSPI", sa(glass, teapot, 0x1000, plain), false, true, false},
		{"whole", sa(glass, teapot, 0x1000), false, false, true},
		{"compression", sa(glass, teapot, 0x10, plain, func(s *SA) { s.Proto, s.Comp = ProtoIPComp, &Algorithm{Name: "deflate"} }), false, false, true},
	}
	for _, tt := range tests {
		s := tt.sa
		if s.Larval() != tt.larval || s.Reserved() != tt.reserved || s.Usable() != tt.usable {
			t.Errorf("%s: larval %t, reserved %t, usable %t", tt.name, s.Larval(), s.Reserved(), s.Usable())
		}
	}
}

func clone(db Database) Database {
	db.Policies, db.SAs = append([]Policy(nil), db.Policies...), append([]SA(nil), db.SAs...)
	return db
}

func TestChangesOfTheSPDAreIdempotent(t *testing.T) {
	a := pol(Out, between("fd00::1/128", "fd00::2/128"), 10)
	b := pol(Out, between("fd00::/64", "fd00::/64"), 10, withESP)
	s := pol(Out, between("fd00::1/128", "fd00::2/128"), 10, socket)
	db := Database{Policies: []Policy{a, b, s, s}}
	before := clone(db)
	a2 := a
	a2.Priority = 20
	db.PutPolicy(a2)
	db.PutPolicy(a2)
	if len(db.Policies) != 4 || !reflect.DeepEqual(db.Policies[3], a2) {
		t.Errorf("a replacement is not the youngest, once: %v", db.Policies)
	}
	if !db.DeletePolicy(a.Identity()) || db.DeletePolicy(a.Identity()) {
		t.Error("deleted never or twice")
	}
	if len(db.Policies) != 3 || !db.Policies[1].Socket || !db.Policies[2].Socket {
		t.Errorf("socket policies are removed by identity: %v", db.Policies)
	}
	if !reflect.DeepEqual(before.Policies[0], a) {
		t.Error("another database's policies were changed")
	}
	db.PutPolicy(pol(In, a.Selector, 1, sub))
	db.FlushPolicies(Main)
	if len(db.Policies) != 3 || db.Policies[2].Type != Sub {
		t.Errorf("a flush of main leaves %v", db.Policies)
	}
}

// TestIdentityIsWhatTheKernelRefusesTwice holds xfrm_policy_insert's EEXIST.
func TestIdentityIsWhatTheKernelRefusesTwice(t *testing.T) {
	base := pol(Out, between("fd00::1/128", "fd00::2/128"), 10)
	same := base
	same.Priority, same.Action, same.Templates, same.Index = 20, Block, []Template{espTransport}, 9
	if same.Identity() != base.Identity() {
		t.Error("priority, action, templates or index are part of the identity")
	}
	for name, change := range map[string]func(*Policy){
		"direction": func(p *Policy) { p.Direction = In }, "type": sub, "mark": marked(1, 1), "if_id": ifID(1),
		"selector": func(p *Policy) { p.Selector.Proto = ProtoTCP },
	} {
		other := base
		change(&other)
		if other.Identity() == base.Identity() {
			t.Errorf("%s is not part of the identity", name)
		}
	}
}

func TestHasPolicyKnowsAPolicyByItsIndexToo(t *testing.T) {
	p := pol(Out, between("fd00::1/128", "fd00::2/128"), 10, func(p *Policy) { p.Index = 9 })
	db := Database{Policies: []Policy{p}}
	again := p
	again.Index = 17
	if !db.HasPolicy(&p) || db.HasPolicy(&again) {
		t.Errorf("itself %t, made anew %t", db.HasPolicy(&p), db.HasPolicy(&again))
	}
}

func TestChangesOfTheSADAreIdempotent(t *testing.T) {
	var db Database
	one, other := sa(teapot, glass, 1), sa(teapot, glass, 2)
	for range 2 {
		db.PutSA(one)
		db.PutSA(other)
	}
	if len(db.SAs) != 2 {
		t.Fatalf("%d SAs, want 2", len(db.SAs))
	}
	rekeyed := one
	rekeyed.Used.Bytes = 99
	db.PutSA(rekeyed)
	if len(db.SAs) != 2 || db.SAs[0].Used.Bytes != 99 {
		t.Errorf("not replaced: %v", db.SAs)
	}
	marked := one
	marked.Mark = Mark{5, 0xff}
	if db.PutSA(marked); len(db.SAs) != 3 {
		t.Error("an SA with another mark replaced one")
	}
	if !db.DeleteSA(one) || db.DeleteSA(one) || len(db.SAs) != 2 {
		t.Error("deleted never or twice")
	}
	db.PutSA(sa(teapot, glass, 9, func(s *SA) { s.Proto = ProtoAH }))
	if db.FlushSAs(ProtoAH); len(db.SAs) != 2 {
		t.Errorf("a flush of AH leaves %v", db.SAs)
	}
	if db.FlushSAs(255); len(db.SAs) != 0 {
		t.Errorf("a flush of all leaves %v", db.SAs)
	}
}

// TestAnSATakesThePlaceOfTheLarvalOneItAnswers holds xfrm_state_add, which
// deletes the larval SA without a word.
func TestAnSATakesThePlaceOfTheLarvalOneItAnswers(t *testing.T) {
	larval := sa(glass, teapot, 0, func(s *SA) { s.Enc, s.Seq = nil, 42 })
	tests := []struct {
		name   string
		change func(*SA)
		gone   bool
	}{
		{"by its ACQUIRE sequence", func(s *SA) { s.Seq, s.ReqID = 42, 8 }, true},
		{"by what it asks for", func(*SA) {}, true},
		{"not with another reqid", func(s *SA) { s.ReqID = 8 }, false},
		{"not the SA of the other direction", func(s *SA) { s.Src, s.Dst, s.Seq = s.Dst, s.Src, 42 }, false},
		{"not another protocol", func(s *SA) { s.Proto, s.Seq = ProtoAH, 42 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := Database{SAs: []SA{larval}}
			s := sa(glass, teapot, 0x1000)
			tt.change(&s)
			db.PutSA(s)
			if gone := !db.SAs[0].Larval(); gone != tt.gone {
				t.Errorf("gone = %t, want %t: %v", gone, tt.gone, db.SAs)
			}
		})
	}
	second := larval
	second.Seq, second.ReqID = 43, 8
	db := Database{SAs: []SA{larval}}
	db.PutSA(second)
	db.PutSA(second)
	if len(db.SAs) != 2 {
		t.Errorf("two larval SAs for one destination: %v", db.SAs)
	}
	if !db.DeleteSA(larval) || len(db.SAs) != 1 || db.SAs[0].Seq != 43 {
		t.Errorf("the wrong larval SA was deleted: %v", db.SAs)
	}
}
