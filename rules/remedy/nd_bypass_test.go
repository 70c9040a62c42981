package remedy

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// kernelOf is glass's kernel with these policies, the oldest first.
func kernelOf(policies ...spd.Policy) *analyze.KernelState {
	return &analyze.KernelState{
		Policies: policies,
		Links:    []analyze.Link{{Index: 2, Name: "eth0", Up: true}},
		Addresses: []analyze.Address{
			{Prefix: netip.MustParsePrefix("fd00::1/64"), IfIndex: 2},
			{Prefix: netip.MustParsePrefix("fe80::1/64"), IfIndex: 2},
			{Prefix: netip.MustParsePrefix("192.0.2.1/24"), IfIndex: 2},
		},
	}
}

func with(p spd.Policy, change func(*spd.Policy)) spd.Policy {
	p.Templates = slices.Clone(p.Templates)
	change(&p)
	return p
}

func wide(dir spd.Direction, priority uint32) spd.Policy {
	return with(hostPolicy(dir, priority), func(p *spd.Policy) { p.Selector.Src, p.Selector.Dst = anyIPv6, anyIPv6 })
}

func listener(name string) analyze.Listener {
	return analyze.Listener{Via: "netlink", PID: 7, Name: name}
}

// bypassed plans and returns the commands without what all share, and checks
// that the plan does what it says and can be taken back.
func bypassed(t *testing.T, k *analyze.KernelState, o NDOptions) ([]string, Plan) {
	t.Helper()
	plan, err := NDBypass(k, o)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, k, o, plan)
	var out []string
	for _, c := range Commands(plan.Steps) {
		c = strings.TrimPrefix(c, "ip xfrm policy ")
		out = append(out, strings.ReplaceAll(c, " proto ipv6-icmp", ""))
	}
	return out, plan
}

// holds applies the plan to the model, checks that nothing is caught, that a
// second plan is empty, and that the inverse restores everything.
func holds(t *testing.T, k *analyze.KernelState, o NDOptions, plan Plan) {
	t.Helper()
	after := *k
	h := newHost(k)
	db := h.clone()
	if err := Model(&db, plan.Steps); err != nil {
		t.Fatal(err)
	}
	after.Policies = slices.Clone(db.Policies)
	for _, c := range NDCaught(&after, o) {
		t.Errorf("after the plan: %s", &c)
	}
	again, err := NDBypass(&after, o)
	if err != nil || !again.Empty() || len(again.Notes) == 0 {
		t.Errorf("planned again: %v, %v\n%s", err, again.Notes, strings.Join(Commands(again.Steps), "\n"))
	}
	takenBack(t, k, plan, &db)
}

// takenBack checks that the inverse of the steps and Restore give what was.
func takenBack(t *testing.T, k *analyze.KernelState, plan Plan, db *spd.Database) {
	t.Helper()
	if err := Model(db, plan.Inverse(len(plan.Steps))); err != nil {
		t.Fatal(err)
	}
	if err := Model(db, Restore(db, plan.Order, nil)); err != nil {
		t.Fatal(err)
	}
	if len(db.Policies)+len(k.Policies) > 0 && !reflect.DeepEqual(db.Policies, k.Policies) {
		t.Errorf("taken back:\n%s\nwas:\n%s", policyLines(db.Policies), policyLines(k.Policies))
	}
	if len(db.SAs)+len(k.SAs) > 0 && !reflect.DeepEqual(db.SAs, k.SAs) {
		t.Errorf("taken back: %v, was: %v", db.SAs, k.SAs)
	}
}

func policyLines(all []spd.Policy) string {
	var s []string
	for i := range all {
		s = append(s, all[i].String())
	}
	return strings.Join(s, "\n")
}

func TestNDBypass(t *testing.T) {
	everybody := []string{
		"add src ::/0 dst ::/0 type 135 dir out priority 100", "add src ::/0 dst ::/0 type 136 dir out priority 100",
		"add src ::/0 dst ::/0 type 135 dir in priority 100", "add src ::/0 dst ::/0 type 136 dir in priority 100",
	}
	at := func(priority string) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(everybody, "\n"), "priority 100", "priority "+priority), "\n")
	}
	with0 := func(first ...string) []string { return append(first, everybody...) }
	tests := []struct {
		name     string
		policies []spd.Policy
		want     []string
	}{
		{"nothing there yet", nil, everybody},
		{"strongSwan's traps", []spd.Policy{hostPolicy(spd.Out, 268928), hostPolicy(spd.In, 268927)}, everybody},
		{"half of the best", []spd.Policy{hostPolicy(spd.Out, 1000), hostPolicy(spd.In, 50)}, at("25")},
		{"little room", []spd.Policy{hostPolicy(spd.Out, 4)}, at("2")},
		{"no room but 0", []spd.Policy{hostPolicy(spd.Out, 3)}, at("0")},
		{"no room but 0, one", []spd.Policy{hostPolicy(spd.Out, 1)}, at("0")},
		{"a mark that neighbour discovery has not", []spd.Policy{with(wide(spd.Out, 4), func(p *spd.Policy) { p.Mark = spd.Mark{Value: 1, Mask: 1} })}, everybody},
		{"an xfrm interface's", []spd.Policy{with(wide(spd.Out, 4), func(p *spd.Policy) { p.IfID = 9 })}, everybody},
		{"another code", []spd.Policy{with(wide(spd.Out, 4), func(p *spd.Policy) { p.Selector.DstPort, p.Selector.DstPortMask = 1, 0xffff })}, everybody},
		{"IPv4", []spd.Policy{{Direction: spd.Out, Selector: spd.Selector{Family: spd.IPv4, Src: netip.MustParsePrefix("0.0.0.0/0"), Dst: netip.MustParsePrefix("0.0.0.0/0")}, Action: spd.Block}}, everybody},
		{"a block", []spd.Policy{with(wide(spd.Out, 10), func(p *spd.Policy) { p.Templates, p.Action = nil, spd.Block })}, at("5")},
		{"priority 0", []spd.Policy{hostPolicy(spd.Out, 0), hostPolicy(spd.In, 0)}, with0(
			"update src fd00::2/128 dst fd00::1/128 dir in priority 1000 tmpl proto esp reqid 7 mode transport",
			"update src fd00::1/128 dst fd00::2/128 dir out priority 1000 tmpl proto esp reqid 7 mode transport")},
		{"priority 0 between others' networks", []spd.Policy{with(hostPolicy(spd.Out, 0), func(p *spd.Policy) {
			p.Selector.Src, p.Selector.Dst = netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("2001:db8:2::/48")
		})}, everybody},
		{"priority 0, younger ones follow in order", []spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 0)}, with0(
			"update src fd00::1/128 dst fd00::2/128 dir out priority 1001 tmpl proto esp reqid 7 mode transport",
			"update src ::/0 dst ::/0 dir out priority 1000 tmpl proto esp reqid 7 mode transport")},
		{"priority 0 before one at 300", []spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 300)}, with0(
			"update src ::/0 dst ::/0 dir out priority 200 tmpl proto esp reqid 7 mode transport")},
		{"priority 0 before one at 1", []spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 1)}, append([]string{
			"update src fd00::1/128 dst fd00::2/128 dir out priority 3 tmpl proto esp reqid 7 mode transport",
			"update src ::/0 dst ::/0 dir out priority 2 tmpl proto esp reqid 7 mode transport"}, at("0")...)},
		{"priority 0 in the place of the bypass", []spd.Policy{blocked(spd.NeighborAdvertisement, 0)}, []string{
			everybody[0], "update src ::/0 dst ::/0 type 136 dir out priority 100", everybody[2], everybody[3]}},
		{"in the place of the bypass, and a wide bypass", []spd.Policy{blocked(spd.NeighborAdvertisement, 0), with(wide(spd.Out, 50), func(p *spd.Policy) { p.Templates = nil })}, []string{
			"update src ::/0 dst ::/0 type 136 dir out priority 100", everybody[2], everybody[3]}},
		{"a sub policy in the place of the bypass", []spd.Policy{with(blocked(spd.NeighborSolicitation, 0), func(p *spd.Policy) { p.Type = spd.Sub })}, append(slices.Clone(everybody),
			"update src ::/0 dst ::/0 type 135 dir out ptype sub priority 100")},
		{"a sub policy", []spd.Policy{with(hostPolicy(spd.Out, 50), func(p *spd.Policy) { p.Type = spd.Sub })}, append(at("25"),
			"add src ::/0 dst ::/0 type 135 dir out ptype sub priority 25", "add src ::/0 dst ::/0 type 136 dir out ptype sub priority 25")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := bypassed(t, kernelOf(tt.policies...), NDOptions{}); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// shunted is strongSwan's pass shunt for a type.
func shunted(dir spd.Direction, typ uint16, priority uint32) spd.Policy {
	return spd.Policy{Direction: dir, Priority: priority, Selector: bypassSelector(dir, far{anyIPv6, int(typ)})}
}

// blocked is a policy with the selector of a bypass that blocks.
func blocked(typ uint16, priority uint32) spd.Policy {
	return with(shunted(spd.Out, typ, priority), func(p *spd.Policy) { p.Action = spd.Block })
}

func TestNDBypassLeavesAloneWhatHelpsAlready(t *testing.T) {
	const ns, na = spd.NeighborSolicitation, spd.NeighborAdvertisement
	tests := []struct {
		name     string
		policies []spd.Policy
		want     []string
	}{
		{"libreswan's own, before its trap", []spd.Policy{
			shunted(spd.In, ns, 1), shunted(spd.Out, ns, 1), shunted(spd.In, na, 1), shunted(spd.Out, na, 1), hostPolicy(spd.Out, 1703937)}, nil},
		{"only out", []spd.Policy{shunted(spd.Out, ns, 10), shunted(spd.Out, na, 10), hostPolicy(spd.In, 1000)}, []string{
			"add src ::/0 dst ::/0 type 135 dir in priority 100", "add src ::/0 dst ::/0 type 136 dir in priority 100"}},
		{"one that loses", []spd.Policy{hostPolicy(spd.Out, 100), shunted(spd.Out, na, 100), shunted(spd.Out, ns, 100), shunted(spd.In, ns, 7), shunted(spd.In, na, 7)}, []string{
			"update src ::/0 dst ::/0 type 135 dir out priority 50", "update src ::/0 dst ::/0 type 136 dir out priority 50"}},
		{"one that wins today, by one", []spd.Policy{hostPolicy(spd.Out, 101), shunted(spd.Out, na, 100), shunted(spd.Out, ns, 100), shunted(spd.In, ns, 7), shunted(spd.In, na, 7)}, []string{
			"update src ::/0 dst ::/0 type 135 dir out priority 50", "update src ::/0 dst ::/0 type 136 dir out priority 50"}},
		{"all of ICMPv6 passes", []spd.Policy{
			{Direction: spd.Out, Selector: bypassSelector(spd.Out, far{anyIPv6, -1}), Priority: 3}, {Direction: spd.In, Selector: bypassSelector(spd.In, far{anyIPv6, -1}), Priority: 3},
			hostPolicy(spd.Out, 9)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, plan := bypassed(t, kernelOf(tt.policies...), NDOptions{})
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if tt.want == nil && !strings.HasPrefix(plan.Notes[0], "nothing to do: ") {
				t.Errorf("notes %q", plan.Notes)
			}
		})
	}
}

func TestNDBypassForOnePeerIsNoWiderThanNeeded(t *testing.T) {
	got, _ := bypassed(t, kernelOf(wide(spd.Out, 1000), wide(spd.In, 1000)), NDOptions{Peers: []netip.Addr{netip.MustParseAddr("fd00::ab:cdef")}})
	want := []string{
		"add src ::/0 dst ff02::1:ffab:cdef/128 type 135 dir out priority 100",
		"add src ::/0 dst fd00::ab:cdef/128 type 135 dir out priority 100",
		"add src ::/0 dst fd00::ab:cdef/128 type 136 dir out priority 100",
		"add src ::/0 dst fe80::/10 type 136 dir out priority 100",
		"add src fd00::ab:cdef/128 dst ::/0 type 135 dir in priority 100",
		"add src fe80::/10 dst ::/0 type 135 dir in priority 100",
		"add src fd00::ab:cdef/128 dst ::/0 type 136 dir in priority 100",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestNDBypassForOnePeerServesTheWholeConversation asks for each packet of
// KERNEL's tables: first resolution, NUD probe from the link-local address, the
// answers, both ways; and for one with somebody else, which stays caught.
func TestNDBypassForOnePeerServesTheWholeConversation(t *testing.T) {
	k := kernelOf(wide(spd.Out, 1000), wide(spd.In, 1000))
	plan, err := NDBypass(k, NDOptions{Peers: []netip.Addr{teapot}})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(k)
	db := h.clone()
	if err := Model(&db, plan.Steps); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	const ns, na = spd.NeighborSolicitation, spd.NeighborAdvertisement
	for _, tt := range []struct {
		dir      spd.Direction
		src, dst netip.Addr
		typ      uint8
		clear    bool
	}{
		{spd.Out, glass, addr("ff02::1:ff00:2"), ns, true},
		{spd.In, teapot, addr("ff02::1:ff00:1"), ns, true},
		{spd.Out, glass, teapot, na, true},
		{spd.In, teapot, glass, na, true},
		{spd.Out, addr("fe80::1"), teapot, ns, true}, // NUD
		{spd.In, addr("fe80::2"), glass, ns, true},
		{spd.Out, glass, addr("fe80::2"), na, true},
		{spd.In, teapot, addr("fe80::1"), na, true},
		{spd.Out, glass, addr("ff02::1:ff00:3"), ns, false}, // somebody else
		{spd.Out, glass, addr("fd00::3"), na, false},
		{spd.In, addr("fd00::3"), glass, na, false},
		{spd.Out, glass, teapot, 128, false}, // ping
	} {
		v := db.Lookup(tt.dir, spd.ICMPv6Flow(tt.src, tt.dst, tt.typ))
		if got := v.Decision == spd.Clear; got != tt.clear {
			t.Errorf("%s %s → %s type %d: %s", tt.dir, tt.src, tt.dst, tt.typ, v.Decision)
		}
	}
}

func TestNDBypassSaysWhatPeopleWouldNotExpect(t *testing.T) {
	far := netip.MustParseAddr("2001:db8::9")
	for name, tt := range map[string]struct {
		policies []spd.Policy
		peer     netip.Addr
		want     string
	}{
		"a peer behind a router": {nil, far, "2001:db8::9 is on no link of this host: it is the gateway"},
		"priority 0":             {[]spd.Policy{hostPolicy(spd.Out, 0)}, teapot, "nothing beats priority 0: this policy gets priority 1000"},
		"those that must follow": {[]spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 1)}, teapot, "must stay behind one that is moved and gets priority 3"},
		"the selector was taken": {[]spd.Policy{with(shunted(spd.Out, spd.NeighborAdvertisement, 5), func(p *spd.Policy) { p.Action = spd.Block })}, netip.Addr{}, "replaces a policy with the same selector"},
		"many":                   {crowd(9, 0).Policies, netip.Addr{}, "in all 9 policies are moved, with dir out and ptype main, to the numbers 1000 to 1008"},
	} {
		o := NDOptions{}
		if tt.peer.IsValid() {
			o.Peers = []netip.Addr{tt.peer}
		}
		_, plan := bypassed(t, kernelOf(tt.policies...), o)
		if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, tt.want) || strings.Count(notes, "\n") > 8 {
			t.Errorf("%s: %q", name, plan.Notes)
		}
	}
}

func TestNDBypassForwardsOnlyForProxies(t *testing.T) {
	k := kernelOf(wide(spd.Fwd, 1000))
	got, _ := bypassed(t, k, NDOptions{})
	if strings.Contains(strings.Join(got, "\n"), "dir fwd") {
		t.Errorf("no proxy, and fwd:\n%s", strings.Join(got, "\n"))
	}
	k.Sysctls = map[string]string{"net.ipv6.conf.eth0.proxy_ndp": "1"}
	if got, _ = bypassed(t, k, NDOptions{}); strings.Count(strings.Join(got, "\n"), "dir fwd") != 2 {
		t.Errorf("a proxy, and not two of fwd:\n%s", strings.Join(got, "\n"))
	}
}

func TestNDBypassOfMoreThanNeeded(t *testing.T) {
	got, plan := bypassed(t, kernelOf(), NDOptions{AllND: true})
	if all := strings.Join(got, "\n"); len(got) != 10 || !strings.Contains(all, "type 133") || !strings.Contains(all, "type 134") || !strings.Contains(all, "type 137") {
		t.Errorf("got\n%s", all)
	}
	if got, plan = bypassed(t, kernelOf(), NDOptions{AllICMPv6: true}); !reflect.DeepEqual(got, []string{
		"add src ::/0 dst ::/0 dir out priority 100", "add src ::/0 dst ::/0 dir in priority 100"}) {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(strings.Join(plan.Notes, "\n"), "ping and its answers, and errors") {
		t.Errorf("what goes in the clear is not said: %q", plan.Notes)
	}
}

func TestNDBypassNeverReplacesADaemonsPolicy(t *testing.T) {
	negotiated := spd.SA{Src: glass, Dst: teapot, SPI: 0x2000, Proto: spd.ProtoESP, ReqID: 7, Enc: &spd.Algorithm{Name: "cbc(aes)"}, Limits: spd.Lifetime{HardAdd: 3600}}
	tests := []struct {
		name     string
		daemon   string
		policies []spd.Policy
		sas      []spd.SA
		refused  bool
		instead  string
	}{
		{"by hand, beside strongSwan", "charon-systemd", []spd.Policy{hostPolicy(spd.Out, 0)}, nil, false, ""},
		{"its SA stands", "charon-systemd", []spd.Policy{hostPolicy(spd.Out, 0)}, []spd.SA{negotiated}, true, "local_ts = ::/0[ipv6-icmp/136]"},
		{"must follow, strongSwan's", "charon", []spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 1)}, nil, true, "remote_addrs = 127.0.0.1"},
		{"an unknown daemon's", "iked", []spd.Policy{hostPolicy(spd.Out, 0)}, nil, true, "in the daemon's own configuration"},
		{"by hand for racoon", "racoon", []spd.Policy{with(hostPolicy(spd.Out, 0), func(p *spd.Policy) { p.Templates[0].ReqID = 0 })}, nil, false, ""},
		{"libreswan's", "pluto", []spd.Policy{with(hostPolicy(spd.Out, 0), func(p *spd.Policy) { p.Templates[0].ReqID = 16389 })}, nil, true, "libreswan lets types 135 and 136 pass by itself"},
		{"a monitor owns nothing", "ip", []spd.Policy{wide(spd.Out, 0), hostPolicy(spd.Out, 1)}, nil, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := kernelOf(tt.policies...)
			k.SAs, k.Listeners = tt.sas, []analyze.Listener{listener(tt.daemon)}
			k.Listeners[0].Monitor = tt.daemon == "ip"
			_, err := NDBypass(k, NDOptions{})
			var r *Refusal
			if refused := errors.As(err, &r); refused != tt.refused {
				t.Fatalf("refused: %v, %v", refused, err)
			}
			if tt.refused && (r.Reason != DaemonOwns || !strings.Contains(r.Instead, tt.instead)) {
				t.Errorf("reason %s, instead\n%s", r.Reason, r.Instead)
			}
		})
	}
}

func TestNDBypassEvadesADaemonsSelector(t *testing.T) {
	k := kernelOf(shunted(spd.Out, spd.NeighborAdvertisement, 199744), hostPolicy(spd.Out, 1000))
	k.Listeners = []analyze.Listener{listener("charon-systemd")}
	got, _ := bypassed(t, k, NDOptions{})
	if !slices.Contains(got, "add src ::/0 dst ::/0 type 136 code 0 dir out priority 100") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestNDBypassRefusesWhatIsNoNeighbour(t *testing.T) {
	for addr, want := range map[string]Reason{"192.0.2.7": Families, "ff02::1": Multicast, "::1": BadAddress, "::": BadAddress, glass.String(): PeerIsLocal} {
		_, err := NDBypass(kernelOf(), NDOptions{Peers: []netip.Addr{netip.MustParseAddr(addr)}})
		var r *Refusal
		if !errors.As(err, &r) || r.Reason != want || strings.Contains(r.Text, "\n") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	k := kernelOf()
	k.Missing = []string{"policies: CAP_NET_ADMIN is missing"}
	if _, err := NDBypass(k, NDOptions{}); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN is missing") {
		t.Errorf("a state without policies: %v", err)
	}
}
