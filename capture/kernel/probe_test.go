//go:build linux

package kernel

import (
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// pair makes two namespaces that are joined by a cable: fd00::1 and 10.1.1.1 on
// this one, fd00::2 and 10.1.1.2 on the other.
func newPair(t *testing.T) (one, two *testNS) {
	t.Helper()
	one, two = newNS(t), newNS(t)
	one.ip("link add ve0 type veth peer name ve0 netns " + two.name)
	for i, ns := range []*testNS{one, two} {
		host := string(rune('1' + i))
		ns.sysctl("net/ipv6/conf/ve0/accept_dad", "0")
		ns.ip("addr add fd00::" + host + "/64 dev ve0 nodad")
		ns.ip("addr add 10.1.1." + host + "/24 dev ve0")
		ns.ip("link set ve0 up")
	}
	for _, ns := range []*testNS{one, two} {
		eventually(t, "the cable is plugged in", func() bool {
			for _, a := range ns.snapshot().Addresses {
				if a.Tentative {
					return false
				}
			}
			for _, l := range ns.snapshot().Links {
				if l.Name == "ve0" {
					return l.Up
				}
			}
			return false
		})
	}
	return one, two
}

func (ns *testNS) device(name string) int {
	ns.t.Helper()
	for _, l := range ns.snapshot().Links {
		if l.Name == name {
			return l.Index
		}
	}
	ns.t.Fatalf("no interface %s", name)
	return 0
}

// unheld is how long a probe that nobody can answer is waited for.
const unheld = 200 * time.Millisecond

func TestIntegrationSolicit(t *testing.T) {
	one, two := newPair(t)
	h, dev := one.handle(), one.device("ve0")
	src, peer := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	// The device may be up and not yet carry anything.
	eventually(t, "solicitation answered without policies", func() bool {
		ok, err := h.Solicit(t.Context(), src, peer, dev, time.Second)
		mustSucceed(t, err)
		return ok
	})
	rise := func(ns *testNS, counter string, f func()) uint64 {
		before := ns.snapshot().Counters[counter]
		f()
		return ns.snapshot().Counters[counter] - before
	}
	refused := func(what string) func() {
		return func() {
			if ok, err := h.Solicit(t.Context(), src, peer, dev, unheld); ok || err != nil {
				t.Errorf("%s: answered %v, %v", what, ok, err)
			}
		}
	}
	const tmpl = " tmpl proto esp mode transport"
	two.ip("xfrm policy add src fd00::2/128 dst fd00::1/128 dir out" + tmpl)
	if n := rise(two, "XfrmOutNoStates", refused("the peer's policy catches the advertisement")); n != 1 {
		t.Errorf("XfrmOutNoStates of the peer rose by %d", n)
	}
	two.ip("xfrm policy flush")
	one.ip("xfrm policy add src fd00::2/128 dst fd00::1/128 dir in" + tmpl)
	if n := rise(one, "XfrmInTmplMismatch", refused("our policy drops the advertisement")); n == 0 {
		t.Error("XfrmInTmplMismatch did not rise")
	}
	one.ip("xfrm policy flush")
	one.ip("xfrm policy add src ::/0 dst ::/0 dir out" + tmpl)
	if n := rise(one, "XfrmOutNoStates", refused("our policy catches the solicitation")); n != 1 {
		t.Errorf("XfrmOutNoStates rose by %d", n)
	}
}

func TestIntegrationEcho(t *testing.T) {
	one, two := newPair(t)
	h := one.handle()
	for _, a := range [][2]string{{"fd00::1", "fd00::2"}, {"10.1.1.1", "10.1.1.2"}} {
		src, dst := netip.MustParseAddr(a[0]), netip.MustParseAddr(a[1])
		eventually(t, "echo answered by "+a[1], func() bool {
			ok, err := h.Echo(t.Context(), src, dst, time.Second)
			mustSucceed(t, err)
			return ok
		})
		one.ip("xfrm policy add src " + a[0] + " dst " + a[1] + " dir out action block")
		if ok, err := h.Echo(t.Context(), src, dst, unheld); ok || err != nil {
			t.Errorf("blocked echo to %s: %v, %v", a[1], ok, err)
		}
		one.ip("xfrm policy flush")
	}
	_ = two
}

func TestIntegrationProbeNeighbor(t *testing.T) {
	one, two := newPair(t)
	h, dev := one.handle(), one.device("ve0")
	_ = two
	for _, a := range []string{"fd00::2", "10.1.1.2"} {
		n := analyze.Neighbor{Addr: netip.MustParseAddr(a), IfIndex: dev}
		eventually(t, "the kernel has resolved "+a, func() bool {
			mustSucceed(t, h.ProbeNeighbor(t.Context(), n))
			for _, o := range one.snapshot().Neighbors {
				if o.Addr == n.Addr && o.LinkAddr != "" {
					return true
				}
			}
			return false
		})
	}
}
