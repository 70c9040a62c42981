package text_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/text"
	"ipsecdiag/capture/kernel"
)

// namespace is a network namespace of one test.
type namespace struct {
	t    *testing.T
	name string
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("iproute2 is not installed")
	}
	ns := namespace{t, fmt.Sprintf("ipsecdiag-text-%d", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", ns.name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns.name).Run() })
	ns.ip("link add ve0 type veth peer name ve1")
	return ns
}

func (ns namespace) ip(args string) string {
	ns.t.Helper()
	out, err := ns.try(args)
	if err != nil {
		ns.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	return out
}

func (ns namespace) try(args string) (string, error) {
	cmd := exec.Command("ip", append([]string{"-n", ns.name}, strings.Fields(args)...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (ns namespace) snapshot() *analyze.Snapshot {
	ns.t.Helper()
	s, err := kernel.Snapshot(context.Background(), kernel.Options{Netns: ns.name})
	if err != nil {
		ns.t.Fatal(err)
	}
	return s
}

// TestIntegrationPoliciesReadAsNetlinkGivesThem makes policies of all sorts in
// a real kernel and compares the parse of what ip prints with what netlink
// says, field by field.
func TestIntegrationPoliciesReadAsNetlinkGivesThem(t *testing.T) {
	ns := newNamespace(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	made := makePolicies(ns, rand.New(rand.NewPCG(seed, 1)))
	if made < 150 {
		t.Errorf("the kernel took only %d policies", made)
	}
	snap := ns.snapshot()
	for _, command := range []string{
		"-s xfrm policy", "xfrm policy", "-d xfrm policy list", "-o -s xfrm policy", "-d -s xfrm policy list", "-s -s xfrm policy",
	} {
		t.Run(command, func(t *testing.T) {
			compare(t, snap, ns.ip(command), strings.Contains(command, "-s"))
		})
	}
}

func compare(t *testing.T, snap *analyze.Snapshot, printed string, stats bool) {
	t.Helper()
	devices := map[string]int{}
	for _, l := range snap.Links {
		devices[l.Name] = l.Index
	}
	r := text.Parse(text.Options{Devices: devices}, text.File{Name: "policy.txt", Data: []byte(printed)})
	if len(r.Errors.List) > 0 || len(r.Warnings.List) > 0 {
		t.Fatalf("errors %v, warnings %v", r.Errors, r.Warnings)
	}
	if len(r.DB.Policies) != len(snap.Policies) {
		t.Fatalf("%d policies, want %d", len(r.DB.Policies), len(snap.Policies))
	}
	for i, want := range snap.Policies {
		if !stats { // ip prints neither
			want.Index, want.AddTime, want.UseTime = 0, 0, 0
		}
		if got := r.DB.Policies[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("policy %d:\n got %+v\nwant %+v", i, got, want)
		}
		if !want.Socket && r.PolicyAt(&want).Line == 0 {
			t.Errorf("policy %d: no line", i)
		}
	}
}

// makePolicies makes what the kernel takes of a few hundred random policies.
// Those that it refuses, as a second one with the same selector, do not count.
func makePolicies(ns namespace, rnd *rand.Rand) (made int) {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	for range 300 {
		family := rnd.IntN(2)
		src, dst := pick("fd00::1", "fd00::/64", "::/0", "fd00:1::7/33", "fe80::/10"), pick("fd00::2", "ff02::/16", "::/0", "fd00:2::/48")
		upper := pick("", "proto ipv6-icmp type 135 code 0", "proto ipv6-icmp type 136", "proto ipv6-icmp code 1", "proto tcp sport 22", "proto udp dport 500",
			"proto udp sport 4500 dport 4500", "proto gre key 70000", "proto 135 type 3", "proto sctp dport 7", "proto 253", "proto esp", "proto ipv6-icmp", "proto 4")
		if family == 0 {
			src, dst = pick("10.1.1.1", "10.0.0.0/8", "0.0.0.0/0", "192.0.2.77/25"), pick("10.1.1.2", "0.0.0.0/0", "224.0.0.0/4")
			upper = strings.ReplaceAll(upper, "ipv6-icmp", "icmp")
		}
		args := []string{"xfrm policy add src", src, "dst", dst, pick("", "", "dev ve0", "dev lo"), upper,
			"dir", pick("in", "out", "fwd"), pick("", "", "ptype sub"), pick("", "", "", "action block"),
			pick("", "priority 0", "priority 100", "priority 268927", "priority 2147483648", "priority 4294967295"),
			pick("", "", "", "if_id 7", "if_id 0xfffffffe"), pick("", "", "flag localok", "flag icmp", "flag localok flag icmp"),
			pick("", "", "", "mark 5", "mark 0x10 mask 0xf0", "mark 0xffffffff mask 0xffffffff")}
		args = append(args, templates(family, rnd, pick)...)
		if _, err := ns.try(strings.Join(args, " ")); err == nil {
			made++
		}
	}
	return made
}

func templates(family int, rnd *rand.Rand, pick func(...string) string) (args []string) {
	ends := []string{"src fd00::1 dst fd00::2", "src 198.51.100.1 dst 198.51.100.2"}
	if family == 0 {
		ends[0], ends[1] = ends[1], ends[0]
	}
	for range rnd.IntN(3) {
		args = append(args, "tmpl", pick(
			"proto "+pick("esp", "ah", "comp")+" mode transport",
			ends[0]+" proto "+pick("esp", "ah")+" mode transport",
			ends[rnd.IntN(2)]+" proto esp "+pick("", "spi 0x1234")+" mode tunnel",
			ends[0]+" proto esp mode beet",
		), pick("", "reqid 1", "reqid 16385"), pick("", "", "level use", "level required"))
	}
	return args
}

// TestIntegrationStatesReadAsNetlinkGivesThem does the same with the only SAs
// that a kernel without ESP makes: reserved ones.
func TestIntegrationStatesReadAsNetlinkGivesThem(t *testing.T) {
	ns := newNamespace(t)
	for _, args := range []string{
		"src fd00::1 dst fd00::2 proto esp mode tunnel reqid 7 min 0x1000 max 0x1000",
		"src 10.1.1.1 dst 10.1.1.2 proto ah seq 12 mark 5 mask 0xff min 0x2000 max 0x3000",
		"src fd00::3 dst fd00::4 proto comp min 0x100 max 0x200",
	} {
		ns.ip("xfrm state allocspi " + args)
	}
	snap := ns.snapshot()
	for _, command := range []string{"-s xfrm state", "xfrm state", "-d -s xfrm state list", "-o -s xfrm state", "-s xfrm state list nokeys"} {
		r := text.Parse(text.Options{}, text.File{Name: "state.txt", Data: []byte(ns.ip(command))})
		if len(r.Errors.List) > 0 || len(r.DB.SAs) != len(snap.SAs) || len(snap.SAs) != 3 {
			t.Fatalf("%s: %d SAs of %d, errors %v", command, len(r.DB.SAs), len(snap.SAs), r.Errors)
		}
		for i, want := range snap.SAs {
			if !strings.Contains(command, "-s ") {
				want.Seq, want.Limits, want.Used = 0, spd.Lifetime{}, spd.Usage{}
			}
			got := r.DB.SAs[i]
			// The kernel leaves the family of such a selector open, and ip takes
			// the SA's (__find_acq_core, xfrm_selector_print).
			if !got.Selector.Src.IsSingleIP() || got.Selector.Src.Addr() != want.Src || got.Selector.Dst.Addr() != want.Dst {
				t.Errorf("%s: SA %d: selector %s", command, i, got.Selector)
			}
			got.Selector = want.Selector
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: SA %d:\n got %+v\nwant %+v", command, i, got, want)
			}
		}
	}
}
