//go:build linux

package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

// policiesOfAllKinds covers every field that ip can set.
const policiesOfAllKinds = `
xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 5
xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type 136 code 3 dir out priority 5 mark 5 mask 0xff ptype sub
xfrm policy add src fe80::/10 dst ff02::/16 dev ve0 dir in action block if_id 9
xfrm policy add src 0.0.0.0/0 dst 10.0.0.0/8 dir fwd tmpl src 1.2.3.4 dst 5.6.7.8 proto esp mode tunnel reqid 7 level use tmpl proto ah spi 0x100 mode transport
xfrm policy add src 254.128.0.0/10 dst 0.0.0.0/0 dir out priority 4294967295 tmpl src fd00::1 dst fd00::2 proto esp mode tunnel reqid 4294967295
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out priority 0x80000000 tmpl proto esp mode transport tmpl proto comp mode transport level use
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out ptype sub tmpl src fd00::1 dst fd00::2 proto esp mode beet
xfrm policy add src 10.1.1.1/32 dst 10.1.1.2/32 proto tcp sport 80 dport 443 dir in mark 0x10 mask 0xffffffff if_id 0x2a
xfrm policy add src 10.1.1.0/31 dst 10.1.1.2/32 proto udp dport 500 dir out
xfrm policy add src 10.1.1.0/31 dst 10.1.1.2/32 proto 132 sport 7 dir out
`

func TestIntegrationPoliciesAgreeWithIP(t *testing.T) {
	ns := newNS(t).withLink()
	ns.batch(policiesOfAllKinds)
	// Replacing a policy makes it the youngest.
	ns.ip("xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 6")
	s := ns.snapshot()
	if len(s.Missing) > 0 {
		t.Errorf("missing: %q", s.Missing)
	}
	var got []string
	for _, p := range slices.Backward(s.Policies) { // ip lists the newest first
		got = append(got, policyText(p, s.Links))
	}
	if got, want := squeeze(strings.Join(got, "")), squeeze(ns.ip("xfrm policy")); got != want {
		t.Errorf("got:\n%s\nip says:\n%s", got, want)
	}
	if last := s.Policies[len(s.Policies)-1]; last.Priority != 6 {
		t.Errorf("the replaced policy is not the youngest: %s", &last)
	}
}

func TestIntegrationDefaults(t *testing.T) {
	ns := newNS(t)
	if d := ns.snapshot().Defaults; d != (spd.Defaults{}) {
		t.Errorf("defaults %+v before any was set", d)
	}
	ns.ip("xfrm policy setdefault out block")
	if d := ns.snapshot().Defaults; d != (spd.Defaults{Out: spd.Block}) {
		t.Errorf("defaults %+v after setdefault out block", d)
	}
}

// TestIntegrationUnkeyedSAs covers what this kernel can make without ESP: an SPI
// that is reserved, and a larval SA.
func TestIntegrationUnkeyedSAs(t *testing.T) {
	ns := newNS(t).withLink()
	ns.sysctl("net/core/xfrm_acq_expires", "77")
	ns.ip("xfrm state allocspi src fd00::2 dst fd00::1 proto esp mode tunnel reqid 4 min 0x100 max 0x100")
	ns.ip("xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport reqid 16")
	ns.daemon()
	ns.udp("fd00::2")

	sas := ns.snapshot().SAs
	if len(sas) != 2 {
		t.Fatalf("%d SAs, want 2: %v", len(sas), sas)
	}
	slices.SortFunc(sas, func(a, b spd.SA) int { return int(b.SPI) - int(a.SPI) })
	reserved, larval := sas[0], sas[1]
	a1, a2 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	if !reserved.Reserved() || reserved.SPI != 0x100 || reserved.Mode != spd.Tunnel || reserved.ReqID != 4 ||
		reserved.Src != a2 || reserved.Dst != a1 || reserved.Proto != spd.ProtoESP {
		t.Errorf("reserved SPI: %+v", reserved)
	}
	if !larval.Larval() || larval.Src != a1 || larval.Dst != a2 || larval.ReqID != 16 || larval.Mode != spd.Transport ||
		larval.Limits.HardAdd != 77 || larval.Used.AddTime == 0 || larval.Family != spd.IPv6 {
		t.Errorf("larval SA: %+v", larval)
	}
	if sel := larval.Selector; sel.Proto != spd.ProtoUDP || sel.DstPort != 9 || sel.DstPortMask != 0xffff ||
		sel.Src != netip.PrefixFrom(a1, 128) || sel.Dst != netip.PrefixFrom(a2, 128) {
		t.Errorf("larval SA's selector: %+v", sel)
	}
}

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

func TestIntegrationListeners(t *testing.T) {
	ns := newNS(t)
	if l := ns.snapshot().Listeners; len(l) != 0 {
		t.Fatalf("listeners of an empty namespace: %+v", l)
	}
	stop := ns.daemon()
	l := ns.snapshot().Listeners
	if len(l) != 1 || l[0].Via != "netlink" || l[0].PID != unix.Getpid() || l[0].Name == "" || l[0].Monitor {
		t.Errorf("listeners with a daemon: %+v", l)
	}
	stop()
	stopMonitor := ns.monitor()
	l = ns.snapshot().Listeners
	if len(l) != 1 || l[0].Name != "ip" || !l[0].Monitor {
		t.Errorf("listeners with ip xfrm monitor: %+v", l)
	}
	stopMonitor()
	if l := ns.snapshot().Listeners; len(l) != 0 {
		t.Errorf("listeners after both are gone: %+v", l)
	}
}

// TestIntegrationNoPrivilege drops CAP_NET_ADMIN from one thread.
func TestIntegrationNoPrivilege(t *testing.T) {
	ns := newNS(t).withLink()
	ns.do(func() error {
		if err := dropNetAdmin(); err != nil {
			return err
		}
		p, err := Privilege()
		if err != nil || p.NetAdmin || !p.NetRaw || p.Missing() != noNetAdmin {
			t.Errorf("privilege %+v, %v", p, err)
		}
		s, err := Snapshot(context.Background(), Options{})
		if err != nil {
			return err
		}
		if len(s.Missing) < 2 || !strings.Contains(s.Missing[0], "policies: CAP_NET_ADMIN is missing") {
			t.Errorf("missing: %q", s.Missing)
		}
		if len(s.Neighbors)+len(s.Links) == 0 || len(s.Counters) == 0 {
			t.Error("what needs no privilege was not read")
		}
		return nil
	})
}

// dropNetAdmin takes CAP_NET_ADMIN from the calling thread, which must not be
// used for anything else afterwards.
func dropNetAdmin() error {
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&hdr, &data[0])
}

func TestSnapshotUnknownNamespace(t *testing.T) {
	_, err := Snapshot(context.Background(), Options{Netns: "no-such-namespace"})
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("error %v, want ENOENT", err)
	}
	if path := netns.Path("no-such-namespace"); err != nil && !strings.Contains(err.Error(), "no-such-namespace") {
		t.Errorf("%v does not name %s", err, path)
	}
}

func TestSnapshotCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Snapshot(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
