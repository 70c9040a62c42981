package spd

import (
	"net/netip"
	"testing"
)

// The packets of neighbour discovery between the two, as they leave.
var (
	solicited = netip.MustParseAddr("ff02::1:ff00:2")

	firstNS = ICMPv6Flow(glass, solicited, NeighborSolicitation) // glass looks for teapot
	answer  = ICMPv6Flow(teapot, glass, NeighborAdvertisement)   // teapot answers
	probe   = ICMPv6Flow(glassLL, teapot, NeighborSolicitation)  // glass sees whether teapot is still there
	reply   = ICMPv6Flow(teapot, glassLL, NeighborAdvertisement) // teapot answers that
	dad     = ICMPv6Flow(netip.IPv6Unspecified(), solicited, NeighborSolicitation)
	mld     = ICMPv6Flow(glassLL, netip.MustParseAddr("ff02::16"), 143)
)

// TestWhichNeighbourDiscoveryPoliciesCatch holds KERNEL.md section 1: there is
// no exemption for neighbour discovery, and what catches it is the addresses.
func TestWhichNeighbourDiscoveryPoliciesCatch(t *testing.T) {
	tests := []struct {
		name            string
		flow            Flow
		hostToHost, any Decision
	}{
		{"the first solicitation goes to a multicast group", firstNS, Clear, Protect},
		{"the advertisement that answers it goes to the host", answer, Protect, Protect},
		{"a probe comes from the link-local address", probe, Clear, Protect},
		{"the advertisement that answers a probe goes there", reply, Clear, Protect},
		{"duplicate address detection", dad, Clear, Protect},
		{"a multicast listener report", mld, Clear, Protect},
		{"the application's packet", Flow{Src: teapot, Dst: glass, Proto: ProtoTCP, DstPort: 80}, Protect, Protect},
	}
	hostToHost := Database{Policies: []Policy{
		pol(Out, between("fd00::1/128", "fd00::2/128"), 100, withESP),
		pol(Out, between("fd00::2/128", "fd00::1/128"), 100, withESP),
	}}
	all := Database{Policies: []Policy{pol(Out, between("::/0", "::/0"), 100, withESP)}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := hostToHost.Lookup(Out, tt.flow); v.Decision != tt.hostToHost || v.Dies() != (tt.hostToHost == Protect) {
				t.Errorf("host to host: %s, dies %t; want %s", v.Decision, v.Dies(), tt.hostToHost)
			}
			if v := all.Lookup(Out, tt.flow); v.Decision != tt.any || !v.Dies() {
				t.Errorf("::/0: %s, dies %t; want %s", v.Decision, v.Dies(), tt.any)
			}
		})
	}
}

// TestAnAdvertisementInTheClearIsRefusedByAnInPolicy holds the inbound half of
// KERNEL.md section 1 (xfrm6_policy_check in icmpv6_rcv).
func TestAnAdvertisementInTheClearIsRefusedByAnInPolicy(t *testing.T) {
	required := pol(In, between("fd00::2/128", "fd00::1/128"), 100, withESP)
	db := Database{Policies: []Policy{required}}
	if v := db.Lookup(In, answer); v.Decision != Protect {
		t.Errorf("with an in policy: %s, want protect", v.Decision)
	}
	if v := db.Lookup(Out, answer); v.Decision != Clear {
		t.Errorf("an in policy caught an outbound packet: %s", v.Decision)
	}
	db.Policies = append(db.Policies, pol(In, icmp6(between("::/0", "::/0"), NeighborAdvertisement, -1), 99))
	if v := db.Lookup(In, answer); v.Decision != Clear {
		t.Errorf("with a better bypass: %s, want clear", v.Decision)
	}
}

// TestWhichPolicyWins holds KERNEL.md section 3: does teapot's advertisement
// leave?
func TestWhichPolicyWins(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	na := icmp6(between("::/0", "::/0"), NeighborAdvertisement, -1)
	esp := func(priority uint32, options ...func(*Policy)) Policy {
		return pol(Out, pair, priority, append(options, withESP)...)
	}
	bypass := func(priority uint32, options ...func(*Policy)) Policy { return pol(Out, na, priority, options...) }
	withDev := func(p *Policy) { p.Selector.IfIndex = 3 }
	other := between("::/0", "::/0")
	other.Proto = ProtoICMP
	tests := []struct {
		name     string
		policies []Policy
		want     Decision
	}{
		{"esp first, bypass later at the same priority", []Policy{esp(100), bypass(100)}, Protect},
		{"bypass first, esp later at the same priority", []Policy{bypass(100), esp(100)}, Clear},
		{"bypass at a better priority", []Policy{esp(100), bypass(99)}, Clear},
		{"esp without a priority has the best", []Policy{esp(0), bypass(10)}, Protect},
		{"both without a priority, esp first", []Policy{esp(0), bypass(0)}, Protect},
		{"bypass only in", []Policy{esp(100), pol(In, na, 99)}, Protect},
		{"bypass only fwd", []Policy{esp(100), pol(Fwd, na, 99)}, Protect},
		{"type 135 only", []Policy{esp(100), pol(Out, icmp6(between("::/0", "::/0"), NeighborSolicitation, -1), 99)}, Protect},
		{"type 136 code 1", []Policy{esp(100), pol(Out, icmp6(between("::/0", "::/0"), NeighborAdvertisement, 1), 99)}, Protect},
		{"type 136 code 0", []Policy{esp(100), pol(Out, icmp6(between("::/0", "::/0"), NeighborAdvertisement, 0), 99)}, Clear},
		{"protocol 1", []Policy{esp(100), pol(Out, other, 99)}, Protect},
		{"only link-local and multicast", []Policy{
			esp(100), pol(Out, between("::/0", "fe80::/10"), 99), pol(Out, between("::/0", "ff02::/16"), 99)}, Protect},
		{"bypass with a mark that the packet has not", []Policy{esp(100), bypass(99, marked(5, 0xff))}, Protect},
		{"bypass with an if_id that the packet has not", []Policy{esp(100), bypass(99, ifID(5))}, Protect},
		{"bypass for the packet's device", []Policy{esp(100), bypass(99, withDev)}, Clear},
		{"esp in sub, bypass in main", []Policy{esp(100, sub), bypass(1)}, Protect},
		{"bypass in sub, esp in main", []Policy{bypass(1, sub), esp(100)}, Protect},
		{"bypass in sub and nothing in main", []Policy{bypass(1, sub)}, Clear},
		{"an explicit block", []Policy{esp(100), pol(Out, pair, 50, block)}, Discard},
		{"a block at a worse priority", []Policy{esp(100), pol(Out, na, 150, block)}, Protect},
		{"a block in main behind a bypass in sub", []Policy{bypass(1, sub), pol(Out, pair, 50, block)}, Discard},
		{"a block in sub before a bypass in main", []Policy{pol(Out, pair, 50, block, sub), bypass(1)}, Discard},
		{"a socket's bypass is no other packet's", []Policy{esp(100), bypass(1, socket)}, Protect},
		{"a socket's demand is no other packet's", []Policy{esp(1, socket)}, Clear},
		{"no policy", nil, Clear},
		{"only IPv4 policies", []Policy{pol(Out, between("0.0.0.0/0", "0.0.0.0/0"), 1, withESP)}, Clear},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := answer
			f.IfIndex = 3
			v := (&Database{Policies: tt.policies}).Lookup(Out, f)
			if v.Decision != tt.want {
				t.Errorf("%s by %v, want %s", v.Decision, v.Policies, tt.want)
			}
			if v.Dies() != (tt.want != Clear) {
				t.Errorf("dies = %t", v.Dies())
			}
		})
	}
}

func TestTheDefaultActionDecidesWhereNoPolicyDoes(t *testing.T) {
	db := Database{Defaults: Defaults{Out: Block}}
	if v := db.Lookup(Out, answer); v.Decision != Discard || !v.Dies() || len(v.Policies) != 0 {
		t.Errorf("setdefault out block: %s by %v", v.Decision, v.Policies)
	}
	if v := db.Lookup(In, answer); v.Decision != Clear {
		t.Errorf("in: %s, want clear", v.Decision)
	}
	db.Policies = []Policy{pol(Out, between("::/0", "::/0"), 1000)}
	if v := db.Lookup(Out, answer); v.Decision != Clear {
		t.Errorf("a bypass does not beat the default: %s", v.Decision)
	}
	db = Database{Defaults: Defaults{In: Block, Fwd: Block}}
	if db.Lookup(In, answer).Decision != Discard || db.Lookup(Fwd, answer).Decision != Discard || db.Lookup(Out, answer).Decision != Clear {
		t.Error("the defaults of in and fwd are mixed up")
	}
}

func TestATieIsTold(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	esp, bypass := pol(Out, pair, 100, withESP), pol(Out, between("::/0", "::/0"), 100)
	sameBypass := pol(Out, between("fd00::/64", "fd00::/64"), 100)
	otherESP := pol(Out, between("fd00::/64", "fd00::/64"), 100, tmpl(Template{Proto: ProtoESP, Mode: Transport, ReqID: 9}))
	tests := []struct {
		name     string
		policies []Policy
		tied     bool
	}{
		{"esp and bypass", []Policy{esp, bypass}, true},
		{"bypass and esp", []Policy{bypass, esp}, true},
		{"two that ask for different SAs", []Policy{esp, otherESP}, true},
		{"two bypasses", []Policy{bypass, sameBypass}, false},
		{"a better third ends it", []Policy{esp, bypass, pol(Out, pair, 1, block)}, false},
		{"a tie behind the winner", []Policy{pol(Out, pair, 1, block), esp, bypass}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := (&Database{Policies: tt.policies}).Lookup(Out, answer)
			if (v.Tied != nil) != tt.tied {
				t.Errorf("Tied = %v, want one: %t", v.Tied, tt.tied)
			}
			if v.Tied != nil && (v.Tied == v.Policies[0] || v.Tied.Priority != v.Policies[0].Priority) {
				t.Errorf("%v is tied with %v", v.Tied, v.Policies[0])
			}
		})
	}
}

// TestATieBehindASubPolicyIsToldToo holds that either type's tie is told, that
// of sub first.
func TestATieBehindASubPolicyIsToldToo(t *testing.T) {
	pair, wide := between("fd00::2/128", "fd00::1/128"), between("::/0", "::/0")
	pass := pol(Out, pair, 1, sub)
	db := Database{Policies: []Policy{pass, pol(Out, pair, 10, withESP), pol(Out, wide, 10)}}
	if v := db.Lookup(Out, answer); v.Tied != &db.Policies[2] {
		t.Errorf("a tie in main: %v", v.Tied)
	}
	db.Policies = append(db.Policies, pol(Out, wide, 1, sub, block))
	if v := db.Lookup(Out, answer); v.Tied != &db.Policies[3] {
		t.Errorf("ties in both: %v", v.Tied)
	}
}

// TestForwardedPacketsAreAskedForAgainAsInbound holds what 6.18 does: after a
// sub policy the main policies of `in` are asked, also for forwarded packets
// (__xfrm_policy_check).
func TestForwardedPacketsAreAskedForAgainAsInbound(t *testing.T) {
	net := between("fd00::/64", "fd00::/64")
	allow := pol(Fwd, net, 10, sub)
	tests := []struct {
		name     string
		policies []Policy
		want     Decision
	}{
		{"sub fwd, main in block", []Policy{allow, pol(In, net, 10, block)}, Discard},
		{"sub fwd, main fwd block", []Policy{allow, pol(Fwd, net, 10, block)}, Clear},
		{"main in block alone", []Policy{pol(In, net, 10, block)}, Clear},
		{"main fwd block alone", []Policy{pol(Fwd, net, 10, block)}, Discard},
	}
	for _, tt := range tests {
		if v := (&Database{Policies: tt.policies}).Lookup(Fwd, answer); v.Decision != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, v.Decision, tt.want)
		}
	}
}

func TestMarksAreComparedUnderTheirMask(t *testing.T) {
	tests := []struct {
		mark  Mark
		flow  uint32
		match bool
	}{
		{Mark{}, 0, true},
		{Mark{}, 5, true},
		{Mark{5, 0xff}, 5, true},
		{Mark{5, 0xff}, 0x105, true},
		{Mark{5, 0xff}, 6, false},
		{Mark{0, 0xff}, 5, false},
		{Mark{5, 0x4}, 5, false}, // a value beyond its mask never matches; 6.1.0-56 of Debian and 6.18 cut it off as it is set
	}
	for _, tt := range tests {
		p := pol(Out, between("::/0", "::/0"), 1, marked(tt.mark.Value, tt.mark.Mask))
		f := answer
		f.Mark = tt.flow
		if got := p.Matches(f); got != tt.match {
			t.Errorf("policy %#x/%#x, packet %#x: %t, want %t", tt.mark.Value, tt.mark.Mask, tt.flow, got, tt.match)
		}
	}
}

func TestIfIDIsComparedExactly(t *testing.T) {
	for _, tt := range []struct{ policy, flow uint32 }{{0, 0}, {5, 5}, {0, 5}, {5, 0}, {5, 6}} {
		p := pol(Out, between("::/0", "::/0"), 1, ifID(tt.policy))
		f := answer
		f.IfID = tt.flow
		if got := p.Matches(f); got != (tt.policy == tt.flow) {
			t.Errorf("policy if_id %d, packet %d: %t", tt.policy, tt.flow, got)
		}
	}
}

func TestSelectorsMatchUnderPrefixPortMaskAndDevice(t *testing.T) {
	base := between("fd00::/64", "fd00::2/128")
	tcp := Flow{Src: glass, Dst: teapot, Proto: ProtoTCP, SrcPort: 0x1234, DstPort: 443, IfIndex: 3}
	tests := []struct {
		name   string
		change func(*Selector)
		flow   Flow
		want   bool
	}{
		{"prefixes", func(*Selector) {}, tcp, true},
		{"another source", func(s *Selector) { s.Src = prefix("fd01::/64") }, tcp, false},
		{"another destination", func(s *Selector) { s.Dst = prefix("fd00::3/128") }, tcp, false},
		{"prefix length 0", func(s *Selector) { s.Src = prefix("::/0") }, tcp, true},
		{"an open selector", func(s *Selector) { *s = Selector{} }, tcp, true},
		{"an IPv4 selector", func(s *Selector) { *s = between("0.0.0.0/0", "0.0.0.0/0") }, tcp, false},
		{"protocol", func(s *Selector) { s.Proto = ProtoTCP }, tcp, true},
		{"another protocol", func(s *Selector) { s.Proto = ProtoUDP }, tcp, false},
		{"port", func(s *Selector) { s.DstPort, s.DstPortMask = 443, 0xffff }, tcp, true},
		{"another port", func(s *Selector) { s.DstPort, s.DstPortMask = 80, 0xffff }, tcp, false},
		{"a port without a mask", func(s *Selector) { s.DstPort = 80 }, tcp, true},
		{"a masked port", func(s *Selector) { s.SrcPort, s.SrcPortMask = 0x1200, 0xff00 }, tcp, true},
		{"a masked port that differs", func(s *Selector) { s.SrcPort, s.SrcPortMask = 0x1300, 0xff00 }, tcp, false},
		{"type under a mask", func(s *Selector) { *s = icmp6(between("::/0", "::/0"), 0x88, -1); s.SrcPortMask = 0xfe }, answer, true},
		{"another type under that mask", func(s *Selector) { *s = icmp6(between("::/0", "::/0"), 0x86, -1); s.SrcPortMask = 0xfe }, answer, false},
		{"device", func(s *Selector) { s.IfIndex = 3 }, tcp, true},
		{"another device", func(s *Selector) { s.IfIndex = 4 }, tcp, false},
		{"a device, and the packet's is not known", func(s *Selector) { s.IfIndex = 3 }, answer, false},
		{"a zone is not part of the address", func(s *Selector) { s.Src = prefix("fe80::/10") }, probe, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := base
			tt.change(&s)
			if got := s.Matches(tt.flow); got != tt.want {
				t.Errorf("%s matches %+v: %t, want %t", s, tt.flow, got, tt.want)
			}
		})
	}
}

func TestAnOptionalTemplateNeedsNoSA(t *testing.T) {
	use := espTransport
	use.Optional = true
	pair := between("fd00::2/128", "fd00::1/128")
	db := Database{Policies: []Policy{pol(Out, pair, 1, tmpl(use)), pol(In, pair, 1, tmpl(use)), pol(Fwd, pair, 1, tmpl(use))}}
	if v := db.Lookup(Out, answer); v.Decision != Clear || len(v.Needs) != 0 || v.Dies() {
		t.Errorf("without an SA: %s, needs %v; want clear (KERNEL.md section 3)", v.Decision, v.Needs)
	}
	db.SAs = []SA{sa(teapot, glass, 0x1000)}
	if v := db.Lookup(Out, answer); v.Decision != Protect || v.MissingSA() != nil {
		t.Errorf("with an SA: %s, want protect", v.Decision)
	}
	for _, dir := range []Direction{In, Fwd} {
		if v := db.Lookup(dir, answer); v.Decision != Clear {
			t.Errorf("%s: %s; xfrm_policy_ok lets a clear packet pass", dir, v.Decision)
		}
	}
	ipcomp := Template{Proto: ProtoIPComp, Mode: Transport, ReqID: 7, Optional: true}
	db = Database{Policies: []Policy{pol(Out, pair, 1, tmpl(ipcomp, espTransport))}}
	if v := db.Lookup(Out, answer); len(v.Needs) != 1 || v.MissingSA() == nil || v.MissingSA().Template.Proto != ProtoESP {
		t.Errorf("an optional template before a required one: needs %v", v.Needs)
	}
}
