package rules

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

var (
	epoch  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	glass  = netip.MustParseAddr("fd00::1")
	teapot = netip.MustParseAddr("fd00::2")
)

// at returns the header of an event that host saw so long after the start.
func at(host string, d time.Duration) analyze.Header {
	return analyze.Header{Time: epoch.Add(d), Mono: d, Origin: analyze.Origin{Host: host}}
}

// touch makes an event that brings the pair under judgement: a packet of ESP.
func touch(host string, d time.Duration) analyze.Event {
	return &analyze.Flow{Header: at(host, d), Packets: 1, Key: analyze.FlowKey{Src: glass, Dst: teapot, Proto: 50, SPI: 0x100}}
}

func tick(d time.Duration) analyze.Event { return &analyze.Tick{Header: at("", d)} }

// scripted returns a rule that does what the script says for each host and
// second of event time.
func scripted(id string, script func(p *Pass, host string, second int)) *Rule {
	return &Rule{ID: id, Severity: Error, Title: id, Check: func(p *Pass) {
		script(p, p.Host.Origin.Host, int(p.Now/time.Second))
	}}
}

func claim(p *Pass, c Confidence, text string) {
	f := p.Finding()
	f.Confidence = c
	f.Explanation = text
	f.Evidence = []Evidence{Saw(p.State.Now, "%s", text)}
	p.Report(f)
}

// outputs runs an engine over whole seconds and renders what it says.
func outputs(e *Engine, hosts []string, seconds int) []string {
	var out []string
	for i := range seconds {
		d := time.Duration(i) * time.Second
		for _, h := range hosts {
			e.Apply(touch(h, d))
		}
		for _, f := range e.Apply(tick(d + time.Second)) {
			out = append(out, fmt.Sprintf("%d %s %s %s %s", i+1, f.Rule, f.State, f.Confidence, f.ExplainedBy))
		}
	}
	return out
}

func wantOutputs(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("the engine said\n%q, want\n%q", got, want)
	}
}

func TestAFindingIsToldWhenItOpensGrowsCertainAndIsResolved(t *testing.T) {
	r := scripted("r", func(p *Pass, _ string, s int) {
		switch {
		case s >= 2 && s < 4:
			claim(p, Likely, "maybe")
		case s >= 4 && s < 6:
			claim(p, Certain, "surely")
		case s == 7:
			p.ResolvePair(p.State.Now, "over")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	wantOutputs(t, outputs(e, []string{"a"}, 9),
		"2 r open likely ", "4 r open certain ", "7 r resolved certain ")
	f := e.Findings()[0]
	if last := f.Evidence[len(f.Evidence)-1].Text; last != "over" {
		t.Errorf("the last evidence is %q, want what resolved it", last)
	}
	if !f.FirstSeen.Equal(epoch.Add(2*time.Second)) || !f.LastSeen.Equal(epoch.Add(7*time.Second)) {
		t.Errorf("seen from %s to %s", f.FirstSeen, f.LastSeen)
	}
}

func TestAFindingWithoutNewEvidenceGrowsStale(t *testing.T) {
	r := scripted("r", func(p *Pass, _ string, s int) {
		if s == 1 {
			claim(p, Likely, "once")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	seconds := int(staleAfter/time.Second) + 5
	wantOutputs(t, outputs(e, []string{"a"}, seconds),
		"1 r open likely ", fmt.Sprintf("%d r stale likely ", int(staleAfter/time.Second)+2))
}

func TestTwoObserversGiveOneFindingAndTheMoreCertainOneSpeaks(t *testing.T) {
	r := scripted("r", func(p *Pass, host string, s int) {
		switch {
		case host == "a" && s >= 1:
			claim(p, Likely, "a guesses")
		case host == "b" && s >= 3 && s < 5:
			claim(p, Certain, "b knows")
		case host == "b" && s >= 5:
			p.Resolve(p.PairSubject())
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	wantOutputs(t, outputs(e, []string{"a", "b"}, 6), "1 r open likely ", "3 r open certain ", "5 r open likely ")
	got := e.Findings()
	if len(got) != 1 || fmt.Sprint(got[0].Origins) != "[a b]" || got[0].Explanation != "a guesses" {
		t.Errorf("findings: %+v, want one of both observers, in the words of the one for whom it is not over", got)
	}
	if got[0].State != Open {
		t.Errorf("state %s: b's end of it is over, a's is not", got[0].State)
	}
}

func TestACauseExplainsItsEffectOnTheSamePair(t *testing.T) {
	effect := scripted("acquire-stall", func(p *Pass, _ string, s int) { claim(p, Certain, "stalled") })
	cause := scripted("nd-deadlock", func(p *Pass, _ string, s int) {
		if s >= 3 {
			claim(p, Certain, "deadlock")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{effect, cause})
	id := FindingID("nd-deadlock", "fd00::1 ↔ fd00::2")
	wantOutputs(t, outputs(e, []string{"a"}, 4),
		"1 acquire-stall open certain ", "3 acquire-stall open certain "+id, "3 nd-deadlock open certain ")
	got := e.Findings()
	if got[0].Rule != "nd-deadlock" || got[1].Rule != "acquire-stall" || got[1].Counts() || !got[0].Counts() {
		t.Errorf("findings %s, %s: the cause comes first and alone counts", got[0].Rule, got[1].Rule)
	}
}

func TestACauseThatWasOverBeforeExplainsNothing(t *testing.T) {
	cause := scripted("nd-deadlock", func(p *Pass, _ string, s int) {
		if s == 1 {
			claim(p, Certain, "deadlock")
		} else {
			p.Resolve(p.PairSubject())
		}
	})
	effect := scripted("acquire-stall", func(p *Pass, _ string, s int) {
		if s >= 5 {
			claim(p, Certain, "stalled")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{cause, effect})
	outputs(e, []string{"a"}, 6)
	for _, f := range e.Findings() {
		if f.ExplainedBy != "" {
			t.Errorf("%s is explained by %s, which was over before", f.Rule, f.ExplainedBy)
		}
	}
}

func TestADeadlockTakesThePlaceOfASilentNeighbour(t *testing.T) {
	silent := scripted("nd-no-answer", func(p *Pass, _ string, s int) {
		if s == 1 {
			claim(p, Likely, "silence")
		}
	})
	deadlock := scripted("nd-deadlock", func(p *Pass, _ string, s int) {
		if s >= 2 {
			claim(p, Likely, "deadlock")
		}
	})
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{silent, deadlock})
	wantOutputs(t, outputs(e, []string{"a"}, 3),
		"1 nd-no-answer open likely ", "2 nd-no-answer resolved likely ", "2 nd-deadlock open likely ")
	if got := e.Findings(); len(got) != 1 || got[0].Rule != "nd-deadlock" {
		t.Errorf("findings %+v, want the deadlock alone", got)
	}
}

func TestEvidenceIsBoundedAndKeepsBothEnds(t *testing.T) {
	var ev []Evidence
	for i := range 100 {
		ev = append(ev, Evidence{Time: epoch.Add(time.Duration(i) * time.Second)})
	}
	got := orderEvidence(ev)
	if len(got) != maxEvidence || !got[0].Time.Equal(epoch) || !got[maxEvidence-1].Time.Equal(epoch.Add(99*time.Second)) {
		t.Errorf("%d pieces of evidence from %s to %s", len(got), got[0].Time, got[len(got)-1].Time)
	}
}

func TestAHostsKernelDoesNotEndWhatItsWireClaims(t *testing.T) {
	r := scripted("r", func(p *Pass, _ string, s int) { claim(p, Likely, "unanswered") })
	r.CheckHost = func(p *Pass) { p.Resolve("fd00::1 ↔ fd00::2") }
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.Apply(&analyze.Snapshot{Header: at("a", 0)})
	wantOutputs(t, outputs(e, []string{"a"}, 3), "1 r open likely ")
}
