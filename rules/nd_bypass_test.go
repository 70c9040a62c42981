package rules

import (
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
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

func bypassOf(policies ...spd.Policy) string {
	h := &analyze.Host{KernelSeen: true, DB: spd.Database{Policies: policies}}
	return ndBypass(&Pass{Host: h}, &ndCase{asker: glass, target: teapot})[0].Command
}

func TestTheBypassBeatsEveryPolicyThatCatchesOnThisHost(t *testing.T) {
	cmd := bypassOf(hostPolicy(spd.Out, 1000), hostPolicy(spd.In, 50))
	if strings.Count(cmd, "priority 49") != 4 {
		t.Errorf("want four commands at priority 49, below the inbound policy's 50:\n%s", cmd)
	}
	if strings.Contains(bypassOf(hostPolicy(spd.Out, 268928)), "priority 99") {
		t.Error("a policy that is worse anyway changed the priority")
	}
}

func TestAPolicyOfPriority0IsGivenAnotherNumberFirst(t *testing.T) {
	lines := strings.Split(bypassOf(hostPolicy(spd.Out, 0)), "\n")
	want := "ip xfrm policy update src fd00::2/128 dst fd00::1/128 dir out priority 1000 tmpl proto esp reqid 7 mode transport"
	if lines[0] != want || len(lines) != 5 || !strings.HasSuffix(lines[1], "priority 100") {
		t.Errorf("commands\n%s\nwant first\n%s", strings.Join(lines, "\n"), want)
	}
}
