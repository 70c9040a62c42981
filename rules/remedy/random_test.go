package remedy

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// randomSets is how many sets of policies the properties are tried on.
const randomSets = 250

// gen makes policies among which priority 0, ties and selectors that overlap
// are common.
type gen struct{ *rand.Rand }

func pick[T any](g gen, of ...T) T { return of[g.IntN(len(of))] }

func (g gen) prefix() netip.Prefix {
	return netip.MustParsePrefix(pick(g, "::/0", "::/0", "fd00::/64", "fd00::1/128", "fd00::2/128", "fd00::3/128", "fe80::/10",
		"ff02::/16", "ff02::1:ff00:0/104", "fd00::/126", "2001:db8::/32"))
}

func (g gen) policy() spd.Policy {
	p := spd.Policy{
		Direction: pick(g, spd.In, spd.Out, spd.Out, spd.Fwd), Action: pick(g, spd.Allow, spd.Allow, spd.Allow, spd.Block),
		Priority: pick[uint32](g, 0, 0, 0, 1, 2, 3, 4, 50, 99, 100, 101, 1000, 1001, 268928, 0x80000000),
		Selector: spd.Selector{Src: g.prefix(), Dst: g.prefix(), Family: spd.IPv6, Proto: pick[uint8](g, 0, 0, 58, 58, 17)},
	}
	if g.IntN(8) == 0 {
		p.Type = spd.Sub
	}
	if g.IntN(10) == 0 {
		p.Mark = spd.Mark{Value: uint32(g.IntN(2)), Mask: 1}
	}
	if g.IntN(12) == 0 {
		p.IfID = uint32(g.IntN(3))
	}
	if p.Selector.Proto == spd.ProtoICMPv6 {
		p.Selector.SrcPort, p.Selector.SrcPortMask = pick[uint16](g, 135, 136, 128), 0xffff
		p.Selector.DstPortMask = pick[uint16](g, 0, 0, 0xffff)
	}
	if p.Action == spd.Allow && g.IntN(3) > 0 {
		p.Templates = []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: uint32(g.IntN(3)), Optional: g.IntN(6) == 0}}
	}
	return p
}

func (g gen) kernel() *analyze.KernelState {
	var db spd.Database
	for range g.IntN(14) {
		if p := g.policy(); findPolicy(&db, p.Identity()) == nil {
			p.Index = uint32(len(db.Policies) + 1)
			db.PutPolicy(p)
		}
	}
	k := kernelOf(db.Policies...)
	switch g.IntN(4) {
	case 0:
		k.Listeners = []analyze.Listener{listener(pick(g, "charon-systemd", "pluto", "iked"))}
	case 1:
		k.Sysctls = map[string]string{"net.ipv6.conf.all.proxy_ndp": "1"}
	}
	return k
}

func (g gen) options() NDOptions {
	o := NDOptions{AllND: g.IntN(5) == 0, AllICMPv6: g.IntN(8) == 0}
	for range g.IntN(3) {
		o.Peers = append(o.Peers, pick(g, teapot, netip.MustParseAddr("fd00::3"), netip.MustParseAddr("fe80::2")))
	}
	return o
}

// TestNDBypassOfRandomPolicies holds, for whatever stands already: after the
// plan neighbour discovery passes, a second plan is empty, what else was decided
// is decided as before, and the inverse gives content and order as they were; or
// the plan is refused because a daemon owns what is in the way.
func TestNDBypassOfRandomPolicies(t *testing.T) {
	seed := rand.Uint64()
	g := gen{rand.New(rand.NewPCG(seed, 4))}
	planned, replaced, refused := 0, 0, 0
	for range randomSets {
		k, o := g.kernel(), g.options()
		plan, err := NDBypass(k, o)
		var r *Refusal
		if errors.As(err, &r) && r.Reason == DaemonOwns && len(k.Listeners) > 0 {
			refused++
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, policyLines(k.Policies))
		}
		holds(t, k, o, plan)
		othersDecidedAsBefore(t, g, k, o, plan)
		if t.Failed() {
			t.Fatalf("seed %d, options %+v\npolicies\n%s\nplan\n%s", seed, o, policyLines(k.Policies), Commands(plan.Steps))
		}
		planned++
		if len(plan.Order) > 0 {
			replaced++
		}
	}
	t.Logf("seed %d: %d planned, %d of them with replacements; %d refused", seed, planned, replaced, refused)
	if planned < randomSets/2 || replaced < randomSets/10 {
		t.Errorf("the sets are too tame")
	}
}

// othersDecidedAsBefore asks for random packets that are not to pass, after
// every step: no step may let one leave in the clear that was protected.
func othersDecidedAsBefore(t *testing.T, g gen, k *analyze.KernelState, o NDOptions, plan Plan) {
	t.Helper()
	before := newHost(k)
	var flows []spd.Flow
	for range 20 {
		f := spd.Flow{Src: g.prefix().Addr(), Dst: g.prefix().Addr(), Proto: pick[uint8](g, 17, 58, 6), Mark: uint32(g.IntN(2))}
		if f.Proto == spd.ProtoICMPv6 {
			f.SrcPort = pick[uint16](g, 128, 135, 136)
		}
		flows = append(flows, f)
	}
	db := before.clone()
	for i := range plan.Steps {
		if err := Model(&db, plan.Steps[i:i+1]); err != nil {
			t.Fatal(err)
		}
		for _, f := range flows {
			for _, dir := range []spd.Direction{spd.In, spd.Out, spd.Fwd} {
				was, is := before.db.Lookup(dir, f), db.Lookup(dir, f)
				if !chosen(o, before, dir, f) && (was.Decision != is.Decision || !sameWinners(was.Policies, is.Policies)) {
					t.Errorf("after step %d: %s %v: %s by %v, was %s by %v", i+1, dir, f, is.Decision, is.Policies, was.Decision, was.Policies)
				}
			}
		}
	}
}

// chosen reports whether a packet is to pass. What a sub policy let be forwarded
// is asked of the inbound policies.
func chosen(o NDOptions, h *host, dir spd.Direction, f spd.Flow) bool {
	for _, w := range o.wants(h.proxies()) {
		if (w.dir == dir || w.dir == spd.In && dir == spd.Fwd) && w.sel.Matches(f) {
			return true
		}
	}
	return false
}

func sameWinners(a, b []*spd.Policy) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Identity() != b[i].Identity() {
			return false
		}
	}
	return true
}
