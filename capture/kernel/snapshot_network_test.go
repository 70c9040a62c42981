//go:build linux

package kernel

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// ipJSON is the part of `ip -j` output that a snapshot holds.
type ipJSON struct {
	Index    int    `json:"ifindex"`
	Name     string `json:"ifname"`
	Type     string `json:"link_type"`
	Address  string `json:"address"`
	MTU      int    `json:"mtu"`
	LinkInfo struct {
		Kind string `json:"info_kind"`
	} `json:"linkinfo"`
	Addrs []struct {
		Local string `json:"local"`
		Bits  int    `json:"prefixlen"`
	} `json:"addr_info"`
	Dst     string   `json:"dst"`
	Dev     string   `json:"dev"`
	Gateway string   `json:"gateway"`
	Metric  uint32   `json:"metric"`
	LLAddr  string   `json:"lladdr"`
	State   []string `json:"state"`
}

func (ns *testNS) ipJSON(args string) (out []ipJSON) {
	ns.t.Helper()
	if err := json.Unmarshal([]byte(ns.ip("-j -d "+args)), &out); err != nil {
		ns.t.Fatal(err)
	}
	return out
}

func TestIntegrationLinksAndAddressesAgreeWithIP(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("link add br0 type bridge")
	ns.ip("link set ve1 master br0")
	ns.ip("link add link ve0 name ve0.7 type macvlan")
	s := ns.snapshot()
	links := map[string]analyze.Link{}
	for _, l := range s.Links {
		links[l.Name] = l
	}
	for _, want := range ns.ipJSON("addr show") {
		got := links[want.Name]
		if got.Index != want.Index || got.MTU != want.MTU || got.Kind != want.LinkInfo.Kind {
			t.Errorf("%s: got %+v, ip says %+v", want.Name, got, want)
		}
		if want.Type == "ether" && got.LinkAddr != want.Address {
			t.Errorf("%s: link address %q, ip says %q", want.Name, got.LinkAddr, want.Address)
		}
		for _, a := range want.Addrs {
			p := netip.PrefixFrom(netip.MustParseAddr(a.Local), a.Bits)
			if !slices.ContainsFunc(s.Addresses, func(x analyze.Address) bool {
				return x.Prefix == p && x.IfIndex == want.Index
			}) {
				t.Errorf("%s: address %s is missing", want.Name, p)
			}
		}
	}
	if links["ve1"].Master != links["br0"].Index || links["ve0.7"].Parent != links["ve0"].Index {
		t.Errorf("masters and parents: %+v", s.Links)
	}
	if links["ve0"].Parent != 0 || !links["ve0"].Up || links["br0"].Up {
		t.Errorf("ve0 %+v, br0 %+v", links["ve0"], links["br0"])
	}
}

func TestIntegrationRoutesAgreeWithIP(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("route add default via 10.1.1.254 metric 7")
	ns.ip("route add 10.9.0.0/16 nexthop via 10.1.1.8 nexthop via 10.1.1.9")
	ns.ip("-6 route add default via fe80::99 dev ve0")
	ns.ip("route add blackhole 10.66.0.0/16")
	ns.ip("route add 10.77.0.0/16 dev ve0 table 77")
	s := ns.snapshot()
	index := 0
	for _, l := range s.Links {
		if l.Name == "ve0" {
			index = l.Index
		}
	}
	for _, want := range []analyze.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.1.1.254"), Metric: 7},
		{Dst: netip.MustParsePrefix("10.1.1.0/24")},
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("10.1.1.8")},
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("10.1.1.9")},
		{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fe80::99"), Metric: 1024},
		{Dst: netip.MustParsePrefix("fd00::/64"), Metric: 256},
	} {
		want.IfIndex = index
		if !slices.Contains(s.Routes, want) {
			t.Errorf("route %+v is missing in %+v", want, s.Routes)
		}
	}
	for _, r := range s.Routes {
		if d := r.Dst.String(); d == "10.66.0.0/16" || d == "10.77.0.0/16" || strings.HasPrefix(d, "ff") {
			t.Errorf("route %+v is not of the main table, or leads nowhere", r)
		}
	}
}

func TestIntegrationNeighborsAgreeWithIP(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("neigh add fd00::7 lladdr 02:00:00:00:00:07 dev ve0 nud permanent")
	ns.ip("neigh add fd00::8 lladdr 02:00:00:00:00:08 dev ve0 nud stale router")
	ns.ip("neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev ve0 nud reachable")
	ns.udp("fd00::5") // INCOMPLETE for three seconds
	got := map[string]analyze.Neighbor{}
	for _, n := range ns.snapshot().Neighbors {
		got[n.Addr.String()] = n
	}
	want := ns.ipJSON("neigh show nud all dev ve0")
	for _, w := range want {
		if a := netip.MustParseAddr(w.Dst); a.IsMulticast() {
			if _, ok := got[w.Dst]; ok {
				t.Errorf("multicast entry %s", w.Dst)
			}
			continue
		}
		if g := got[w.Dst]; len(w.State) != 1 || g.State != w.State[0] || g.LinkAddr != w.LLAddr {
			t.Errorf("%s: got %+v, ip says %+v", w.Dst, g, w)
		}
	}
	if got["fd00::5"].State != "INCOMPLETE" || !got["fd00::8"].Router || got["fd00::7"].Router {
		t.Errorf("neighbours: %+v", got)
	}
}

// TestIntegrationProcFollowsNamespace holds that counters and settings are those of
// the namespace and not of the process.
func TestIntegrationProcFollowsNamespace(t *testing.T) {
	ns := newNS(t).withLink()
	ns.sysctl("net/core/xfrm_larval_drop", "0")
	ns.sysctl("net/ipv6/conf/ve0/disable_policy", "1")
	ns.ip("link add link ve0 name ve0.7 type macvlan")
	ns.sysctl("net/ipv4/conf/ve0.7/disable_xfrm", "1")
	ns.ip("xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport")
	ns.udp("fd00::2")
	s := ns.snapshot()
	for name, want := range map[string]string{
		"net.core.xfrm_larval_drop":          "0",
		"net.core.xfrm_acq_expires":          "30",
		"net.ipv6.conf.ve0.disable_policy":   "1",
		"net.ipv4.conf.ve0/7.disable_xfrm":   "1",
		"net.ipv6.conf.all.forwarding":       "0",
		"net.ipv6.conf.all.proxy_ndp":        "0",
		"net.ipv6.conf.lo.disable_policy":    "",
		"net.ipv6.neigh.ve0.ucast_solicit":   "",
		"net.ipv6.neigh.ve0.retrans_time_ms": "",
	} {
		if got := s.Sysctls[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	host, err := Snapshot(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := host.Sysctls["net.ipv6.conf.ve0.disable_policy"]; ok {
		t.Errorf("the host has ve0's setting: %q", v)
	}
	if s.Counters["Ip6OutRequests"] == host.Counters["Ip6OutRequests"] && s.Counters["Ip6OutRequests"] != 0 {
		t.Error("the host's counters equal the namespace's")
	}
	if len(s.Counters) < 50 {
		t.Errorf("only %d counters", len(s.Counters))
	}
}
