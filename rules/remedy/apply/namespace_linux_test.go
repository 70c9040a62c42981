package apply

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/rules/remedy"
)

var _ interface {
	Kernel
	Prober
} = (*kernel.Handle)(nil)

var namespaces atomic.Int32

// testNS is a network namespace of one test, on the running kernel.
type testNS struct {
	t    *testing.T
	name string
	*kernel.Handle
}

func newNS(t *testing.T) *testNS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("iproute2 is not installed")
	}
	name := fmt.Sprintf("ipsecdiag-fix-%d-%d", os.Getpid(), namespaces.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	return &testNS{t, name, kernel.NewHandle(kernel.Options{Netns: name})}
}

// policies is what `ip xfrm policy` prints.
func (ns *testNS) policies() string {
	ns.t.Helper()
	out, err := exec.Command("ip", "-n", ns.name, "xfrm", "policy").CombinedOutput()
	if err != nil {
		ns.t.Fatalf("ip xfrm policy: %v: %s", err, out)
	}
	return string(out)
}

// fill replaces all policies by those of an ip batch.
func (ns *testNS) fill(batch string) {
	ns.t.Helper()
	cmd := exec.Command("ip", "-n", ns.name, "-force", "-batch", "-") // -force: one of a set may be there twice
	cmd.Stdin = strings.NewReader("xfrm policy flush\nxfrm policy flush ptype sub\n" + batch)
	cmd.CombinedOutput()
}

func (ns *testNS) state() *analyze.KernelState {
	ns.t.Helper()
	s, err := ns.Snapshot(ns.t.Context())
	if err != nil {
		ns.t.Fatal(err)
	}
	return &s.KernelState
}

// journal is a new one, of this boot.
func (ns *testNS) journal() *Journal {
	ns.t.Helper()
	boot, _, err := ns.Place()
	if err != nil {
		ns.t.Fatal(err)
	}
	return OpenJournal(filepath.Join(fastDir(ns.t), "journal"), boot)
}

// randomSets is how many random sets are tried. Fewer do where the machine is
// emulated.
var randomSets = flag.Int("fix-sets", 200, "random sets of policies and SAs")

// randomPolicies is an ip batch of up to a dozen policies that overlap and tie.
func randomPolicies(r *rand.Rand) string {
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	var b strings.Builder
	for range r.IntN(13) {
		from := pick("fd00::1/128", "fd00::2/128", "fd00::/64", "fe80::/10", "::/0")
		to := pick("fd00::1/128", "fd00::2/128", "fd00::/64", "ff02::/16", "::/0")
		if r.IntN(6) == 0 {
			from, to = pick("10.0.0.1/32", "0.0.0.0/0"), pick("10.0.0.2/32", "10.0.0.0/8")
		}
		fmt.Fprintf(&b, "xfrm policy add src %s dst %s", from, to)
		if strings.Contains(to, ":") && r.IntN(4) == 0 {
			fmt.Fprintf(&b, " proto ipv6-icmp type %s", pick("128", "135", "136"))
		}
		b.WriteString(" dir " + pick("in", "out", "fwd"))
		b.WriteString(pick("", "", "", "", " mark 1 mask 1", " if_id 3"))
		b.WriteString(pick("", "", "", "", "", " ptype sub"))
		b.WriteString(pick("", "", " priority 1", " priority 2", " priority 100", " priority 100", " priority 268928", " priority 4294967295"))
		b.WriteString(pick("", " action block", " tmpl proto esp mode transport", " tmpl proto esp reqid 7 mode transport",
			" tmpl proto esp mode transport level use", " tmpl proto esp mode transport tmpl proto ah mode transport"))
		b.WriteByte('\n')
	}
	return b.String()
}

// randomPlan replaces some policies by the same ones at other numbers, and adds
// one: whatever sense it makes, it must be taken back.
func randomPlan(r *rand.Rand, k *analyze.KernelState) remedy.Plan {
	plan := remedy.Plan{Action: remedy.ActionNDBypass, Title: "something at random"}
	for i := range k.Policies {
		former := k.Policies[i]
		plan.Order = append(plan.Order, remedy.NameOf(&former))
		if r.IntN(3) == 0 {
			other := former
			other.Priority = uint32(r.IntN(200))
			plan.Steps = append(plan.Steps, remedy.Step{Op: remedy.ReplacePolicy, Policy: &other, FormerPolicy: &former})
		}
	}
	added := testPolicy(spd.Out, 50, 99)
	plan.Steps = append(plan.Steps, remedy.Step{Op: remedy.AddPolicy, Policy: &added})
	r.Shuffle(len(plan.Steps), func(i, j int) { plan.Steps[i], plan.Steps[j] = plan.Steps[j], plan.Steps[i] })
	return plan
}

// TestIntegrationRandomPolicySetsComeBack applies to each set the bypass or
// something at random, and takes it back: ip must not see a difference, neither
// in content nor in order.
func TestIntegrationRandomPolicySetsComeBack(t *testing.T) {
	ns := newNS(t)
	j := ns.journal()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	planned, replaced := 0, 0
	for set := range *randomSets {
		batch := randomPolicies(r)
		ns.fill(batch)
		before := ns.policies()
		plan, err := remedy.NDBypass(ns.state(), remedy.NDOptions{AllND: r.IntN(3) == 0})
		if planned++; err != nil || plan.Empty() || r.IntN(3) == 0 {
			planned--
			plan = randomPlan(r, ns.state())
		}
		if len(plan.Order) > 0 {
			replaced++
		}
		e, err := j.Apply(t.Context(), ns, plan, Options{})
		if err != nil {
			t.Fatalf("seed %d, set %d:\n%s%v", seed, set, batch, err)
		}
		if ns.policies() == before {
			t.Errorf("seed %d, set %d: nothing was changed by %v", seed, set, remedy.Commands(plan.Steps))
		}
		report, err := j.Undo(t.Context(), ns, e.ID)
		if after := ns.policies(); err != nil || report.Left != nil || after != before {
			t.Fatalf("seed %d, set %d:\n%s%v\n%v, %q\nbefore:\n%s\nafter:\n%s", seed, set, batch,
				strings.Join(remedy.Commands(plan.Steps), "\n"), err, report.Left, before, after)
		}
	}
	t.Logf("seed %d: of %d sets %d had a bypass planned, %d had policies replaced", seed, *randomSets, planned, replaced)
	if planned < *randomSets/8 || replaced < *randomSets/8 {
		t.Errorf("seed %d: the sets show too little: %d planned, %d replaced", seed, planned, replaced)
	}
}

// randomSAs is an ip batch of SAs of some pairs, with keys.
func randomSAs(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("xfrm state flush\n")
	for i := range r.IntN(8) {
		fmt.Fprintf(&b, "xfrm state add src fd00::%d dst fd00::%d proto esp spi %#x reqid %d mode transport enc cbc(aes) 0x%032x auth hmac(sha1) 0x%040x\n",
			1+r.IntN(3), 1+r.IntN(3), 0x100+i, r.IntN(3), r.Uint64(), r.Uint64())
	}
	return b.String()
}

// withESP gives it fd00::1, and skips the test where the kernel has no ESP.
func (ns *testNS) withESP() *testNS {
	ns.t.Helper()
	if out, err := exec.Command("ip", "-n", ns.name, "addr", "add", "fd00::1/64", "dev", "lo", "nodad").CombinedOutput(); err != nil {
		ns.t.Fatalf("%v: %s", err, out)
	}
	probe := "xfrm state add src fd00::1 dst fd00::3 proto esp spi 0x999 enc cbc(aes) 0x" + strings.Repeat("0", 32) + " auth hmac(sha1) 0x" + strings.Repeat("0", 40)
	if out, err := exec.Command("ip", append([]string{"-n", ns.name}, strings.Fields(probe)...)...).CombinedOutput(); err != nil {
		ns.t.Skipf("this kernel has no ESP (%s); the lab runs it", strings.TrimSpace(string(out)))
	}
	return ns
}

// states is what ip prints of the SAs, keys and all. It must not be shown.
func (ns *testNS) states() string {
	ns.t.Helper()
	out, err := exec.Command("ip", "-n", ns.name, "xfrm", "state").Output()
	if err != nil {
		ns.t.Fatal(err)
	}
	return string(out)
}

// TestIntegrationRandomSASetsComeBack makes SAs and policies for a pair among
// random ones, and takes them back.
func TestIntegrationRandomSASetsComeBack(t *testing.T) {
	ns := newNS(t).withESP()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	j, planned := ns.journal(), 0
	for set := range *randomSets {
		batch := randomPolicies(r)
		ns.fill(batch + randomSAs(r))
		policies, states := ns.policies(), ns.states()
		o := remedy.ManualOptions{Local: netip.MustParseAddr("fd00::1"), Peer: netip.MustParseAddr("fd00::2"), AH: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			o.Mode = spd.Tunnel
		}
		plan, keys, err := remedy.BringUp(ns.state(), o, crand.Reader)
		if err != nil || plan.Empty() {
			continue
		}
		planned++
		e, err := j.Apply(t.Context(), ns, plan, Options{Keys: keys})
		if err != nil {
			t.Fatalf("seed %d, set %d:\n%s%v", seed, set, batch, err)
		}
		if n := strings.Count(ns.states(), "spi"); n < strings.Count(states, "spi")+2 {
			t.Errorf("seed %d, set %d: %d SAs", seed, set, n)
		}
		report, err := j.Undo(t.Context(), ns, e.ID)
		if after := ns.policies(); err != nil || report.Left != nil || after != policies || ns.states() != states {
			t.Fatalf("seed %d, set %d:\n%s%v\n%v, %q, SAs are the same: %v\nbefore:\n%s\nafter:\n%s", seed, set, batch,
				strings.Join(remedy.Commands(plan.Steps), "\n"), err, report.Left, ns.states() == states, policies, after)
		}
	}
	t.Logf("seed %d: %d sets had something planned", seed, planned)
	if planned < *randomSets/8 {
		t.Errorf("seed %d: the sets show too little: %d planned", seed, planned)
	}
}

// deathSet is a set for which the bypass replaces a policy that is older than
// others.
const deathSet = `
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport
xfrm policy add src fd00::2/128 dst fd00::1/128 dir in priority 268928 tmpl proto esp mode transport
xfrm policy add src fd00::/64 dst fd00::/64 dir out priority 300000 action block
xfrm policy add src 10.0.0.1/32 dst 10.0.0.2/32 dir out tmpl proto esp mode transport
`

// TestIntegrationUndoAfterSIGKILL kills a process that applies a plan at every
// boundary in turn: before each record of the journal, and before and after each
// change of the kernel. Another process takes it back, and is killed too, one
// boundary further each time.
func TestIntegrationUndoAfterSIGKILL(t *testing.T) {
	ns := newNS(t)
	ns.fill(deathSet)
	plan, err := remedy.NDBypass(ns.state(), remedy.NDOptions{})
	if err != nil || len(plan.Order) == 0 || len(plan.Steps) < 5 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	ns.killEverywhere(plan)
}

// TestIntegrationUndoOfSAsAfterSIGKILL is the same with SAs, which only a kernel
// with ESP makes.
func TestIntegrationUndoOfSAsAfterSIGKILL(t *testing.T) {
	ns := newNS(t).withESP()
	ns.fill(deathSet)
	plan, _, err := remedy.ManualSA(ns.state(), remedy.ManualOptions{Local: netip.MustParseAddr("fd00::1"), Peer: netip.MustParseAddr("fd00::3")}, crand.Reader)
	if err != nil || len(plan.Steps) != 4 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	ns.killEverywhere(plan)
}

func (ns *testNS) killEverywhere(plan remedy.Plan) {
	ns.t.Helper()
	policies, states := ns.policies(), ns.states()
	for n := 1; ; n++ {
		j := ns.journal()
		applied := ns.child(j, "apply", n, plan)
		undone := !ns.began(j) || ns.child(j, "undo", n, plan)
		if ns.began(j) {
			if _, err := j.Undo(ns.t.Context(), ns, 1); err != nil && !errors.Is(err, ErrUndone) {
				ns.t.Errorf("boundary %d: %v", n, err)
			}
		}
		if after := ns.policies(); after != policies || ns.states() != states {
			ns.t.Fatalf("boundary %d: before\n%s\nafter\n%s\nSAs are the same: %v", n, policies, after, ns.states() == states)
		}
		if applied && undone {
			if n < 3*len(plan.Steps) {
				ns.t.Errorf("only %d boundaries for %d steps", n, len(plan.Steps))
			}
			ns.t.Logf("killed at %d boundaries", n-1)
			return
		}
	}
}

// began reports whether anything was written of an application.
func (ns *testNS) began(j *Journal) bool {
	_, err := j.Get(1)
	return err == nil
}

// child runs this test program to apply the plan or to undo it, killed at its
// n-th boundary. It reports whether it came to its end.
func (ns *testNS) child(j *Journal, what string, n int, plan remedy.Plan) (ended bool) {
	ns.t.Helper()
	b, err := json.Marshal(plan)
	if err != nil {
		ns.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "IPSECDIAG_TEST_CHILD="+what, "NETNS="+ns.name, "JOURNAL="+j.dir, "KILL_AT="+strconv.Itoa(n))
	cmd.Stdin = strings.NewReader(string(b))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return false
	}
	ns.t.Fatalf("%s, to be killed at %d: %v\n%s", what, n, err, out)
	return false
}

// TestChild is no test but what child runs.
func TestChild(t *testing.T) {
	what := os.Getenv("IPSECDIAG_TEST_CHILD")
	if what == "" {
		t.Skip("only run by killEverywhere")
	}
	at, err := strconv.Atoi(os.Getenv("KILL_AT"))
	if err != nil {
		t.Fatal(err)
	}
	boundary := func() {
		if at--; at == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	k := &mortalKernel{kernel.NewHandle(kernel.Options{Netns: os.Getenv("NETNS")}), boundary}
	boot, _, err := k.Place()
	if err != nil {
		t.Fatal(err)
	}
	j := OpenJournal(os.Getenv("JOURNAL"), boot)
	j.now = func() time.Time { boundary(); return time.Now().UTC() }
	if what == "undo" {
		_, err = j.Undo(t.Context(), k, 1)
	} else {
		var plan remedy.Plan
		if err := json.NewDecoder(os.Stdin).Decode(&plan); err != nil {
			t.Fatal(err)
		}
		_, err = j.Apply(t.Context(), k, plan, Options{Keys: zeroKeys(&plan)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// zeroKeys are keys for the SAs of a plan that protect nothing.
func zeroKeys(plan *remedy.Plan) remedy.Keyring {
	keys := remedy.Keyring{}
	for _, s := range plan.Steps {
		if s.Op == remedy.AddSA {
			keys[s.Keys.Enc] = secret.New(make([]byte, s.SA.Enc.KeyBits/8))
			keys[s.Keys.Auth] = secret.New(make([]byte, s.SA.Auth.KeyBits/8))
		}
	}
	return keys
}

// mortalKernel is a kernel before and after whose changes one may die.
type mortalKernel struct {
	*kernel.Handle
	boundary func()
}

func (k *mortalKernel) AddPolicy(ctx context.Context, p spd.Policy) error {
	k.boundary()
	defer k.boundary()
	return k.Handle.AddPolicy(ctx, p)
}

func (k *mortalKernel) ReplacePolicy(ctx context.Context, p spd.Policy) error {
	k.boundary()
	defer k.boundary()
	return k.Handle.ReplacePolicy(ctx, p)
}

func (k *mortalKernel) DeletePolicy(ctx context.Context, p spd.Policy) error {
	k.boundary()
	defer k.boundary()
	return k.Handle.DeletePolicy(ctx, p)
}

func (k *mortalKernel) AddSA(ctx context.Context, sa spd.SA, enc, auth []byte) error {
	k.boundary()
	defer k.boundary()
	return k.Handle.AddSA(ctx, sa, enc, auth)
}

func (k *mortalKernel) DeleteSA(ctx context.Context, sa spd.SA) error {
	k.boundary()
	defer k.boundary()
	return k.Handle.DeleteSA(ctx, sa)
}
