package remedy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/kernel"
)

// namespace is a network namespace of one test, in which only ip is run.
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
	ns := namespace{t, fmt.Sprintf("ipsecdiag-plan-%d", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", ns.name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns.name).Run() })
	ns.batch("link add ve0 type veth peer name ve1\nlink set ve0 up\nlink set ve1 up\n" +
		"addr add fd00::1/64 dev ve0 nodad\n")
	return ns
}

// batch has ip carry out the lines, and fails where ip refuses one.
func (ns namespace) batch(lines string) {
	ns.t.Helper()
	file := filepath.Join(ns.t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(lines), 0o400); err != nil {
		ns.t.Fatal(err)
	}
	if out, err := exec.Command("ip", "-n", ns.name, "-batch", file).CombinedOutput(); err != nil {
		ns.t.Fatalf("ip -batch: %v: %s\n%s", err, out, lines)
	}
}

func (ns namespace) state() *analyze.KernelState {
	ns.t.Helper()
	s, err := kernel.Snapshot(context.Background(), kernel.Options{Netns: ns.name})
	if err != nil {
		ns.t.Fatal(err)
	}
	return &s.KernelState
}

// TestIntegrationIPTakesTheExports makes random policies in a real kernel, and
// has the real ip apply what is exported and take it back.
func TestIntegrationIPTakesTheExports(t *testing.T) {
	ns := newNamespace(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := gen{rand.New(rand.NewPCG(seed, 5))}
	for range 40 {
		ns.batch("xfrm policy flush\nxfrm policy flush ptype sub\n" + policyBatch(g.kernel().Policies))
		before := ns.state()
		o := g.options()
		plan, err := NDBypass(before, o)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Empty() {
			continue
		}
		files, _ := exported(t, FormatSystemd, SideLocal, &plan, nil)
		for name, content := range files {
			if strings.HasSuffix(name, ".up") {
				ns.batch(content)
			}
		}
		after := ns.state()
		for _, c := range NDCaught(after, o) {
			t.Errorf("seed %d: %s", seed, &c)
		}
		checkStands(t, after, plan)
		for name, content := range files {
			if strings.HasSuffix(name, ".down") {
				ns.batch(content)
			}
		}
		ns.batch(restoreBatch(ns.state(), plan))
		checkSamePolicies(t, before.Policies, ns.state().Policies)
		if t.Failed() {
			t.Fatalf("options %+v\npolicies\n%s\nplan\n%s", o, policyLines(before.Policies), strings.Join(Commands(plan.Steps), "\n"))
		}
	}
}

// policyBatch is what makes these policies, the oldest first.
func policyBatch(policies []spd.Policy) string {
	var b strings.Builder
	for i := range policies {
		s := Step{Op: AddPolicy, Policy: &policies[i]}
		b.WriteString(strings.TrimPrefix(s.Command(), "ip ") + "\n")
	}
	return b.String()
}

func restoreBatch(k *analyze.KernelState, plan Plan) string {
	h := newHost(k)
	var b strings.Builder
	for _, s := range Restore(&h.db, plan.Order, nil) {
		b.WriteString(strings.TrimPrefix(s.Command(), "ip ") + "\n")
	}
	return b.String()
}

// checkStands checks that what ip was told is what the plan means.
func checkStands(t *testing.T, k *analyze.KernelState, plan Plan) {
	t.Helper()
	for _, s := range plan.Steps {
		if !slices.ContainsFunc(k.Policies, func(p spd.Policy) bool { return SamePolicy(&p, s.Policy) }) {
			t.Errorf("the kernel does not have %s", s.Policy)
		}
	}
}

func checkSamePolicies(t *testing.T, before, after []spd.Policy) {
	t.Helper()
	if !slices.EqualFunc(before, after, func(a, b spd.Policy) bool { return SamePolicy(&a, &b) }) {
		t.Errorf("taken back\n%s\nwas\n%s", policyLines(after), policyLines(before))
	}
}

// TestSystemdTakesTheUnits asks the real systemd.
func TestSystemdTakesTheUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not installed")
	}
	bring, ring, err := BringUp(kernelOf(), pairOptions, dice())
	if err != nil {
		t.Fatal(err)
	}
	near, err := Neighbour(kernelOf(), NeighbourOptions{Peer: teapot, LinkAddr: "02:00:00:00:00:0a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, plan := range []Plan{bring, near} {
		files, _ := exported(t, FormatSystemd, SideLocal, &plan, ring)
		for name, content := range files {
			if !strings.HasSuffix(name, ".service") {
				continue
			}
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
			if err != nil || strings.Contains(string(out), name) {
				t.Errorf("%v: %s\n%s", err, out, content)
			}
			broken := strings.Replace(content, "ExecStart=", "ExecStrat=", 1)
			if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err == nil && !strings.Contains(string(out), name) {
				t.Errorf("a broken unit is taken as well: the check says nothing")
			}
		}
	}
}
