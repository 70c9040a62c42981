//go:build linux

package kernel

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"

	"golang.org/x/sys/unix"
)

func (ns *testNS) handle() *Handle { return NewHandle(Options{Netns: ns.name}) }

func mustSucceed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestIntegrationWrittenPoliciesAreThoseRead takes every kind of policy out and
// puts it back: ip must not see a difference.
func TestIntegrationWrittenPoliciesAreThoseRead(t *testing.T) {
	ns := newNS(t).withLink()
	ns.batch(policiesOfAllKinds + `
xfrm policy add src fd00::7/128 dst fd00::8/128 dir out flag localok flag icmp limit time-hard 100000 limit packet-soft 77
`)
	// The index is the kernel's to choose, so it is left out.
	text := func() string { return ns.ip("xfrm policy") }
	before, h := text(), ns.handle()
	policies, err := h.Policies(t.Context())
	mustSucceed(t, err)
	limited := policies[len(policies)-1]
	if limited.Limits.HardAdd != 100000 || limited.Limits.SoftPackets != 77 {
		t.Errorf("limits %+v", limited.Limits)
	}
	for i, p := range policies {
		if i%2 == 0 {
			p.Index = 0 // by its identity
		}
		mustSucceed(t, h.DeletePolicy(t.Context(), p))
	}
	if left := text(); left != "" {
		t.Fatalf("left behind:\n%s", left)
	}
	for _, p := range policies {
		mustSucceed(t, h.AddPolicy(t.Context(), p))
	}
	if after := text(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	again, err := h.Policies(t.Context())
	mustSucceed(t, err)
	for i := range again {
		again[i].Index, policies[i].Index = 0, 0
		again[i].AddTime, policies[i].AddTime = 0, 0
		again[i].UseTime, policies[i].UseTime = 0, 0 // the namespace has neighbour discovery of its own
		if !reflect.DeepEqual(again[i], policies[i]) {
			t.Errorf("got %+v, want %+v", again[i], policies[i])
		}
	}
}

// TestIntegrationReplacedPolicy: the index stays, the age does not.
func TestIntegrationReplacedPolicy(t *testing.T) {
	ns := newNS(t)
	ns.batch(`
xfrm policy add src ::/0 dst ::/0 dir out
xfrm policy add src fd00::/64 dst ::/0 dir out priority 5
`)
	h := ns.handle()
	before, err := h.Policies(t.Context())
	mustSucceed(t, err)
	p := before[0]
	p.Priority = 9
	mustSucceed(t, h.ReplacePolicy(t.Context(), p))
	after, err := h.Policies(t.Context())
	mustSucceed(t, err)
	if len(after) != 2 || after[1].Index != before[0].Index || after[1].Priority != 9 {
		t.Errorf("got %v", after)
	}
}

// TestIntegrationRefusals: an error names the object, the operation and what the
// errno means, and is found by errors.Is.
func TestIntegrationRefusals(t *testing.T) {
	ns := newNS(t).withLink()
	h, ctx := ns.handle(), t.Context()
	any6 := netip.MustParsePrefix("::/0")
	p := spd.Policy{Selector: spd.Selector{Src: any6, Dst: any6, Family: spd.IPv6}, Direction: spd.Out, Priority: 7}
	mustSucceed(t, h.AddPolicy(ctx, p))
	other := p
	other.Direction = spd.In
	sa := testSA()
	stranger := analyze.Neighbor{Addr: netip.MustParseAddr("fd00::99"), IfIndex: 4711, LinkAddr: "02:00:00:00:00:01", State: "PERMANENT"}
	for _, c := range []struct {
		name  string
		err   error
		errno error
		says  string
	}{
		{"add twice", h.AddPolicy(ctx, p), unix.EEXIST, "add policy dir out src ::/0 dst ::/0 bypass priority 7: it exists already"},
		{"delete none", h.DeletePolicy(ctx, other), unix.ENOENT, "delete policy dir in src ::/0 dst ::/0 bypass priority 7: it does not exist"},
		{"delete no SA", h.DeleteSA(ctx, sa), unix.ESRCH, "delete SA fd00::1 → fd00::2 esp spi 0x00001234 transport reqid 5: it does not exist"},
		{"no such device", h.PutNeighbor(ctx, stranger), unix.ENODEV, "set neighbour entry of fd00::99 on interface 4711"},
		{"short key", h.AddSA(ctx, sa, make([]byte, 16), make([]byte, 32)), nil, "its encryption key has 128 bits, need 256"},
		{"foreign sysctl", h.SetSysctl("kernel.core_pattern", "x"), nil, "none of the settings"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) || (c.errno != nil && !errors.Is(c.err, c.errno)) {
			t.Errorf("%s: error %v, want %v and %q", c.name, c.err, c.errno, c.says)
		}
	}
	err := h.AddSA(ctx, sa, make([]byte, 32), make([]byte, 32))
	if errors.Is(err, unix.EPROTONOSUPPORT) && !strings.Contains(err.Error(), "kernel without ESP") {
		t.Errorf("error %v of a kernel without ESP", err)
	}
}

func testSA() spd.SA {
	return spd.SA{
		Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 0x1234, Proto: spd.ProtoESP,
		Family: spd.IPv6, ReqID: 5, Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 256},
		Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128}, Replay: spd.Replay{Window: 32},
	}
}

// TestEncodedSAIsTheOneDecoded goes there and back without a kernel.
func TestEncodedSAIsTheOneDecoded(t *testing.T) {
	want := testSA()
	want.Mark, want.IfID = spd.Mark{Value: 3, Mask: 7}, 9
	want.Limits = spd.Lifetime{HardBytes: 12, SoftAdd: 30}
	b := encodeSA(&want, make([]byte, 32), make([]byte, 32))
	got, err := decodeSA(b)
	mustSucceed(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestEncodedSAKeepsOneCopyOfEachKey: clearing what encodeSA returned is enough.
func TestEncodedSAKeepsOneCopyOfEachKey(t *testing.T) {
	sa := testSA()
	b := encodeSA(&sa, make([]byte, 32), make([]byte, 32))
	room := cap(b)
	if again := encodeSA(&sa, make([]byte, 32), make([]byte, 32)); cap(again) != room || len(b) > room-64 {
		t.Errorf("length %d of %d: it has grown, and left a copy behind", len(b), room)
	}
}

func TestIntegrationUnprivilegedChange(t *testing.T) {
	ns := newNS(t)
	ns.do(func() error {
		if err := dropNetAdmin(); err != nil {
			return err
		}
		err := NewHandle(Options{}).AddPolicy(context.Background(), spd.Policy{})
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN is missing") {
			t.Errorf("error %v, want EPERM", err)
		}
		return nil
	})
}

func TestIntegrationNeighborEntries(t *testing.T) {
	ns := newNS(t).withLink()
	h, ctx := ns.handle(), t.Context()
	var dev int
	for _, l := range ns.snapshot().Links {
		if l.Name == "ve0" {
			dev = l.Index
		}
	}
	for _, addr := range []string{"fd00::2", "10.1.1.2"} {
		n := analyze.Neighbor{Addr: netip.MustParseAddr(addr), IfIndex: dev, LinkAddr: "02:00:00:00:00:02", State: "PERMANENT"}
		mustSucceed(t, h.PutNeighbor(ctx, n))
		if got := ns.ip("neigh show " + addr); !strings.Contains(got, "lladdr 02:00:00:00:00:02 PERMANENT") {
			t.Errorf("ip says %q", got)
		}
		n.State = "STALE"
		mustSucceed(t, h.PutNeighbor(ctx, n))
		if got := ns.ip("neigh show " + addr); !strings.Contains(got, "STALE") {
			t.Errorf("ip says %q", got)
		}
		mustSucceed(t, h.DeleteNeighbor(ctx, n))
		if got := ns.ip("neigh show " + addr); strings.Contains(got, "lladdr") {
			t.Errorf("ip says %q after the deletion", got)
		}
	}
}

func TestIntegrationSysctls(t *testing.T) {
	ns := newNS(t)
	h := ns.handle()
	for _, v := range []string{"0", "1"} {
		mustSucceed(t, h.SetSysctl(SysctlLarvalDrop, v))
		got, err := h.Sysctl(SysctlLarvalDrop)
		mustSucceed(t, err)
		if got != v {
			t.Errorf("got %q, want %q", got, v)
		}
	}
}

// TestIntegrationPlace tells namespaces apart, and one from itself never.
func TestIntegrationPlace(t *testing.T) {
	one, two := newNS(t), newNS(t)
	boot, a, err := one.handle().Place()
	mustSucceed(t, err)
	_, b, err := two.handle().Place()
	mustSucceed(t, err)
	_, again, err := NewHandle(Options{Netns: filepath.Join("/run/netns", one.name)}).Place()
	mustSucceed(t, err)
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	mustSucceed(t, err)
	if a == b || a != again || boot != strings.TrimSpace(string(id)) {
		t.Errorf("namespaces %s %s %s, boot %s", a, b, again, boot)
	}
}
