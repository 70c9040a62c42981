package rules

import (
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

func hostPolicy(dir spd.Direction, priority uint32) spd.Policy {
	s := spd.Selector{Src: netip.PrefixFrom(teapot, 128), Dst: netip.PrefixFrom(glass, 128), Family: spd.IPv6}
	if dir == spd.In {
		s.Src, s.Dst = s.Dst, s.Src
	}
	return spd.Policy{
		Selector: s, Direction: dir, Priority: priority,
		Templates: []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: 7}},
	}
}

// letsPass is a bypass of one type.
func letsPass(dir spd.Direction, typ uint16, priority uint32) spd.Policy {
	open := netip.MustParsePrefix("::/0")
	return spd.Policy{Direction: dir, Priority: priority, Selector: spd.Selector{
		Src: open, Dst: open, Proto: spd.ProtoICMPv6, SrcPort: typ, SrcPortMask: 0xffff, Family: spd.IPv6,
	}}
}

func bypassFor(h *analyze.Host, c *ndCase) []remedy.Remedy { return ndBypass(&Pass{Host: h}, c) }

func hostWith(policies ...spd.Policy) *analyze.Host {
	return &analyze.Host{KernelSeen: true, DB: spd.Database{Policies: policies}}
}

func TestTheRemedyIsThePlanForThisHost(t *testing.T) {
	const ns, na = spd.NeighborSolicitation, spd.NeighborAdvertisement
	tests := []struct {
		name     string
		policies []spd.Policy
		title    string // of the one command
		hand     string // of the commands
		lines    int
		first    string
	}{
		{"a trap", []spd.Policy{hostPolicy(spd.Out, 268928)}, "let neighbour discovery pass; run this on both hosts", "or by hand, on both hosts", 4,
			"ip xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 100"},
		{"a good number, inbound", []spd.Policy{hostPolicy(spd.Out, 1000), hostPolicy(spd.In, 50)}, "both hosts", "on both hosts", 4,
			"ip xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 25"},
		{"priority 0", []spd.Policy{hostPolicy(spd.Out, 0)}, "both hosts", "nothing beats a policy of priority 0", 5,
			"ip xfrm policy update src fd00::2/128 dst fd00::1/128 dir out priority 1000 tmpl proto esp reqid 7 mode transport"},
		{"outbound only", []spd.Policy{hostPolicy(spd.In, 1000), letsPass(spd.Out, ns, 9), letsPass(spd.Out, na, 9)}, "both hosts", "what is missing on this host", 2,
			"ip xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 135 dir in priority 100"},
		{"all of it", []spd.Policy{letsPass(spd.In, ns, 9), letsPass(spd.In, na, 9), letsPass(spd.Out, ns, 9), letsPass(spd.Out, na, 9)}, "this host does already, run this on the other", "on the other host", 4,
			"ip xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bypassFor(hostWith(tt.policies...), &ndCase{asker: glass, target: teapot})
			if len(got) != 2 || got[0].Command != "ipsecdiag fix nd-bypass" || !strings.Contains(got[0].Title, tt.title) || !strings.Contains(got[1].Title, tt.hand) {
				t.Fatalf("remedies %+v", got)
			}
			lines := strings.Split(got[1].Command, "\n")
			if len(lines) != tt.lines || lines[0] != tt.first {
				t.Errorf("commands\n%s", got[1].Command)
			}
		})
	}
}

// TestTheOtherHostsPolicyCounts holds that the number beats the policy that the
// other host told of, too.
func TestTheOtherHostsPolicyCounts(t *testing.T) {
	theirs := hostPolicy(spd.Out, 40)
	c := &ndCase{asker: glass, target: teapot, verdict: spd.Verdict{Policies: []*spd.Policy{&theirs}}}
	for _, h := range []*analyze.Host{hostWith(hostPolicy(spd.In, 1000)), {}} {
		if got := bypassFor(h, c); got[0].Params["priority"] != "20" {
			t.Errorf("params %v, want priority 20", got[0].Params)
		}
	}
}

func TestADaemonsPolicyIsLeftToItsConfiguration(t *testing.T) {
	h := hostWith(hostPolicy(spd.Out, 0))
	h.Listeners = []analyze.Listener{{Via: "netlink", PID: 7, Name: "iked"}}
	got := bypassFor(h, &ndCase{asker: glass, target: teapot})
	if len(got) != 1 || got[0].Action != "nd-bypass-elsewhere" || strings.Contains(got[0].Command, "ip xfrm") || got[0].Command == "" {
		t.Errorf("remedies %+v", got)
	}
}

// TestThePlanIsMadeAnewWhenThePoliciesChange holds that what is remembered for a
// host is not taken for another state of it, or for another policy.
func TestThePlanIsMadeAnewWhenThePoliciesChange(t *testing.T) {
	h := hostWith(hostPolicy(spd.Out, 1000))
	h.Generation = 1
	p := &Pass{Host: h, plans: bypassPlans{}}
	ask := func(c ndCase) string { return ndBypass(p, &c)[0].Params["priority"] }
	pair := ndCase{asker: glass, target: teapot}
	if got := ask(pair); got != "100" {
		t.Errorf("priority %s", got)
	}
	h.DB.Policies = []spd.Policy{hostPolicy(spd.Out, 60)}
	if got := ask(pair); got != "100" {
		t.Errorf("priority %s: nothing is remembered", got)
	}
	h.Generation = 2
	if got := ask(pair); got != "30" {
		t.Errorf("priority %s: what is remembered is of another state", got)
	}
	theirs := hostPolicy(spd.Out, 40)
	pair.verdict.Policies = []*spd.Policy{&theirs}
	if got := ask(pair); got != "20" {
		t.Errorf("priority %s: what is remembered is for another policy", got)
	}
}
