package rules

import (
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// TestOfTooManyFindingsThoseOfStrangersGo holds that a finding about a pair with
// packets under SAs both ways outlives any number about strangers, that new ones are
// taken up all the same, and that what was forgotten is told.
func TestOfTooManyFindingsThoseOfStrangersGo(t *testing.T) {
	r := scripted("r", func(p *Pass, _ string, _ int) { claim(p, Likely, "something") })
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.MaxFindings = 20
	flow := func(src, dst netip.Addr, dir analyze.Direction, d time.Duration) {
		e.Apply(&analyze.Flow{Header: at("a", d), Direction: dir, Packets: 1, Key: analyze.FlowKey{Src: src, Dst: dst, Proto: 50, SPI: 1}})
	}
	flow(glass, teapot, analyze.DirOut, 0)
	flow(teapot, glass, analyze.DirIn, 0)
	stranger := netip.MustParseAddr("fd00::1:0")
	for i := range 100 {
		d := time.Duration(i) * time.Second
		stranger = stranger.Next()
		flow(stranger, glass, analyze.DirIn, d)
		e.Apply(tick(d + time.Second))
	}
	var first, last bool
	findings := e.Findings()
	for _, f := range findings {
		first = first || f.Pair[0] == glass && f.Pair[1] == teapot
		last = last || f.Pair[0] == stranger || f.Pair[1] == stranger
	}
	if len(findings) > 20 || !first || !last {
		t.Errorf("%d findings; that of the pair: %v, the latest: %v", len(findings), first, last)
	}
	if told := e.State.Forgotten(); len(told) != 1 || told[0].Count < 80 || told[0].What != "findings forgotten for lack of room" {
		t.Errorf("told %+v", told)
	}
	if len(e.told) > 20 || len(e.tracks) != len(e.order) {
		t.Errorf("%d pairs told of, %d findings by id, %d in order", len(e.told), len(e.tracks), len(e.order))
	}
}

// TestPairsThatTellNothingAnyMoreAreLetGo holds that of pairs that tell of one finding
// in turn no more are remembered than findings may be followed, and that the last is.
func TestPairsThatTellNothingAnyMoreAreLetGo(t *testing.T) {
	r := scripted("r", func(p *Pass, _ string, _ int) {
		f := p.Finding()
		f.Subject, f.Evidence = "all of them", []Evidence{Saw(p.State.Now, "something")}
		p.Report(f)
	})
	e := NewEngine(analyze.NewState(analyze.Limits{Pairs: 1}), []*Rule{r})
	e.MaxFindings = 20
	stranger := netip.MustParseAddr("fd00::1:0")
	for i := range 200 {
		d := time.Duration(i) * time.Second
		stranger = stranger.Next()
		e.Apply(&analyze.Flow{Header: at("a", d), Packets: 1, Key: analyze.FlowKey{Src: stranger, Dst: glass, Proto: 50, SPI: 1}})
		e.Apply(tick(d + time.Second))
		if len(e.told) > 20 || !e.told[analyze.MakePairKey(stranger, glass)] {
			t.Fatalf("after %d pairs %d are remembered; the last is: %v", i+1, len(e.told), e.told[analyze.MakePairKey(stranger, glass)])
		}
	}
	if len(e.Findings()) != 1 {
		t.Errorf("%d findings, want one", len(e.Findings()))
	}
}
