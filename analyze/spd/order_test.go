package spd

import (
	"fmt"
	"slices"
	"testing"
)

// withOthers adds so many policies that an index is kept, none of which matches
// or stands before those of the test.
func withOthers(policies []Policy) []Policy {
	out := slices.Clone(policies)
	for i := range indexFrom {
		net := fmt.Sprintf("fd99:%x::/64", i)
		out = append(out, pol(Out, between(net, net), 1<<31+1))
	}
	return out
}

// TestTiesOn61 holds what Linux 6.1 was measured to do with teapot's
// advertisement under a policy that demands ESP and bypasses of the same
// priority, in both orders; and what 6.18 does.
func TestTiesOn61(t *testing.T) {
	const setkey = 1 << 31
	any, host, network := between("::/0", "::/0"), between("fd00::2/128", "fd00::1/128"), between("fd00::/64", "fd00::/64")
	icmp := func(s Selector) Selector { s.Proto = ProtoICMPv6; return s }
	hosts, nets := pol(Out, host, setkey, withESP), pol(Out, network, setkey, withESP)
	ns, na := pol(Out, icmp6(any, NeighborSolicitation, -1), setkey), pol(Out, icmp6(any, NeighborAdvertisement, -1), setkey)
	all, exactly := pol(Out, icmp(any), setkey), pol(Out, icmp(host), setkey)
	narrow, near := pol(Out, icmp6(host, NeighborAdvertisement, -1), setkey), pol(Out, icmp(network), setkey)
	tests := []struct {
		name         string
		esp          Policy
		bypass       []Policy
		first, later bool // does the advertisement leave 6.1, esp first or later?
	}{
		{"hosts, all of ICMPv6", hosts, []Policy{all}, true, true},
		{"hosts, types 135 and 136", hosts, []Policy{ns, na}, false, false},
		{"hosts, types 136 and 135", hosts, []Policy{na, ns}, true, true},
		{"hosts, the same hosts", hosts, []Policy{exactly}, false, true},
		{"hosts, the same hosts and a type", hosts, []Policy{narrow}, false, true},
		{"hosts, a network", hosts, []Policy{near}, true, true},
		{"networks, all of ICMPv6", nets, []Policy{all}, false, true},
		{"networks, types 135 and 136", nets, []Policy{ns, na}, false, true},
		{"networks, hosts", nets, []Policy{exactly}, false, false},
		{"networks, hosts and a type", nets, []Policy{narrow}, false, false},
		{"networks, the same network", nets, []Policy{near}, false, true},
	}
	for _, tt := range tests {
		first := slices.Concat([]Policy{tt.esp}, tt.bypass)
		later := slices.Concat(tt.bypass, []Policy{tt.esp})
		for _, c := range []struct {
			name     string
			policies []Policy
			release  string
			want     bool
		}{
			{"esp first on 6.1", first, "6.1.0-56-amd64", tt.first},
			{"esp later on 6.1", later, "6.1.0-56-amd64", tt.later},
			{"esp first on 6.18", first, "6.18.5", false},
			{"esp later on 6.18", later, "6.18.5", true},
			{"esp first, many others", withOthers(first), "6.1.0-56-amd64", tt.first},
			{"esp later, many others", withOthers(later), "6.1.0-56-amd64", tt.later},
		} {
			db := Database{Policies: c.policies, Order: OrderOn(c.release)}
			v := db.Lookup(Out, answer)
			if (v.Decision == Clear) != c.want {
				t.Errorf("%s, %s: %s", tt.name, c.name, v.Decision)
			}
			if v.Tied != nil && !oneList(v.Policies[0], v.Tied) && !db.leads(v.Policies[0]) {
				t.Errorf("%s, %s: a tie is left with %s", tt.name, c.name, v.Tied)
			}
			if e := db.Explain(Out, answer); e.Weighed[0].Policy != v.Policies[0] || e.Weighed[0].Standing != Wins {
				t.Errorf("%s, %s: explained by %s, decided by %s", tt.name, c.name, e.Weighed[0].Policy, v.Policies[0])
			}
		}
		if db := (Database{Policies: first}); db.Lookup(Out, answer).Tied == nil {
			t.Errorf("%s: no tie on an unknown kernel", tt.name)
		}
	}
}

// TestOthersOfTheListDecideATie: a bypass that does not stand first of all that
// are not exact loses against an exact policy on 6.1. All measured.
func TestOthersOfTheListDecideATie(t *testing.T) {
	any, fd99 := between("::/0", "::/0"), between("fd99::/64", "fd99::/64")
	hosts := pol(Out, between("fd00::2/128", "fd00::1/128"), 100, withESP)
	bypass := pol(Out, icmp6(any, NeighborAdvertisement, -1), 100)
	for name, c := range map[string]struct {
		policies []Policy
		passes   bool
	}{
		"alone":                         {[]Policy{hosts, bypass}, true},
		"behind an older one":           {[]Policy{pol(Out, fd99, 100), hosts, bypass}, false},
		"before a younger one":          {[]Policy{hosts, bypass, pol(Out, fd99, 100)}, true},
		"behind one of a better number": {[]Policy{hosts, bypass, pol(Out, fd99, 5)}, false},
		"one of another direction":      {[]Policy{pol(In, fd99, 5), hosts, bypass}, true},
		"an exact one":                  {[]Policy{pol(Out, between("fd99::1/128", "fd99::2/128"), 5), hosts, bypass}, true},
		"behind one that is half exact": {[]Policy{pol(Out, between("fd99::1/128", "fd99::/64"), 5), hosts, bypass}, false},
		"behind one of sub policies":    {[]Policy{pol(Out, fd99, 5, sub), hosts, bypass}, false},
		"behind one with an if_id":      {[]Policy{pol(Out, fd99, 5, ifID(7)), hosts, bypass}, false},
		"behind one of IPv4":            {[]Policy{pol(Out, between("10.0.0.0/8", "10.0.0.0/8"), 5), hosts, bypass}, false},
		"with a better number itself":   {[]Policy{hosts, pol(Out, fd99, 5), pol(Out, any, 99)}, true},
	} {
		for _, policies := range [][]Policy{c.policies, withOthers(c.policies)} {
			db := Database{Policies: policies, Order: OrderByPlace}
			if v := db.Lookup(Out, answer); (v.Decision == Clear) != c.passes {
				t.Errorf("%s, of %d: %s", name, len(policies), v.Decision)
			}
		}
	}
}

// TestTheLeaderIsFoundAnewAfterAChange holds that the index does not remember
// what is gone; and that a tie is told, because 6.1 gives no new places after
// a deletion (measured: the bypass still loses).
func TestTheLeaderIsFoundAnewAfterAChange(t *testing.T) {
	hosts := pol(Out, between("fd00::2/128", "fd00::1/128"), 100, withESP)
	bypass, other := pol(Out, icmp6(between("::/0", "::/0"), NeighborAdvertisement, -1), 100), pol(Out, between("fd98::/64", "fd98::/64"), 5)
	db := Database{Policies: withOthers([]Policy{hosts, bypass}), Order: OrderByPlace}
	for i, want := range []Decision{Clear, Protect, Clear} {
		if v := db.Lookup(Out, answer); v.Decision != want {
			t.Errorf("step %d: %s, want %s", i, v.Decision, want)
		} else if (v.Tied != nil) != (want == Clear) {
			t.Errorf("step %d: tied with %v", i, v.Tied)
		}
		if i == 0 {
			db.PutPolicy(other)
		} else {
			db.DeletePolicy(other.Identity())
		}
	}
}

func TestReleasesHaveAnOrder(t *testing.T) {
	for release, want := range map[string]Order{
		"": OrderUnknown, "6.1.0-56-amd64": OrderByPlace, "6.1": OrderByPlace, "6.10.3": OrderUnknown, "6.12.0-rc1": OrderByAge, "6.18.5": OrderByAge,
		"7.0": OrderByAge, "5.10.0": OrderUnknown, "4.19": OrderUnknown, "x.y": OrderUnknown, "6.x": OrderUnknown,
	} {
		if got := OrderOn(release); got != want {
			t.Errorf("%q: %d, want %d", release, got, want)
		}
	}
}
