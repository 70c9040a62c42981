package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules/remedy"
)

// staleAfter is how long an open finding waits for new evidence before it is
// called stale.
const staleAfter = 120 * time.Second

// maxEvidence bounds the evidence of one finding: the earliest and the latest
// are kept.
const maxEvidence = 16

// Engine asks the rules of a state as it grows, and follows each finding
// through its life. It is the one place that remembers.
type Engine struct {
	State *analyze.State
	// Timeline is the record of what happened, for those who show it; nil where
	// nobody does. The engine pins in it what findings rest on.
	Timeline *timeline.Timeline
	// MaxFindings is how many findings are followed at most; default 10,000.
	MaxFindings int

	rules  []*Rule
	tracks map[string]*track
	byRule map[string][]*track
	order  []*track // as they were found
	made   int      // findings ever
	audits map[*analyze.Host]*auditor
	live   []*track // those that are open, or were touched at this tick; in order
	plans  bypassPlans
	pass   Pass // the one that is asked with, ever again
	// told are the pairs by which anything was found: what a rule says of them later may
	// end it.
	told     map[analyze.PairKey]bool
	toldMost int // pairs at which it is found out anew which those are
}

// track is one finding over time: each observer's part of it.
type track struct {
	id         string
	seq        int
	parts      []*part
	firstSeen  time.Time
	began      time.Duration // oldest evidence
	endMono    time.Duration // when it was last resolved
	withdrawn  bool          // another finding took its place
	live       bool          // stands in Engine.live
	pinned     time.Duration // evidence up to then is pinned in the record
	merged     Finding
	said       bool // anything was ever said of it
	lastOutput outputKey
}

// voice is by which of its questions a rule has found something.
type voice uint8

const (
	onPair  voice = iota // Check
	onHost               // CheckHost
	onAudit              // Audit
)

// part is what one observer has to say: by looking at a pair, at its kernel as a
// whole, or at its databases. They are apart, so that none ends what another
// claims.
type part struct {
	origin  string
	voice   voice
	by      analyze.PairKey // zero where no pair was looked at
	finding Finding
	state   Status
	last    time.Duration // newest evidence
}

// outputKey is what a consumer is told about when it changes.
type outputKey struct {
	state       Status
	confidence  Confidence
	severity    Severity
	explainedBy string
	withdrawn   bool
}

// NewEngine returns an engine that asks those rules of an empty state.
func NewEngine(state *analyze.State, rules []*Rule) *Engine {
	return &Engine{
		State: state, rules: rules, tracks: map[string]*track{}, byRule: map[string][]*track{},
		audits: map[*analyze.Host]*auditor{}, plans: bypassPlans{}, told: map[analyze.PairKey]bool{},
	}
}

// Apply folds an event into the state. At whole seconds of event time it asks
// the rules, and returns the findings that are new or whose state, confidence
// or cause changed.
func (e *Engine) Apply(ev analyze.Event) []Finding {
	e.State.Apply(ev)
	if e.Timeline != nil {
		e.Timeline.Apply(e.State, ev)
	}
	if _, ok := ev.(*analyze.Tick); !ok {
		return nil
	}
	for _, v := range e.State.Awake() {
		e.judge(v)
	}
	for _, h := range e.State.Hosts {
		if !h.KernelSeen {
			continue
		}
		p := e.prepare(Pass{State: e.State, Host: h, voice: onHost})
		for _, r := range e.rules {
			if r.CheckHost != nil {
				e.ask(r, r.CheckHost, p)
			}
		}
	}
	e.auditDue()
	return e.changed()
}

// judge asks all rules of a view. Where none has ever found anything, the view may
// rest until something happens to it, or until a rule wants to be asked again.
func (e *Engine) judge(v *analyze.View) {
	p := e.prepare(Pass{State: e.State, View: v, Host: v.Host})
	quiet := true
	for _, r := range e.rules {
		if r.Check != nil {
			e.ask(r, r.Check, p)
			quiet = quiet && len(p.reports) == 0
		}
	}
	if quiet && !e.told[v.Pair.Key] {
		e.State.Rest(v, p.next)
	}
}

// prepare makes the engine's own pass equal to p, for all rules to be asked with:
// there are as many askings as pairs and rules each second, nearly all without a
// result.
func (e *Engine) prepare(p Pass) *Pass {
	p.reports, p.resolved, p.search.cases = e.pass.reports, e.pass.resolved, e.pass.search.cases // for their room
	e.pass = p
	return &e.pass
}

// ask asks one rule.
func (e *Engine) ask(r *Rule, check func(*Pass), p *Pass) {
	p.Rule, p.Now, p.plans = r, e.State.NowAt(p.Host).Mono, e.plans
	p.reports, p.resolved, p.others, p.more = p.reports[:0], p.resolved[:0], nil, 0
	p.found = len(e.byRule) > 0 && len(e.byRule[r.ID]) > 0
	check(p)
	if p.more > 0 && len(p.reports) > 0 { // else none has stood long enough
		last := &p.reports[len(p.reports)-1]
		last.Explanation += fmt.Sprintf(" There are %d more of this kind on this host; they are not listed.", p.more)
	}
	for _, f := range p.reports {
		e.report(p, f)
	}
	for _, r := range p.resolved {
		e.resolve(p, r)
	}
	if p.others != nil {
		e.resolveOthers(p)
	}
}

func (e *Engine) report(p *Pass, f Finding) {
	t := e.track(f.ID)
	if p.voice == onAudit && len(t.parts) == 0 { // it has stood since the change that led to the audit
		t.firstSeen, t.began = p.Looked().Time, p.Looked().Mono
	}
	e.enliven(t)
	t.reopen(p.Now)
	q := t.part(p.Host.Origin.String(), p.voice)
	q.finding, q.state = f, f.State
	if p.View != nil {
		q.by = p.View.Pair.Key
		e.tell(q.by)
	}
	if f.State == Resolved {
		t.endMono = p.Now
	}
	for _, ev := range f.Evidence {
		q.last = max(q.last, ev.mono)
		t.began = min(t.began, ev.mono)
	}
}

func (e *Engine) resolveOthers(p *Pass) {
	for _, t := range slices.Clone(e.live) {
		claimed := slices.ContainsFunc(p.reports, func(f Finding) bool { return f.ID == t.id })
		if subject, ok := strings.CutPrefix(t.id, p.Rule.ID+":"); ok && !claimed {
			e.resolve(p, resolution{subject, p.others})
		}
	}
}

// track returns the finding of that id, a new one where there is none.
func (e *Engine) track(id string) *track {
	t := e.tracks[id]
	if t == nil {
		if len(e.order) >= e.limit() {
			e.makeRoom()
		}
		e.made++
		t = &track{id: id, seq: e.made, firstSeen: e.State.Now.Time, began: e.State.Now.Mono}
		e.tracks[id] = t
		rule, _, _ := strings.Cut(id, ":")
		e.byRule[rule] = append(e.byRule[rule], t)
		e.order = append(e.order, t)
	}
	return t
}

// reopen begins the finding's time anew where it was over.
func (t *track) reopen(now time.Duration) {
	if t.said && t.merged.State != Open {
		t.began = now
	}
	t.withdrawn = false
}

// enliven has changed look at t.
func (e *Engine) enliven(t *track) {
	if !t.live {
		t.live = true
		e.live = append(e.live, t)
	}
}

func (e *Engine) resolve(p *Pass, r resolution) {
	t := e.tracks[FindingID(p.Rule.ID, r.subject)]
	if t == nil {
		return
	}
	for _, q := range t.parts {
		if q.origin == p.Host.Origin.String() && q.voice == p.voice && q.state != Resolved {
			q.state, t.endMono = Resolved, p.Now
			e.enliven(t)
			q.finding.Evidence = append(q.finding.Evidence, r.evidence...)
		}
	}
}

func (t *track) part(origin string, v voice) *part {
	for _, q := range t.parts {
		if q.origin == origin && q.voice == v {
			return q
		}
	}
	q := &part{origin: origin, voice: v}
	t.parts = append(t.parts, q)
	return q
}

// changed merges the findings that may have changed anew and returns those that
// say something new.
func (e *Engine) changed() []Finding {
	slices.SortFunc(e.live, func(a, b *track) int { return a.seq - b.seq })
	for _, t := range e.live {
		t.age(e.State.Now.Mono)
		t.merge()
	}
	e.relate()
	e.pin()
	var out []Finding
	kept := e.live[:0]
	for _, t := range e.live {
		if k := t.output(); (k != t.lastOutput || !t.said) && (t.said || !t.withdrawn) {
			t.lastOutput, t.said = k, true
			out = append(out, t.merged)
		}
		if t.live = t.merged.State == Open; t.live {
			kept = append(kept, t)
		}
	}
	clear(e.live[len(kept):])
	e.live = kept
	return out
}

// pin keeps in the record what the live findings rest on.
func (e *Engine) pin() {
	if e.Timeline == nil {
		return
	}
	for _, t := range e.live {
		var k analyze.PairKey
		if len(t.merged.Pair) == 2 {
			k = analyze.MakePairKey(t.merged.Pair[0], t.merged.Pair[1])
		}
		for i := range t.merged.Evidence {
			if ev := &t.merged.Evidence[i]; ev.mono > t.pinned {
				e.Timeline.Pin(k, ev.Origin, ev.mono, ev.Time)
			}
		}
		t.pinned = e.State.Now.Mono - pinAgain
	}
}

// pinAgain is how long evidence may be told of after it was seen, and still be
// pinned.
const pinAgain = 30 * time.Second

func (t *track) age(now time.Duration) {
	for _, q := range t.parts {
		if q.voice != onAudit && q.state == Open && now-q.last > staleAfter {
			q.state = Stale
		}
	}
}

// merge makes one finding of the observers' parts: the most certain one speaks,
// all give evidence.
func (t *track) merge() {
	best := t.parts[0]
	for _, q := range t.parts[1:] {
		if q.rank() > best.rank() {
			best = q
		}
	}
	f := best.finding
	f.State, f.FirstSeen, f.LastSeen = best.state, t.firstSeen.UTC(), t.firstSeen.UTC()
	f.Evidence, f.Origins = nil, nil
	for _, q := range t.parts {
		f.Origins = append(f.Origins, q.origin)
		f.Evidence = append(f.Evidence, q.finding.Evidence...)
		f.Severity = max(f.Severity, q.finding.Severity)
	}
	f.Remedies = t.remedies(best)
	slices.Sort(f.Origins)
	f.Origins = slices.Compact(f.Origins)
	f.Evidence = orderEvidence(f.Evidence)
	if n := len(f.Evidence); n > 0 && f.Evidence[n-1].Time.After(f.LastSeen) {
		f.LastSeen = f.Evidence[n-1].Time
	}
	if t.withdrawn {
		f.State = Resolved
	}
	t.merged = f
}

// remedies are those of the part that speaks, and of audits of other hosts what
// is to be done there.
func (t *track) remedies(best *part) []remedy.Remedy {
	all := best.finding.Remedies
	for _, q := range t.parts {
		if q == best || q.voice != onAudit || q.state != Open || best.voice != onAudit {
			continue
		}
		for _, r := range q.finding.Remedies {
			if !slices.ContainsFunc(all, func(o remedy.Remedy) bool { return o.Command == r.Command && maps.Equal(o.Params, r.Params) }) {
				all = append(slices.Clip(all), r)
			}
		}
	}
	return all
}

// rank orders parts: open before stale before resolved, then certain before
// likely: nobody for whom it is over speaks for one for whom it is not.
func (q *part) rank() int {
	life := map[Status]int{Open: 2, Stale: 1, Resolved: 0}
	return life[q.state]*2 + int(q.finding.Confidence)
}

func orderEvidence(ev []Evidence) []Evidence {
	slices.SortStableFunc(ev, func(a, b Evidence) int { return a.Time.Compare(b.Time) })
	if len(ev) > maxEvidence {
		half := maxEvidence / 2
		ev = append(slices.Clone(ev[:half]), ev[len(ev)-half:]...)
	}
	return ev
}

func (t *track) output() outputKey {
	f := &t.merged
	return outputKey{f.State, f.Confidence, f.Severity, f.ExplainedBy, t.withdrawn}
}

// Findings returns every finding of the run, causes first, each followed by those
// it explains: by the severity of the worst among them, those that explain others
// before those that do not, then by the time at which they were found.
func (e *Engine) Findings() []Finding {
	var tops, all []Finding
	effects := map[string][]Finding{}
	for _, t := range e.order {
		switch f := t.merged; {
		case t.withdrawn:
		case f.ExplainedBy != "":
			effects[f.ExplainedBy] = append(effects[f.ExplainedBy], f)
		default:
			tops = append(tops, f)
		}
	}
	slices.SortStableFunc(tops, func(a, b Finding) int {
		if d := int(worst(b, effects, maxDepth)) - int(worst(a, effects, maxDepth)); d != 0 {
			return d
		}
		return min(len(effects[b.ID]), 1) - min(len(effects[a.ID]), 1)
	})
	for _, f := range tops {
		all = appendWithEffects(all, f, effects)
	}
	return all
}

// maxDepth bounds how far worst follows effects of effects.
const maxDepth = 8

// worst is the severity of a cause, or of what follows from it where that is
// worse: a warning that explains an error is no less urgent than the error.
func worst(f Finding, effects map[string][]Finding, depth int) Severity {
	s := f.Severity
	for _, g := range effects[f.ID] {
		if depth > 0 {
			s = max(s, worst(g, effects, depth-1))
		}
	}
	return s
}

func appendWithEffects(all []Finding, f Finding, effects map[string][]Finding) []Finding {
	all = append(all, f)
	under := effects[f.ID]
	delete(effects, f.ID)
	for _, g := range under {
		all = appendWithEffects(all, g, effects)
	}
	return all
}
