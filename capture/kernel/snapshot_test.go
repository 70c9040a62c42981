//go:build linux

package kernel

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

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
