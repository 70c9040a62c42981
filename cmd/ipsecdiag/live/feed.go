package live

import (
	"cmp"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
	"ipsecdiag/rules/report/ladder"
)

// maxRows bounds the list. Nobody scrolls through more; a filter cannot reach
// what is beyond, so the view says how many there are.
const maxRows = 10_000

// Feed stands where events are folded, and gives the view what it shows. It is
// not safe for use by several goroutines: whoever folds events and whoever takes
// snapshots must hold one lock.
type Feed struct {
	engine *rules.Engine
	meters *meters
}

// NewFeed returns a feed of what that engine knows.
func NewFeed(engine *rules.Engine) *Feed { return &Feed{engine: engine, meters: newMeters()} }

// Saw is to be called with every event after the engine's Apply.
func (f *Feed) Saw(e analyze.Event) {
	if _, ok := e.(*analyze.Tick); ok {
		f.meters.read(f.engine.State)
	}
}

// Take returns the picture as it is now, with the ladder of one pair unless that
// is zero.
func (f *Feed) Take(focus analyze.PairKey) *Snapshot {
	state := f.engine.State
	s := &Snapshot{
		Now: state.Now.Time.UTC(), Elapsed: state.Now.Mono - state.Start.Mono,
		Summary: report.Summarize(state), Findings: f.engine.Findings(),
	}
	s.Rows, s.Hidden = f.rows(s.Findings)
	f.look(s, focus)
	return s
}

// look adds what is to be seen of one pair. All of it is made here: what an
// engine keeps of the past goes on changing.
func (f *Feed) look(s *Snapshot, focus analyze.PairKey) {
	if f.engine.Timeline == nil || focus == (analyze.PairKey{}) {
		return
	}
	s.Focus = focus
	in := ladder.Input{State: f.engine.State, Timeline: f.engine.Timeline, Findings: s.Findings}
	s.Ladder = ladder.Build(in, focus).Folded()
	s.Decisive = map[string]*ladder.Ladder{}
	draw := report.Ladders(f.engine, s.Findings)
	for i := range s.Findings {
		if g := &s.Findings[i]; subjectOf(g) == focus.String() {
			s.Decisive[g.ID] = draw(g)
		}
	}
}

// rows returns the list, worst first.
func (f *Feed) rows(findings []rules.Finding) (rows []Row, hidden int) {
	about := map[string][]int{}
	for i := range findings {
		subject := subjectOf(&findings[i])
		about[subject] = append(about[subject], i)
	}
	sas := map[*analyze.Host]saIndex{}
	for _, h := range f.engine.State.Hosts {
		sas[h] = indexSAs(h)
	}
	f.engine.State.Pairs(func(p *analyze.Pair) {
		r := f.glance(p, sas)
		r.concern(findings, about[r.Subject])
		delete(about, r.Subject)
		rows = append(rows, r)
	})
	for subject, list := range about { // hosts, policies; pairs that are forgotten
		r := Row{Subject: subject, involved: true, Seen: findings[list[0]].Origins}
		r.concern(findings, list)
		rows = append(rows, r)
	}
	slices.SortFunc(rows, compareRows)
	if hidden = len(rows) - maxRows; hidden > 0 {
		rows = slices.Clip(rows[:maxRows])
	}
	return rows, max(hidden, 0)
}

// subjectOf names the row that shows a finding: its pair's, where it has one.
func subjectOf(f *rules.Finding) string {
	if len(f.Pair) == 2 {
		return analyze.MakePairKey(f.Pair[0], f.Pair[1]).String()
	}
	return f.Subject
}

// concern gives a row its findings.
func (r *Row) concern(findings []rules.Finding, list []int) {
	slices.SortStableFunc(list, func(a, b int) int {
		return cmp.Compare(standingOf(&findings[b]), standingOf(&findings[a]))
	})
	r.Findings = list
	if len(list) > 0 {
		r.standing = max(r.standing, standingOf(&findings[list[0]]))
	}
}

// standingOf tells what a finding makes of its row.
func standingOf(f *rules.Finding) standing {
	switch {
	case f.State == rules.Resolved && f.Severity == rules.Info:
		return quiet
	case f.State == rules.Resolved:
		return over
	case f.Severity == rules.Error:
		return failing
	case f.Severity == rules.Warning:
		return warned
	}
	return remarked
}

// compareRows puts the worst first, then what has to do with IPsec, then what
// was seen first: an order in which rows stay where they are.
func compareRows(a, b Row) int {
	involved := func(r Row) int {
		if r.involved {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(b.standing, a.standing), cmp.Compare(involved(a), involved(b)),
		cmp.Compare(a.order, b.order), cmp.Compare(a.Subject, b.Subject),
	)
}
