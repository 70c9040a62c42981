package rules

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ndRules are the rules that audit neighbour discovery.
var ndRules = []*Rule{NDBypassShadowed, NDBypassOneWay, NDUnderPolicy, NDBypassTooBroad}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// pol makes a bypass from a selector's prefixes; the options change it.
func pol(dir spd.Direction, src, dst string, priority uint32, options ...func(*spd.Policy)) spd.Policy {
	p := spd.Policy{Direction: dir, Priority: priority, Selector: spd.Selector{Src: prefix(src), Dst: prefix(dst), Family: spd.IPv6}}
	for _, o := range options {
		o(&p)
	}
	return p
}

func withESP(p *spd.Policy) {
	p.Templates = []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: 7}}
}
func block(p *spd.Policy) { p.Action = spd.Block }
func sub(p *spd.Policy)   { p.Type = spd.Sub }
func icmp6(p *spd.Policy) { p.Selector.Proto = spd.ProtoICMPv6 }
func typed(typ uint16) func(*spd.Policy) {
	return func(p *spd.Policy) {
		p.Selector.Proto, p.Selector.SrcPort, p.Selector.SrcPortMask = spd.ProtoICMPv6, typ, 0xffff
	}
}
func coded(code uint16) func(*spd.Policy) {
	return func(p *spd.Policy) { p.Selector.DstPort, p.Selector.DstPortMask = code, 0xffff }
}

// both makes the policies of one host that demand ESP for its traffic with the
// other, in both directions: teapot's, since it is the one that is asked.
func both(priority uint32, options ...func(*spd.Policy)) []spd.Policy {
	options = append(options, withESP)
	return []spd.Policy{
		pol(spd.Out, "fd00::2/128", "fd00::1/128", priority, options...),
		pol(spd.In, "fd00::1/128", "fd00::2/128", priority, options...),
	}
}

// nd makes bypasses for types in directions, the way an administrator does.
func nd(priority uint32, dirs string, types string, options ...func(*spd.Policy)) (all []spd.Policy) {
	for _, dir := range []spd.Direction{spd.Out, spd.In, spd.Fwd} {
		for typ := uint16(135); typ <= 136; typ++ {
			if strings.Contains(dirs, dir.String()) && strings.Contains(types, strconv.Itoa(int(typ))) {
				all = append(all, pol(dir, "::/0", "::/0", priority, append([]func(*spd.Policy){typed(typ)}, options...)...))
			}
		}
	}
	return all
}

// teapotHost is what teapot's kernel tells: one link, on which glass is.
func teapotHost(policies ...spd.Policy) analyze.KernelState {
	return analyze.KernelState{
		Release:   "6.18.5",
		Policies:  policies,
		Links:     []analyze.Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0", Kind: "veth", LinkAddr: "02:00:00:00:00:02"}},
		Addresses: []analyze.Address{{Prefix: prefix("fd00::2/64"), IfIndex: 2}, {Prefix: prefix("fe80::2/64"), IfIndex: 2}},
		Routes:    []analyze.Route{{Dst: prefix("fd00::/64"), IfIndex: 2}, {Dst: prefix("fe80::/64"), IfIndex: 2}},
	}
}

func auditState(k analyze.KernelState, rules ...*Rule) []Finding {
	e := NewEngine(analyze.NewState(analyze.Limits{}), rules)
	e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: k})
	e.Audit()
	return e.Findings()
}

// said renders the findings above info, as "rule severity confidence".
func said(found []Finding) string {
	var s []string
	for _, f := range found {
		if f.Severity > Info {
			s = append(s, strings.Join([]string{f.Rule, f.Severity.String(), f.Confidence.String()}, " "))
		}
	}
	return strings.Join(s, "; ")
}

func list(groups ...[]spd.Policy) []spd.Policy { return slices.Concat(groups...) }

const (
	under    = "nd-under-policy error certain"
	shadowed = "nd-bypass-shadowed error certain"
	oneWay   = "nd-bypass-one-way error certain"
	broadly  = "nd-bypass-too-broad warning certain"
)

// TestEveryBypassIsJudged holds, row by row, which bypasses help (KERNEL.md
// section 3's table, and what people do besides).
func TestEveryBypassIsJudged(t *testing.T) {
	esp := both(100)
	marked := func(p *spd.Policy) { p.Mark = spd.Mark{Value: 5, Mask: 0xff} }
	ifID := func(p *spd.Policy) { p.IfID = 5 }
	dev := func(p *spd.Policy) { p.Selector.IfIndex = 2 }
	icmp4 := func(p *spd.Policy) { p.Selector.Proto = spd.ProtoICMP }
	socket := func(p *spd.Policy) { p.Socket = true }
	all := func(priority uint32, options ...func(*spd.Policy)) []spd.Policy {
		return []spd.Policy{pol(spd.Out, "::/0", "::/0", priority, options...), pol(spd.In, "::/0", "::/0", priority, options...)}
	}
	tests := []struct {
		name     string
		policies []spd.Policy
		want     string
	}{
		{"no policy at all", nil, ""},
		{"esp and no bypass", esp, under},
		{"the right bypass", list(esp, nd(99, "out in", "135 136")), ""},
		{"esp 100 first, bypass 100 later", list(esp, nd(100, "out in", "135 136")), shadowed},
		{"bypass 100 first, esp 100 later", list(nd(100, "out in", "135 136"), esp), ""},
		{"esp without a priority, bypass 10", list(both(0), nd(10, "out in", "135 136")), shadowed},
		{"both without a priority, esp first", list(both(0), nd(0, "out in", "135 136")), shadowed},
		{"a worse number", list(esp, nd(2000, "out in", "135 136")), shadowed},
		{"bypass only in", list(esp, nd(99, "in", "135 136")), oneWay},
		{"bypass only out", list(esp, nd(99, "out", "135 136")), oneWay},
		{"bypass only fwd", list(esp, nd(99, "fwd", "135 136")), oneWay},
		{"type 135 only", list(esp, nd(99, "out in", "135")), oneWay},
		{"type 136 only: Linux needs no more", list(esp, nd(99, "out in", "136")), ""},
		{"type 136 with code 1", list(esp, nd(99, "out in", "136", coded(1))), under},
		{"protocol 1", list(esp, all(99, icmp4)), under},
		{"only link-local and multicast", list(esp, []spd.Policy{
			pol(spd.Out, "::/0", "fe80::/10", 99), pol(spd.Out, "::/0", "ff02::/16", 99),
			pol(spd.In, "fe80::/10", "::/0", 99), pol(spd.In, "::/0", "ff02::/16", 99)}), under},
		{"a mark that the packet has not", list(esp, nd(99, "out in", "135 136", marked)), shadowed},
		{"an if_id that the packet has not", list(esp, nd(99, "out in", "135 136", ifID)), shadowed},
		{"a device: on the way in it is not compared with that", list(esp, nd(99, "out in", "135 136", dev)), shadowed},
		{"esp in sub, bypass in main", list(both(100, sub), nd(1, "out in", "135 136")), shadowed},
		{"bypass in sub, esp in main", list(esp, nd(1, "out in", "135 136", sub)), shadowed},
		{"an explicit block", list(esp, []spd.Policy{pol(spd.Out, "fd00::2/128", "fd00::1/128", 50, block)}), under},
		{"an explicit block before the bypass", list(esp, nd(99, "out in", "135 136"),
			[]spd.Policy{pol(spd.Out, "fd00::2/128", "fd00::1/128", 50, block)}), shadowed},
		{"a socket's bypass", list(esp, nd(99, "out in", "135 136", socket)), under},
		{"all of ICMPv6", list(esp, all(99, icmp6)), broadly},
		{"all of ICMPv6 in vain", list(esp, all(101, icmp6)), shadowed},
		{"everything", list(esp, all(99)), broadly},
		{"all of ICMPv6, out only", list(esp, all(99, icmp6)[:1]), oneWay + "; " + broadly},
		{"types 133 to 137", list(esp, nd(99, "out in", "135 136"), all(99, typed(133)), all(99, typed(134)), all(99, typed(137))), ""},
		{"the network in the clear, as bypass-lan does it", list([]spd.Policy{
			pol(spd.Out, "fd00::/64", "::/0", 1000, withESP), pol(spd.In, "::/0", "fd00::/64", 1000, withESP),
			pol(spd.Out, "fd00::/64", "fd00::/64", 10), pol(spd.In, "fd00::/64", "fd00::/64", 10)}), ""},
		{"level use demands nothing", []spd.Policy{
			pol(spd.Out, "fd00::2/128", "fd00::1/128", 100, optionalESP), pol(spd.In, "fd00::1/128", "fd00::2/128", 100, optionalESP)}, ""},
		{"strongSwan's shunts beside its trap", list(both(268928), nd(134208, "out in fwd", "135 136")), ""},
		{"libreswan's bypass, trap out only", list(both(1703937)[:1], nd(1, "out in fwd", "135 136")), ""},
		{"only TCP is protected", both(100, func(p *spd.Policy) { p.Selector.Proto = spd.ProtoTCP }), ""},
		{"through an xfrm interface", both(100, ifID), ""},
		{"IPv4", []spd.Policy{{Direction: spd.Out, Selector: spd.Selector{Src: prefix("10.0.0.2/32"), Dst: prefix("10.0.0.1/32"), Family: spd.IPv4},
			Templates: []spd.Template{{Proto: spd.ProtoESP}}}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := said(auditState(teapotHost(tt.policies...), ndRules...)); got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func optionalESP(p *spd.Policy) {
	withESP(p)
	p.Templates[0].Optional = true
}

// TestWhichPacketsDieIsTold holds KERNEL.md section 1's table in words.
func TestWhichPacketsDieIsTold(t *testing.T) {
	tests := []struct {
		name      string
		policies  []spd.Policy
		out, in   string
		unlimited bool
	}{
		{"host to host", both(100), "advertisement", "advertisement", false},
		{"::/0", []spd.Policy{
			pol(spd.Out, "::/0", "::/0", 100, tunnelESP("fd00::2", "fd00::1")), pol(spd.In, "::/0", "::/0", 100, tunnelESP("fd00::1", "fd00::2"))},
			"solicitation, probe of a known neighbour, advertisement, answer to a probe, duplicate address detection",
			"advertisement, answer to a probe, solicitation, probe of a known neighbour", true},
	}
	for _, tt := range tests {
		found := auditState(teapotHost(tt.policies...), NDUnderPolicy)
		if len(found) != 1 {
			t.Fatalf("%s: %d findings", tt.name, len(found))
		}
		f := found[0]
		for dir, want := range map[string]string{"dir out": tt.out, "dir in": tt.in} {
			i := slices.IndexFunc(f.Evidence, func(e Evidence) bool { return strings.HasPrefix(e.Text, dir) })
			if i < 0 || !strings.HasSuffix(f.Evidence[i].Text, ": catches "+want) {
				t.Errorf("%s: evidence %+v, want that of %s to end in %q", tt.name, f.Evidence, dir, want)
			}
		}
		if f.Subject != "fd00::1 ↔ fd00::2" || !strings.Contains(f.Explanation, "On teapot the policy") {
			t.Errorf("%s: %s: %s", tt.name, f.Subject, f.Explanation)
		}
		if strings.Contains(f.Explanation, "The solicitation itself") != tt.unlimited {
			t.Errorf("%s: %s", tt.name, f.Explanation)
		}
	}
}

func tunnelESP(src, dst string) func(*spd.Policy) {
	return func(p *spd.Policy) {
		p.Templates = []spd.Template{{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Proto: spd.ProtoESP, Mode: spd.Tunnel, ReqID: 7}}
	}
}

// TestWhatIsNotFatalIsAWarning: where the first resolution passes, a lost probe
// makes gaps and a lost detection of duplicates makes nothing.
func TestWhatIsNotFatalIsAWarning(t *testing.T) {
	wide := []spd.Policy{
		pol(spd.Out, "::/0", "::/0", 100, tunnelESP("fd00::2", "fd00::1")), pol(spd.In, "::/0", "::/0", 100, tunnelESP("fd00::1", "fd00::2"))}
	global := []spd.Policy{
		pol(spd.Out, "fd00::/64", "fd00::/64", 1, icmp6), pol(spd.Out, "fd00::/64", "ff02::/16", 1, typed(135)),
		pol(spd.In, "fd00::/64", "fd00::/64", 1, icmp6), pol(spd.In, "fd00::/64", "ff02::/16", 1, typed(135))}
	local := []spd.Policy{
		pol(spd.Out, "fe80::/10", "fd00::/64", 1, typed(135)), pol(spd.Out, "fd00::/64", "fe80::/10", 1, typed(136)),
		pol(spd.In, "fe80::/10", "fd00::/64", 1, typed(135)), pol(spd.In, "fd00::/64", "fe80::/10", 1, typed(136))}
	for words, policies := range map[string][]spd.Policy{
		"probed in vain":                      list(wide, global),
		"Duplicate address detection finds":   list(wide, global, local),
		"The solicitation itself is caught. ": list(wide, local),
	} {
		found := auditState(teapotHost(policies...), NDBypassOneWay)
		if len(found) != 1 || !strings.Contains(found[0].Explanation, words) {
			t.Errorf("%q: %+v", words, found)
			continue
		}
		if want := !strings.HasPrefix(words, "The solicitation"); (found[0].Severity == Warning) != want {
			t.Errorf("%q: %s", words, found[0].Severity)
		}
	}
}

// TestOnlyPeersOnTheLinkAreAffected: what is behind a router, or on a link
// without neighbour discovery, is not looked for.
func TestOnlyPeersOnTheLinkAreAffected(t *testing.T) {
	behind := []spd.Policy{pol(spd.Out, "fd00::2/128", "2001:db8::1/128", 100, withESP), pol(spd.In, "2001:db8::1/128", "fd00::2/128", 100, withESP)}
	defaultRoute := func(k *analyze.KernelState) {
		k.Routes = append(k.Routes, analyze.Route{Dst: prefix("::/0"), Gateway: netip.MustParseAddr("fe80::1"), IfIndex: 2})
	}
	wide := []spd.Policy{
		pol(spd.Out, "::/0", "::/0", 100, tunnelESP("fd00::2", "2001:db8::1")), pol(spd.In, "::/0", "::/0", 100, tunnelESP("2001:db8::1", "fd00::2"))}
	tests := []struct {
		name     string
		policies []spd.Policy
		change   func(*analyze.KernelState)
		want     string
		subject  string
	}{
		{"on a connected route", both(100), func(*analyze.KernelState) {}, under, "fd00::1 ↔ fd00::2"},
		{"behind a router", behind, defaultRoute, "", ""},
		{"no route at all", behind, func(*analyze.KernelState) {}, "", ""},
		{"a host route by a router", both(100), func(k *analyze.KernelState) {
			k.Routes = append(k.Routes, analyze.Route{Dst: prefix("fd00::1/128"), Gateway: netip.MustParseAddr("fe80::1"), IfIndex: 2})
		}, "", ""},
		{"a neighbour entry proves it", both(100), func(k *analyze.KernelState) {
			k.Routes = nil
			k.Neighbors = []analyze.Neighbor{{Addr: glass, IfIndex: 2, LinkAddr: "02:00:00:00:00:01", State: "STALE"}}
		}, under, "fd00::1 ↔ fd00::2"},
		{"a tunnel interface", both(100), func(k *analyze.KernelState) { k.Links[1].Kind = "wireguard" }, "", ""},
		{"not this host's addresses", both(100), func(k *analyze.KernelState) {
			k.Addresses = []analyze.Address{{Prefix: prefix("fd00::7/64"), IfIndex: 2}}
		}, "", ""},
		{"a text that tells the policies alone", both(100), func(k *analyze.KernelState) {
			k.Addresses, k.Routes, k.Links = nil, nil, nil
			k.Missing = []string{"addresses: not in the text", "routes: not in the text"}
		}, "nd-under-policy warning likely", "fd00::1 ↔ fd00::2"},
		{"such a text, and another subnet's address", behind, func(k *analyze.KernelState) {
			k.Addresses, k.Routes, k.Links = nil, nil, nil
			k.Missing = []string{"addresses: not in the text", "routes: not in the text"}
		}, "", "2001:db8::1 ↔ fd00::2"}, // for information
		{"::/0 catches it with the router", wide, defaultRoute, under, "host teapot"},
		{"::/0, and the router is bypassed", list(wide, nd(1, "out in", "135 136")), defaultRoute, "", ""},
		{"a network, and a neighbour that is looked for in vain", []spd.Policy{
			pol(spd.Out, "fd00::/64", "fd00::/64", 100, withESP), pol(spd.In, "fd00::/64", "fd00::/64", 100, withESP),
		}, func(k *analyze.KernelState) {
			k.Neighbors = []analyze.Neighbor{{Addr: glass, IfIndex: 2, State: "FAILED"}}
		}, under, "host teapot"},
		{"a permanent entry here: glass may still ask", both(100), func(k *analyze.KernelState) {
			k.Neighbors = []analyze.Neighbor{{Addr: glass, IfIndex: 2, LinkAddr: "02:00:00:00:00:01", State: "PERMANENT"}}
		}, "nd-under-policy warning likely", "fd00::1 ↔ fd00::2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := teapotHost(tt.policies...)
			tt.change(&k)
			found := auditState(k, ndRules...)
			if got := said(found); got != tt.want {
				t.Fatalf("found %q, want %q", got, tt.want)
			}
			if len(found) > 0 && found[0].Subject != tt.subject {
				t.Errorf("subject %q, want %q", found[0].Subject, tt.subject)
			}
		})
	}
}

func TestTwoPermanentEntriesMakeNeighbourDiscoveryNeedless(t *testing.T) {
	e := NewEngine(analyze.NewState(analyze.Limits{}), ndRules)
	k := teapotHost(both(100)...)
	k.Neighbors = []analyze.Neighbor{{Addr: glass, IfIndex: 2, LinkAddr: "02:00:00:00:00:01", State: "PERMANENT"}}
	g := teapotHost()
	g.Addresses = []analyze.Address{{Prefix: prefix("fd00::1/64"), IfIndex: 2}}
	g.Neighbors = []analyze.Neighbor{{Addr: teapot, IfIndex: 2, LinkAddr: "02:00:00:00:00:02", State: "PERMANENT"}}
	e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: k})
	e.Apply(&analyze.Snapshot{Header: at("glass", 0), KernelState: g})
	e.Audit()
	if got := said(e.Findings()); got != "" {
		t.Errorf("found %q", got)
	}
}

// TestTheReadersCase is the question of a reader twenty years ago: setkey's
// priorities, a bypass of ::/0 beside policies from host to host, in both orders
// of the lines.
func TestTheReadersCase(t *testing.T) {
	esp := both(setkeyPriority)
	none := []spd.Policy{pol(spd.Out, "::/0", "::/0", setkeyPriority, icmp6), pol(spd.In, "::/0", "::/0", setkeyPriority, icmp6)}
	const byPlace = "nd-bypass-shadowed warning likely; nd-bypass-too-broad warning likely"
	tests := []struct {
		name, release string
		policies      []spd.Policy
		want          string
	}{
		{"esp lines first", "6.18.5", list(esp, none), shadowed},
		{"none lines first", "6.18.5", list(none, esp), broadly},
		{"esp lines first, on 6.1: the one line for all of ICMPv6 wins all the same", "6.1.0-56-amd64", list(esp, none), byPlace},
		{"none lines first, on 6.1", "6.1.0-56-amd64", list(none, esp), byPlace},
		{"none lines for two types first, on 6.1: the second is in vain", "6.1.0-56-amd64", list(nd(setkeyPriority, "out in", "135 136"), esp), shadowed},
		{"esp lines first, on some kernel", "", list(esp, none), "nd-bypass-shadowed error likely"},
		{"none lines first, on some kernel", "", list(none, esp), byPlace},
		{"networks on both sides, on 6.1: goes by age", "6.1.0-56-amd64", list(none, []spd.Policy{
			pol(spd.Out, "fd00::/64", "fd00::/64", setkeyPriority, withESP), pol(spd.In, "fd00::/64", "fd00::/64", setkeyPriority, withESP)}),
			broadly},
		{"networks first, on 6.1", "6.1.0-56-amd64", list([]spd.Policy{
			pol(spd.Out, "fd00::/64", "fd00::/64", setkeyPriority, withESP), pol(spd.In, "fd00::/64", "fd00::/64", setkeyPriority, withESP)}, none),
			shadowed},
	}
	stale := []analyze.Neighbor{{Addr: glass, IfIndex: 2, LinkAddr: "02:00:00:00:00:01", State: "STALE"}}
	for _, tt := range tests {
		found := auditState(func() analyze.KernelState {
			k := teapotHost(tt.policies...)
			k.Release = tt.release
			k.Neighbors = stale
			return k
		}(), ndRules...)
		if got := said(found); got != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, got, tt.want)
		}
	}
	f := auditState(teapotHost(list(esp, none)...), NDBypassShadowed)[0]
	if r := f.Remedies[len(f.Remedies)-1]; len(f.Remedies) != 2 || !strings.Contains(r.Command, "spdadd ::/0 ::/0 icmp6 -P out prio high + ") {
		t.Errorf("remedies %+v, want one for setkey.conf", f.Remedies)
	}
	for _, words := range []string{"both have the same priority, and the older one wins", "2147483648 is what setkey gives every policy"} {
		if !strings.Contains(f.Explanation, words) {
			t.Errorf("%q lacks %q", f.Explanation, words)
		}
	}
}

// TestWhyABypassIsInVain holds the reason for each way to lose.
func TestWhyABypassIsInVain(t *testing.T) {
	tests := []struct {
		name     string
		policies []spd.Policy
		why      string
	}{
		{"number", list(both(100), nd(2000, "out in", "135 136")), "the smaller number wins, 100 before 2000"},
		{"zero", list(both(0), nd(10, "out in", "135 136")), "nothing beats it"},
		{"sub", list(both(100, sub), nd(1, "out in", "135 136")), "ptype sub are asked first"},
		{"main", list(both(100), nd(1, "out in", "135 136", sub)), "main policies still apply"},
		{"mark", list(both(100), nd(1, "out in", "135 136", func(p *spd.Policy) { p.Mark = spd.Mark{Value: 5, Mask: 0xff} })), "mark 0x5/0xff"},
		{"if_id", list(both(100), nd(1, "out in", "135 136", func(p *spd.Policy) { p.IfID = 5 })), "if_id 0x5"},
		{"device", list(both(100), nd(1, "out in", "135 136", func(p *spd.Policy) { p.Selector.IfIndex = 2 })), "compares that with the route's"},
	}
	for _, tt := range tests {
		found := auditState(teapotHost(tt.policies...), NDBypassShadowed)
		if len(found) != 1 || !strings.Contains(found[0].Explanation, tt.why) {
			t.Errorf("%s: %+v, want %q", tt.name, found, tt.why)
		}
	}
}

// TestTheSmallestChangeHelps applies the remedy of every shadowed bypass to the
// databases, and asks again.
func TestTheSmallestChangeHelps(t *testing.T) {
	mark := func(p *spd.Policy) { p.Mark = spd.Mark{Value: 5, Mask: 0xff} }
	for name, policies := range map[string][]spd.Policy{
		"number":       list(both(1000), nd(2000, "out in", "135 136")),
		"low number":   list(both(50), nd(2000, "out in", "135 136")),
		"the best":     list(both(1), nd(2000, "out in", "135 136")),
		"zero":         list(both(0), nd(10, "out in", "135 136")),
		"two zeros":    list(both(0), nd(0, "out in", "135 136")),
		"age":          list(both(setkeyPriority), nd(setkeyPriority, "out in", "135 136")),
		"sub":          list(both(100, sub), nd(1, "out in", "135 136")),
		"main":         list(both(100), nd(1, "out in", "135 136", sub)),
		"mark":         list(both(100), nd(1, "out in", "135 136", mark)),
		"device":       list(both(100), nd(1, "out in", "135 136", func(p *spd.Policy) { p.Selector.IfIndex = 2 })),
		"strongSwan's": list(both(268928), nd(300000, "out in", "135 136")),
	} {
		t.Run(name, func(t *testing.T) {
			k := teapotHost(policies...)
			e := NewEngine(analyze.NewState(analyze.Limits{}), nil)
			e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: k})
			audits := ndAudits(&Pass{State: e.State, Host: e.State.Hosts[0]})
			if len(audits) != 1 || audits[0].kind != ndShadowed {
				t.Fatalf("audits %+v", audits)
			}
			steps := audits[0].raise(&e.State.Hosts[0].DB)
			if strings.Contains(name, "zero") { // nothing beats that
				plan, err := remedy.NDBypass(&k, remedy.NDOptions{})
				if err != nil || steps != nil {
					t.Fatalf("%d steps that cannot win, %v", len(steps), err)
				}
				steps = plan.Steps
			}
			db := e.State.Hosts[0].DB.Clone()
			if err := remedy.Model(&db, steps); err != nil || len(steps) == 0 {
				t.Fatalf("%d steps: %v", len(steps), err)
			}
			k.Policies = db.Policies
			if got := said(auditState(k, ndRules...)); got != "" {
				t.Errorf("after %q: found %q", remedy.Commands(steps), got)
			}
		})
	}
}

func TestWhatLeaksIsTold(t *testing.T) {
	k := teapotHost(list(both(100), []spd.Policy{pol(spd.Out, "::/0", "::/0", 99, icmp6), pol(spd.In, "::/0", "::/0", 99, icmp6)})...)
	found := auditState(k, NDBypassTooBroad)
	if len(found) != 1 {
		t.Fatalf("%d findings", len(found))
	}
	f := found[0]
	for _, words := range []string{"echo requests", "echo replies", "error messages (which quote", "(out and in)"} {
		if !strings.Contains(f.Explanation, words) {
			t.Errorf("%q lacks %q", f.Explanation, words)
		}
	}
	cmd := f.Remedies[0].Command
	if strings.Count(cmd, "type 135") != 2 || strings.Count(cmd, "type 136") != 2 || strings.Count(cmd, "policy delete") != 2 ||
		strings.Index(cmd, "delete") < strings.LastIndex(cmd, "policy add") {
		t.Errorf("commands\n%s\nwant four narrow bypasses before two deletions", cmd)
	}
	tied := teapotHost(list([]spd.Policy{pol(spd.Out, "::/0", "::/0", 300, icmp6)}, both(300))...)
	if cmd := auditState(tied, NDBypassTooBroad)[0].Remedies[0].Command; strings.Count(cmd, "priority 100") != 4 {
		t.Errorf("a younger bypass of the same number would lose:\n%s", cmd)
	}
	k.Policies = both(100)
	if got := auditState(k, NDBypassTooBroad); len(got) != 0 {
		t.Errorf("without a bypass: %+v", got)
	}
}

// TestNarrowingTheBypassKeepsItWorking holds that the commands leave neither
// packets of neighbour discovery caught nor others let through: a bypass that
// wins by its age alone is not made up for by a younger one at its number.
func TestNarrowingTheBypassKeepsItWorking(t *testing.T) {
	for _, priority := range []uint32{setkeyPriority, 0, 99} {
		none := []spd.Policy{pol(spd.Out, "::/0", "::/0", priority, icmp6), pol(spd.In, "::/0", "::/0", priority, icmp6)}
		for _, esp := range []uint32{priority, 100} {
			k := teapotHost(list(none, both(max(priority, esp)))...)
			k.Release = "6.18.5"
			e := NewEngine(analyze.NewState(analyze.Limits{}), nil)
			e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: k})
			p := &Pass{State: e.State, Host: e.State.Hosts[0]}
			db := p.Host.DB.Clone()
			l := &leak{bypasses: []*spd.Policy{&p.Host.DB.Policies[0], &p.Host.DB.Policies[1]}}
			steps, err := l.narrow(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range l.bypasses {
				steps = append(steps, remedy.Step{Op: remedy.DeletePolicy, Policy: b})
			}
			for i := range steps {
				if err := remedy.Model(&db, steps[i:i+1]); err != nil {
					t.Fatal(err)
				}
				k.Policies = db.Policies
				if got := said(auditState(k, NDBypassShadowed, NDBypassOneWay, NDUnderPolicy)); got != "" {
					t.Errorf("priority %d beside %d, after %q: found %q", priority, esp, remedy.Commands(steps[:i+1]), got)
				}
			}
			if got := said(auditState(k, ndRules...)); got != "" {
				t.Errorf("priority %d beside %d: at the end found %q", priority, esp, got)
			}
		}
	}
}

func TestAProbeThatLinuxDoesNotSendIsForInformation(t *testing.T) {
	found := auditState(teapotHost(list(both(100), nd(99, "out in", "136"))...), ndRules...)
	if len(found) != 1 || found[0].Rule != "nd-bypass-one-way" || found[0].Severity != Info || found[0].Confidence != Likely {
		t.Fatalf("findings %+v", found)
	}
	if !strings.Contains(found[0].Explanation, "Linux sends its probes from the link-local address") {
		t.Error(found[0].Explanation)
	}
}

func TestALiveSAIsTold(t *testing.T) {
	lifetime := spd.Lifetime{SoftAdd: 3300, HardAdd: 3960}
	between := func(src, dst netip.Addr, l spd.Lifetime) spd.SA {
		return spd.SA{Src: src, Dst: dst, SPI: 0x100, Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: 7, Enc: &spd.Algorithm{Name: "cbc(aes)"}, Limits: l}
	}
	charon := []analyze.Listener{{Via: "netlink", PID: 1, Name: "charon"}}
	tests := []struct {
		name      string
		sas       []spd.SA
		listeners []analyze.Listener
		severity  Severity
		words     string
	}{
		{"of IKE", []spd.SA{between(teapot, glass, lifetime), between(glass, teapot, lifetime)}, charon, Error, "as one does now"},
		{"of IKE, without a lifetime", []spd.SA{between(teapot, glass, spd.Lifetime{}), between(glass, teapot, spd.Lifetime{})}, charon, Error, "as one does now"},
		{"made by hand", []spd.SA{between(teapot, glass, spd.Lifetime{}), between(glass, teapot, spd.Lifetime{})}, nil, Info, "SAs that never expire"},
		{"made by hand, one direction", []spd.SA{between(teapot, glass, spd.Lifetime{})}, nil, Error, "as one does now"},
		{"none", nil, nil, Error, "It works while both hosts know each other's link-layer address. Once"},
	}
	for _, tt := range tests {
		k := teapotHost(both(100)...)
		k.SAs, k.Listeners = tt.sas, tt.listeners
		f := auditState(k, NDUnderPolicy)[0]
		if f.Severity != tt.severity || !strings.Contains(f.Explanation, tt.words) {
			t.Errorf("%s: %s: %s", tt.name, f.Severity, f.Explanation)
		}
	}
}

// TestATunnelToSomebodyElseCarriesNoNeighbourDiscovery: what goes into a VPN's
// tunnel never reaches the neighbour.
func TestATunnelToSomebodyElseCarriesNoNeighbourDiscovery(t *testing.T) {
	k := teapotHost(
		pol(spd.Out, "fd00::2/128", "::/0", 100, tunnelESP("fd00::2", "2001:db8::1")), pol(spd.In, "::/0", "fd00::2/128", 100, tunnelESP("2001:db8::1", "fd00::2")))
	gateway := netip.MustParseAddr("2001:db8::1")
	k.Neighbors = []analyze.Neighbor{{Addr: glass, IfIndex: 2, LinkAddr: "02:00:00:00:00:01", State: "STALE"}}
	for i, ends := range [][2]netip.Addr{{teapot, gateway}, {gateway, teapot}} {
		k.SAs = append(k.SAs, spd.SA{
			Src: ends[0], Dst: ends[1], SPI: 0x100 + uint32(i), Proto: spd.ProtoESP, Mode: spd.Tunnel, ReqID: 7, Enc: &spd.Algorithm{Name: "cbc(aes)"}})
	}
	found := auditState(k, ndRules...)
	if got := said(found); got != under || strings.Contains(found[0].Explanation, "SAs that never expire") {
		t.Errorf("found %q: %+v", got, found)
	}
}

// TestABypassInVainBesideManualSAs: the bypass does not do what it is for, and
// nothing waits for IKE.
func TestABypassInVainBesideManualSAs(t *testing.T) {
	for rule, policies := range map[string][]spd.Policy{
		"nd-bypass-shadowed": list(both(100), nd(100, "out in", "135 136")),
		"nd-bypass-one-way":  list(both(100), nd(99, "out", "135 136")),
	} {
		k := teapotHost(policies...)
		for spi, ends := range [][2]netip.Addr{{teapot, glass}, {glass, teapot}} {
			k.SAs = append(k.SAs, spd.SA{
				Src: ends[0], Dst: ends[1], SPI: 0x100 + uint32(spi), Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: 7, Enc: &spd.Algorithm{Name: "cbc(aes)"}})
		}
		found := auditState(k, ndRules...)
		if got := said(found); got != rule+" warning certain" || strings.Contains(found[0].Explanation, "cannot be sent") {
			t.Errorf("%s: %q: %+v", rule, got, found)
		}
	}
}

// TestTheDeadlockTakesThePlaceOfTheWarning: while what nd-under-policy warns of
// happens, nd-deadlock says it; when that is over and the policies are as they
// were, the warning stands again.
func TestTheDeadlockTakesThePlaceOfTheWarning(t *testing.T) {
	deadlock := scripted("nd-deadlock", func(p *Pass, _ string, s int) {
		switch {
		case s >= 5 && s < 8:
			claim(p, Certain, "hangs")
		case s >= 8:
			p.ResolvePair(p.State.Now, "an SA carries it now")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{deadlock, NDUnderPolicy})
	e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: teapotHost(both(100)...)})
	wantOutputs(t, outputs(e, []string{"teapot"}, 10),
		"2 nd-under-policy open certain ",
		"5 nd-under-policy resolved certain ", "5 nd-deadlock open certain ",
		"8 nd-deadlock resolved certain ", "8 nd-under-policy open certain ")
}

// TestWhatIsToBeDoneOnBothHostsIsToldOfBoth: one finding of two hosts, and each
// needs its own change.
func TestWhatIsToBeDoneOnBothHostsIsToldOfBoth(t *testing.T) {
	k := teapotHost(list(both(100), nd(2000, "out in", "135 136"))...)
	g := teapotHost(list([]spd.Policy{
		pol(spd.Out, "fd00::1/128", "fd00::2/128", 100, withESP), pol(spd.In, "fd00::2/128", "fd00::1/128", 100, withESP)},
		nd(2000, "out in", "135 136"))...)
	g.Addresses = []analyze.Address{{Prefix: prefix("fd00::1/64"), IfIndex: 2}}
	e := NewEngine(analyze.NewState(analyze.Limits{}), ndRules)
	e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: k})
	e.Apply(&analyze.Snapshot{Header: at("glass", 0), KernelState: g})
	e.Audit()
	found := e.Findings()
	if len(found) != 1 || len(found[0].Remedies) != 2 {
		t.Fatalf("findings %+v, want one with two remedies", found)
	}
	for i, host := range []string{"teapot", "glass"} {
		if r := found[0].Remedies[i]; !strings.HasSuffix(r.Title, "run this on "+host) {
			t.Errorf("remedy %d: %s", i, r.Title)
		}
	}
}

func TestTheTrueCauseStandsFirst(t *testing.T) {
	deadlock := scripted("nd-deadlock", func(p *Pass, _ string, s int) {
		if s >= 1 {
			claim(p, Certain, "hangs")
		}
	})
	for name, policies := range map[string][]spd.Policy{
		"nd-bypass-shadowed": list(both(100), nd(2000, "out in", "135 136")),
		"nd-bypass-one-way":  list(both(100), nd(1, "out", "135 136")),
	} {
		e := NewEngine(analyze.NewState(analyze.Limits{}), append([]*Rule{deadlock}, ndRules...))
		e.Apply(&analyze.Snapshot{Header: at("teapot", 0), KernelState: teapotHost(policies...)})
		outputs(e, []string{"teapot"}, 6)
		found := e.Findings()
		if len(found) != 2 || found[0].Rule != name || found[1].Rule != "nd-deadlock" || found[1].ExplainedBy != found[0].ID || found[1].Counts() {
			t.Errorf("%s: findings %+v", name, found)
		}
	}
}
