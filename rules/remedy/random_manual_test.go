package remedy

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// sas adds SAs of all sorts, some of them the pair's.
func (g gen) sas(k *analyze.KernelState) {
	db := spd.Database{Policies: k.Policies}
	for range g.IntN(6) {
		s := spd.SA{
			Src: pick(g, teapot, glass), Dst: pick(g, glass, teapot), SPI: uint32(pick(g, 0x1000, 0x2000, 0x3000)), Proto: pick[uint8](g, spd.ProtoESP, spd.ProtoAH),
			ReqID: uint32(g.IntN(3)), Family: spd.IPv6, Auth: &spd.Algorithm{Name: "hmac(sha1)", KeyBits: 160, ICVBits: 96},
		}
		if s.Proto == spd.ProtoESP {
			s.Enc = &spd.Algorithm{Name: "cbc(aes)", KeyBits: 128}
		}
		if g.IntN(4) == 0 {
			s.Limits.HardAdd = 3600
		}
		if !slices.ContainsFunc(db.SAs, func(o spd.SA) bool { return o.Key() == s.Key() }) {
			db.SAs = append(db.SAs, s)
		}
	}
	k.SAs = db.SAs
}

// pairPolicies adds policies of the pair itself now and then.
func (g gen) pairPolicies(k *analyze.KernelState) {
	for _, dir := range []spd.Direction{spd.Out, spd.In} {
		p := hostPolicy(dir, pick[uint32](g, 0, 7, 1000))
		p.Templates[0].ReqID = uint32(g.IntN(3))
		if g.IntN(4) == 0 && findPolicy(&spd.Database{Policies: k.Policies}, p.Identity()) == nil {
			k.Policies = append(k.Policies, p)
		}
	}
}

// TestBringUpOfRandomDatabases holds, for whatever stands already: the plan is
// refused, or the SAs carry the pair's packets and neighbour discovery passes;
// nothing that was protected is clear after any step, but what is to be; and the
// inverse gives content and order as they were.
func TestBringUpOfRandomDatabases(t *testing.T) {
	seed := rand.Uint64()
	g := gen{rand.New(rand.NewPCG(seed, 6))}
	planned, refused := 0, map[Reason]int{}
	for range 2 * randomSets {
		k := g.kernel()
		g.sas(k)
		g.pairPolicies(k)
		o := pairOptions
		o.AH, o.Mode = g.IntN(3) == 0, pick(g, spd.Transport, spd.Tunnel)
		plan, ring, err := BringUp(k, o, dice())
		var r *Refusal
		if errors.As(err, &r) {
			refused[r.Reason]++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		planned++
		keysFit(t, plan, ring)
		brings(t, k, o, &plan)
		if t.Failed() {
			t.Fatalf("seed %d, options %+v\npolicies\n%s\nSAs %v\nplan\n%q", seed, o, policyLines(k.Policies), k.SAs, Commands(plan.Steps))
		}
	}
	t.Logf("seed %d: %d planned, refused %v", seed, planned, refused)
	if planned < randomSets/2 || len(refused) < 3 {
		t.Errorf("the sets are too tame")
	}
}

// brings applies a plan step by step and checks what it promises.
func brings(t *testing.T, k *analyze.KernelState, o ManualOptions, plan *Plan) {
	t.Helper()
	h := newHost(k)
	m := &manual{host: h, o: o}
	db := h.clone()
	was := map[spd.Direction]bool{}
	for _, s := range m.sides() {
		was[s.dir] = h.db.Lookup(s.dir, m.flows(s)[0]).Decision != spd.Clear
	}
	for i := range plan.Steps {
		if err := Model(&db, plan.Steps[i:i+1]); err != nil {
			t.Fatal(err)
		}
		for _, s := range m.sides() {
			is := db.Lookup(s.dir, m.flows(s)[0]).Decision != spd.Clear
			if was[s.dir] && !is {
				t.Errorf("after step %d %s %s passes in the clear", i+1, s.dir, s.src)
			}
			was[s.dir] = is
		}
	}
	for _, s := range m.sides() {
		for _, f := range m.flows(s) {
			if v := db.Lookup(s.dir, f); v.Decision != spd.Protect || v.Dies() {
				t.Errorf("%s %s → %s: %s", s.dir, f.Src, f.Dst, v.Decision)
			}
		}
	}
	for _, c := range h.caught(&db, NDOptions{Peers: []netip.Addr{o.Peer}}) {
		t.Errorf("%s", &c)
	}
	takenBack(t, k, *plan, &db)
}
