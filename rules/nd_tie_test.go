package rules

import (
	"slices"
	"testing"

	"ipsecdiag/analyze/spd"
)

// TestTiesOn61 holds what Linux 6.1 was measured to do with teapot's
// advertisement: a policy that demands ESP, and bypasses of the same priority,
// in both orders.
func TestTiesOn61(t *testing.T) {
	out := func(src, dst string, options ...func(*spd.Policy)) spd.Policy {
		return pol(spd.Out, src, dst, setkeyPriority, options...)
	}
	hosts := out("fd00::2/128", "fd00::1/128", withESP)
	nets := out("fd00::/64", "fd00::/64", withESP)
	all := []spd.Policy{out("::/0", "::/0", icmp6)}
	types := []spd.Policy{out("::/0", "::/0", typed(135)), out("::/0", "::/0", typed(136))}
	turned := []spd.Policy{types[1], types[0]}
	exactly := []spd.Policy{out("fd00::2/128", "fd00::1/128", icmp6)}
	narrow := []spd.Policy{out("fd00::2/128", "fd00::1/128", typed(136))}
	net := []spd.Policy{out("fd00::/64", "fd00::/64", icmp6)}
	tests := []struct {
		name                 string
		esp                  spd.Policy
		bypass               []spd.Policy
		espFirst, espLater   bool // does the advertisement leave?
		alike                bool // kernels do not differ in it
		byAgeFirst, byAgeEnd bool // what 6.12 and later do
	}{
		{"hosts, all of ICMPv6", hosts, all, true, true, false, false, true},
		{"hosts, types 135 and 136", hosts, types, false, false, false, false, true},
		{"hosts, types 136 and 135", hosts, turned, true, true, false, false, true},
		{"hosts, the same hosts", hosts, exactly, false, true, true, false, true},
		{"hosts, the same hosts and type", hosts, narrow, false, true, true, false, true},
		{"hosts, a network", hosts, net, true, true, false, false, true},
		{"networks, all of ICMPv6", nets, all, false, true, true, false, true},
		{"networks, types 135 and 136", nets, types, false, true, true, false, true},
		{"networks, types 136 and 135", nets, turned, false, true, true, false, true},
		{"networks, hosts", nets, exactly, false, false, false, false, true},
		{"networks, hosts and type", nets, narrow, false, false, false, false, true},
		{"networks, the same network", nets, net, false, true, true, false, true},
	}
	answer := spd.ICMPv6Flow(teapot, glass, spd.NeighborAdvertisement)
	for _, tt := range tests {
		first := slices.Concat([]spd.Policy{tt.esp}, tt.bypass)
		later := slices.Concat(tt.bypass, []spd.Policy{tt.esp})
		for _, c := range []struct {
			order    string
			policies []spd.Policy
			on       ndOrder
			want     bool
		}{
			{"esp first on 6.1", first, orderOn("6.1.0-56-amd64"), tt.espFirst},
			{"esp later on 6.1", later, orderOn("6.1.0-56-amd64"), tt.espLater},
			{"esp first on 6.18", first, orderOn("6.18.5"), tt.byAgeFirst},
			{"esp later on 6.18", later, orderOn("6.18.5"), tt.byAgeEnd},
		} {
			db := spd.Database{Policies: inOrder(c.policies, c.on)}
			if v := db.Lookup(spd.Out, answer); (v.Decision == spd.Clear) != c.want {
				t.Errorf("%s, %s: %s", tt.name, c.order, v.Decision)
			}
		}
		db := spd.Database{Policies: first}
		if v := db.Lookup(spd.Out, answer); kernelsDiffer(&v, orderUnknown) == tt.alike || kernelsDiffer(&v, orderByAge) {
			t.Errorf("%s: kernels differ: %t", tt.name, !tt.alike)
		}
	}
}

// TestOthersInTheListMatter: measured too. Not the first of the inexact ones, a
// bypass loses against an exact policy.
func TestOthersInTheListMatter(t *testing.T) {
	hosts, nets := pol(spd.Out, "fd00::2/128", "fd00::1/128", 100, withESP), pol(spd.Out, "fd00::/64", "fd00::/64", 100, withESP)
	bypass := pol(spd.Out, "::/0", "::/0", 100, icmp6)
	better := pol(spd.Out, "fd99::/64", "fd99::/64", 5)
	inbound := pol(spd.In, "fd99::/64", "fd99::/64", 5)
	for name, c := range map[string]struct {
		policies []spd.Policy
		passes   bool
	}{
		"alone":                           {[]spd.Policy{hosts, bypass}, true},
		"behind one of the same number":   {[]spd.Policy{nets, hosts, bypass}, false},
		"behind one of a better number":   {[]spd.Policy{hosts, bypass, better}, false},
		"one of another direction":        {[]spd.Policy{hosts, bypass, inbound}, true},
		"a better number of its own wins": {[]spd.Policy{hosts, better, pol(spd.Out, "::/0", "::/0", 99, icmp6)}, true},
	} {
		db := spd.Database{Policies: inOrder(c.policies, orderByPlace)}
		v := db.Lookup(spd.Out, spd.ICMPv6Flow(teapot, glass, spd.NeighborAdvertisement))
		if (v.Decision == spd.Clear) != c.passes {
			t.Errorf("%s: %s", name, v.Decision)
		}
	}
}

func TestReleases(t *testing.T) {
	for release, want := range map[string]ndOrder{
		"": orderUnknown, "6.1.0-56-amd64": orderByPlace, "6.1": orderByPlace, "6.10.3": orderUnknown, "6.12.0-rc1": orderByAge, "6.18.5": orderByAge,
		"7.0": orderByAge, "5.10.0": orderUnknown, "4.19": orderUnknown, "x.y": orderUnknown, "6.x": orderUnknown,
	} {
		if got := orderOn(release); got != want {
			t.Errorf("%q: %d, want %d", release, got, want)
		}
	}
}
