package rules

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// auditing returns a rule that claims every policy of the host with an odd
// priority, and counts how often it is asked.
func auditing(asked *int) *Rule {
	return &Rule{ID: "odd-priority", Severity: Warning, Title: "odd", Needs: []string{analyze.PartPolicies}, Audit: func(p *Pass) {
		*asked++
		for i := range p.Host.DB.Policies {
			if q := &p.Host.DB.Policies[i]; q.Priority%2 == 1 {
				p.Report(p.PolicyFinding(q))
			}
		}
	}}
}

func policy(priority uint32, dir spd.Direction) spd.Policy {
	return spd.Policy{Selector: spd.Selector{Family: spd.IPv6}, Direction: dir, Priority: priority, Index: priority}
}

func snapshot(host string, d time.Duration, policies ...spd.Policy) *analyze.Snapshot {
	return &analyze.Snapshot{Header: at(host, d), KernelState: analyze.KernelState{Policies: policies}}
}

// ticks lets whole seconds pass, from and to inclusive, and renders what is said.
func ticks(e *Engine, from, to int) (out []string) {
	for s := from; s <= to; s++ {
		for _, f := range e.Apply(tick(time.Duration(s) * time.Second)) {
			out = append(out, fmt.Sprintf("%d %s %s", s, f.Subject, f.State))
		}
	}
	return out
}

func TestAnAuditIsAskedOnlyWhenSomethingChanged(t *testing.T) {
	asked := 0
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{auditing(&asked)})
	e.Apply(snapshot("a", 0, policy(1, spd.Out)))
	const subject = "policy dir out src invalid Prefix dst invalid Prefix on a"
	wantOutputs(t, ticks(e, 1, 400), "2 "+subject+" open") // and never stale
	if asked != 1 {
		t.Errorf("asked %d times while nothing changed", asked)
	}
	e.Apply(&analyze.PolicyChange{Header: at("a", 400500*time.Millisecond), Change: analyze.Updated, Policy: policy(2, spd.Out)})
	wantOutputs(t, ticks(e, 401, 410), "403 "+subject+" resolved")
	if f := e.Findings()[0]; asked != 2 || f.Evidence[len(f.Evidence)-1].Text != "it is not so any more" {
		t.Errorf("asked %d times, evidence %+v", asked, f.Evidence)
	}
}

func TestAnAuditWaitsUntilItIsQuietButNotForEver(t *testing.T) {
	asked := 0
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{auditing(&asked)})
	e.Apply(snapshot("a", 0))
	for s := 1; s <= 100; s++ {
		e.Apply(&analyze.SAChange{Header: at("a", time.Duration(s)*time.Second-time.Millisecond), Change: analyze.Added})
		ticks(e, s, s)
		if want := s / 31; asked > want || asked < want {
			t.Fatalf("asked %d times in %d s of changes", asked, s)
		}
	}
}

// TestWhatAnAuditFindsMustHaveStood: a daemon may take seconds for the second of two
// policies. A busy kernel does not put it off, and a snapshot says what is there.
func TestWhatAnAuditFindsMustHaveStood(t *testing.T) {
	asked := 0
	r := auditing(&asked)
	r.Stands = 30 * time.Second
	const subject = "policy dir out src invalid Prefix dst invalid Prefix on a"
	change := func(e *Engine, s int, priority uint32) {
		e.Apply(&analyze.PolicyChange{Header: at("a", time.Duration(s)*time.Second), Change: analyze.Updated, Policy: policy(priority, spd.Out)})
	}
	for name, tt := range map[string]struct {
		mends, busy int // when
		want        []string
	}{
		"it stays":              {0, 0, []string{"35 " + subject + " open"}},
		"it is soon mended":     {25, 0, nil},
		"it is mended":          {40, 0, []string{"35 " + subject + " open", "42 " + subject + " resolved"}},
		"others come meanwhile": {0, 15, []string{"35 " + subject + " open"}},
	} {
		e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
		e.Apply(snapshot("a", 0))
		var got []string
		for s := 1; s < 60; s++ {
			switch s {
			case 5:
				change(e, s, 1)
			case tt.mends:
				change(e, s, 2)
			case tt.busy:
				e.Apply(&analyze.PolicyChange{Header: at("a", time.Duration(s)*time.Second), Change: analyze.Added, Policy: policy(4, spd.In)})
			}
			got = append(got, ticks(e, s, s)...)
		}
		t.Run(name, func(t *testing.T) { wantOutputs(t, got, tt.want...) })
	}
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.Apply(snapshot("a", 0, policy(1, spd.Out)))
	if len(e.Audit()) != 1 {
		t.Error("a snapshot's is not told at once")
	}
}

func TestAnAuditIsAskedAgainWhenItWants(t *testing.T) {
	asked := 0
	r := auditing(&asked)
	audit := r.Audit
	r.Audit = func(p *Pass) {
		audit(p)
		if asked == 1 {
			p.AskAgain(time.Minute)
		}
	}
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.Apply(snapshot("a", 0))
	ticks(e, 1, 61)
	if asked != 1 {
		t.Errorf("asked %d times before it is time", asked)
	}
	if ticks(e, 62, 300); asked != 2 {
		t.Errorf("asked %d times in all, want 2", asked)
	}
}

func TestAnAuditWithoutWhatItNeedsIsNotAsked(t *testing.T) {
	asked := 0
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{auditing(&asked)})
	blind := snapshot("a", 0, policy(1, spd.Out))
	blind.Missing = []string{"policies: CAP_NET_ADMIN is missing"}
	e.Apply(blind)
	if ticks(e, 1, 10); asked != 0 {
		t.Errorf("asked %d times of what could not be read", asked)
	}
	e.Apply(snapshot("a", 10*time.Second, policy(1, spd.Out)))
	ticks(e, 11, 20)
	again := *blind
	again.Header = at("a", 20*time.Second)
	e.Apply(&again)
	ticks(e, 21, 30)
	if got := e.Findings(); asked != 1 || len(got) != 1 || got[0].State != Stale {
		t.Errorf("asked %d times, findings %+v; want one that is stale", asked, got)
	}
}

// manyPolicies are more than an audit may list.
func manyPolicies() (many []spd.Policy) {
	for i := range uint32(500) {
		q := policy(2*i+1, spd.Out)
		q.IfID = i + 1
		many = append(many, q)
	}
	return many
}

func TestManyFindingsThatHaveNotStoodLongAreNotTold(t *testing.T) {
	asked := 0
	r := auditing(&asked)
	r.Stands = 20 * time.Second
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.Apply(snapshot("a", 0, manyPolicies()...))
	if ticks(e, 1, 15); asked == 0 || len(e.Findings()) != 0 {
		t.Errorf("asked %d times, %d findings; want none so early", asked, len(e.Findings()))
	}
	if ticks(e, 16, 60); len(e.Findings()) != maxAudited {
		t.Errorf("%d findings in the end, want %d", len(e.Findings()), maxAudited)
	}
}

func TestFindingsOfAnAuditAreBounded(t *testing.T) {
	asked := 0
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{auditing(&asked)})
	e.Apply(snapshot("a", 0, manyPolicies()...))
	got := e.Audit()
	if len(got) != maxAudited {
		t.Fatalf("%d findings, want %d", len(got), maxAudited)
	}
	if want := " There are 400 more of this kind on this host; they are not listed."; got[maxAudited-1].Explanation != want {
		t.Errorf("the last one says %q", got[maxAudited-1].Explanation)
	}
}

func TestACauseOnTheSamePairOrHostExplains(t *testing.T) {
	asked := 0
	r := auditing(&asked)
	effect := scripted("acquire-stall", func(p *Pass, _ string, s int) { claim(p, Certain, "stalled") })
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r, effect})
	q := policy(1, spd.Out)
	q.Selector = spd.Selector{Src: host128(glass), Dst: host128(teapot), Family: spd.IPv6}
	q.Templates = []spd.Template{{Proto: spd.ProtoESP, Family: spd.IPv6}}
	e.Apply(snapshot("a", 0, q))
	e.Apply(touch("a", 0))
	ticks(e, 1, 3)
	stall := e.tracks[FindingID("acquire-stall", "fd00::1 ↔ fd00::2")]
	for w, want := range map[within]bool{oneSubject: false, onePair: true, oneHost: true} {
		if got := e.explanation(stall, cause{by: "odd-priority", within: w}); (got != "") != want {
			t.Errorf("within %d it is explained by %q", w, got)
		}
	}
}

func host128(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
