package remedy

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

var (
	glass  = netip.MustParseAddr("fd00::1")
	teapot = netip.MustParseAddr("fd00::2")
)

func hostPolicy(dir spd.Direction, priority uint32) spd.Policy {
	s := spd.Selector{Src: netip.PrefixFrom(glass, 128), Dst: netip.PrefixFrom(teapot, 128), Family: spd.IPv6}
	if dir != spd.Out {
		s.Src, s.Dst = s.Dst, s.Src
	}
	return spd.Policy{
		Selector: s, Direction: dir, Priority: priority,
		Templates: []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, ReqID: 7}},
	}
}

// allSteps is one step of each kind that a plan may hold.
func allSteps() []Step {
	p, worse, bypass := hostPolicy(spd.Out, 0), hostPolicy(spd.Out, 1000), hostPolicy(spd.In, 100)
	bypass.Templates, bypass.Selector.Proto = nil, spd.ProtoICMPv6
	bypass.Selector.SrcPort, bypass.Selector.SrcPortMask = spd.NeighborSolicitation, 0xffff
	sa := spd.SA{
		Src: glass, Dst: teapot, SPI: 0x1000, Proto: spd.ProtoESP, ReqID: 7, Family: spd.IPv6,
		Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 256}, Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128},
	}
	return []Step{
		{Op: ReplacePolicy, Policy: &worse, FormerPolicy: &p},
		{Op: AddPolicy, Policy: &bypass, Why: "neighbour solicitations pass"},
		{Op: DeletePolicy, Policy: &p},
		{Op: AddSA, SA: &sa, Keys: &SAKeys{Enc: "esp-0x00001000-enc", Auth: "esp-0x00001000-auth"}},
		{Op: SetNeighbour, Device: "eth0", Neighbour: &analyze.Neighbor{Addr: teapot, IfIndex: 2, LinkAddr: "02:00:00:00:00:02", State: "PERMANENT"}},
		{Op: SetSysctl, Sysctl: &Sysctl{Name: "net.core.xfrm_larval_drop", Value: "0", Former: "1"}},
	}
}

func TestStepsSurviveTheJournal(t *testing.T) {
	plan := Plan{Action: ActionBringUp, Title: "x", Steps: allSteps(), Order: []PolicyName{NameOf(allSteps()[0].Policy)}}
	b, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plan, back) {
		t.Errorf("written\n%+v\nread\n%+v", plan, back)
	}
	for _, name := range []string{`"op":"replace-policy"`, `"former_policy":{`, `"keys":{"enc":"esp-0x00001000-enc"`, `"neighbour":{`, `"sysctl":{`} {
		if !strings.Contains(string(b), name) {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
}

func TestCommandsAreThoseOfIPWithTheKeysMasked(t *testing.T) {
	want := []string{
		"ip xfrm policy update src fd00::1/128 dst fd00::2/128 dir out priority 1000 tmpl proto esp reqid 7 mode transport",
		"ip xfrm policy add src fd00::2/128 dst fd00::1/128 proto ipv6-icmp type 135 dir in priority 100",
		"ip xfrm policy delete src fd00::1/128 dst fd00::2/128 dir out",
		"ip xfrm state add src fd00::1 dst fd00::2 proto esp spi 0x00001000 reqid 7 mode transport enc 'cbc(aes)' <secret> auth-trunc 'hmac(sha256)' <secret> 128",
		"ip neigh replace fd00::2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent",
		"sysctl -w net.core.xfrm_larval_drop=0",
	}
	if got := Commands(allSteps()); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheInverseOfTheInverseIsTheStep(t *testing.T) {
	for _, s := range allSteps() {
		inv := s.Inverse()
		if s.Op == AddSA {
			if inv.Op != DeleteSA || inv.Keys != nil {
				t.Errorf("inverse of adding an SA: %+v", inv)
			}
			continue
		}
		back := inv.Inverse()
		back.Why = s.Why
		if s.Op != SetNeighbour && !reflect.DeepEqual(back, s) {
			t.Errorf("%s twice inverted:\n%+v\nwas\n%+v", s.Op, back, s)
		}
		if s.Op == SetNeighbour && inv.Op != DelNeighbour {
			t.Errorf("an entry that replaces none is taken back by %s", inv.Op)
		}
	}
}

func TestModelRefusesWhatTheKernelRefuses(t *testing.T) {
	p := hostPolicy(spd.Out, 10)
	for name, steps := range map[string][]Step{
		"exists":     {{Op: AddPolicy, Policy: &p}, {Op: AddPolicy, Policy: &p}},
		"none":       {{Op: DeletePolicy, Policy: &p}},
		"SA exists":  {allSteps()[3], allSteps()[3]},
		"SA is none": {allSteps()[3].Inverse()},
	} {
		if err := Model(new(spd.Database), steps); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRestoreMovesAsFewPoliciesAsPossible(t *testing.T) {
	var db spd.Database
	var order []PolicyName
	for i := range 5 {
		p := hostPolicy(spd.Out, 0)
		p.IfID = uint32(i)
		db.PutPolicy(p)
		order = append(order, NameOf(&p))
	}
	if steps := Restore(&db, order, nil); steps != nil {
		t.Errorf("nothing is out of order: %d steps", len(steps))
	}
	db.PutPolicy(db.Policies[2]) // 0 1 3 4 2
	steps := Restore(&db, order, nil)
	if err := Model(&db, steps); err != nil || len(steps) != 2 {
		t.Errorf("%d steps, %v; want 2", len(steps), err)
	}
	for i := range db.Policies {
		if NameOf(&db.Policies[i]) != order[i] {
			t.Errorf("%d is not in its place", i)
		}
	}
}
