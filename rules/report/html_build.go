package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report/ladder"
)

// htmlBuilder collects what a report tells.
type htmlBuilder struct {
	engine   *rules.Engine
	findings []rules.Finding
	page     htmlPage
	ladders  map[analyze.PairKey]*htmlLadder
	marks    map[ladder.Mark]htmlMark
	steps    int // drawn so far
}

func (b *htmlBuilder) build() {
	tops, effects := group(b.findings)
	b.page.Verdict, b.page.Tone = verdictLine(tops, &b.page.Summary)
	b.page.Title = "ipsecdiag: " + b.page.Verdict
	b.page.Period = strings.TrimPrefix(b.page.Summary.period(), ", ")
	b.marks = map[ladder.Mark]htmlMark{}
	shown := 0
	for i := range tops {
		if shown >= maxHTMLFindings {
			b.page.More = len(tops) - i
			break
		}
		f := b.finding(&tops[i], fmt.Sprint(i+1), effects, &shown)
		b.page.Findings = append(b.page.Findings, f)
	}
	b.draw(b.page.Findings)
	if len(b.page.Ladders) == 0 {
		b.drawBusiest()
	}
	b.charts()
	b.hosts()
	if t := b.engine.Timeline; t != nil {
		b.page.Forgotten = t.Forgotten()
	}
}

// verdictLine is the answer in one line.
func verdictLine(tops []rules.Finding, sum *Summary) (line, tone string) {
	switch wrong := counting(tops); {
	case len(wrong) == 1:
		return "1 " + wrong[0].Severity.String() + ": " + oneLine(&wrong[0]), toneClass(&wrong[0])
	case len(wrong) > 1:
		return tally(wrong), toneClass(&wrong[0])
	case sum.Empty():
		return unblamed(tops, sum), "quiet"
	}
	return unblamed(tops, sum), "fine"
}

// toneClass names the colours of a finding.
func toneClass(f *rules.Finding) string {
	if f.State == rules.Resolved {
		return "fine"
	}
	return f.Severity.String()
}

// finding numbers a finding and those that it explains.
func (b *htmlBuilder) finding(f *rules.Finding, number string, effects map[string][]rules.Finding, shown *int) *htmlFinding {
	*shown++
	h := &htmlFinding{
		ID: "f" + strings.ReplaceAll(number, ".", "-"), Number: number, Finding: f, Tone: toneClass(f),
		Standing: newPage(Options{}).standing(f), Heading: remedyHeading(f),
		Remedies: len(f.Remedies) > 0 && f.ExplainedBy == "",
	}
	b.evidence(h)
	for i := range effects[f.ID] {
		if *shown < maxHTMLFindings {
			h.Effects = append(h.Effects, b.finding(&effects[f.ID][i], fmt.Sprintf("%s.%c", number, 'a'+i%26), effects, shown))
		}
	}
	return h
}

// evidence lists the evidence of a finding, and what several observers saw of one
// thing in one row.
func (b *htmlBuilder) evidence(h *htmlFinding) {
	for i := range h.Finding.Evidence {
		e := &h.Finding.Evidence[i]
		n := slices.IndexFunc(h.Evidence, func(v htmlEvidence) bool {
			return v.Text == e.Text && e.Time.Sub(v.at).Abs() <= sameMoment
		})
		if n < 0 {
			n = len(h.Evidence)
			h.Evidence = append(h.Evidence, htmlEvidence{
				ID: fmt.Sprintf("%s-e%d", h.ID, n+1), Number: fmt.Sprintf("%s.%d", h.Number, n+1),
				Time: e.Time.UTC().Format(clock), Text: e.Text, at: e.Time,
			})
		}
		v := &h.Evidence[n]
		v.parts = append(v.parts, i)
		if w := where(e); !slices.Contains(v.Where, w) {
			v.Where = append(v.Where, w)
		}
		b.marks[ladder.Mark{Finding: h.Finding.ID, Evidence: i}] = htmlMark{v.ID, v.Number}
	}
}

// draw draws the ladders of the pairs that findings are about, worst first, and
// leads each piece of evidence to the step that shows it.
func (b *htmlBuilder) draw(findings []*htmlFinding) {
	for _, f := range findings {
		if f.Ladder = b.ladderOf(f.Finding); f.Ladder != nil {
			f.link()
		}
		b.draw(f.Effects)
	}
}

// link finds the steps that are the finding's evidence.
func (f *htmlFinding) link() {
	for _, r := range f.Ladder.Rows {
		for _, m := range r.Step.Marks {
			for n := range f.Evidence {
				if v := &f.Evidence[n]; m.Finding == f.Finding.ID && v.Step == "" && slices.Contains(v.parts, m.Evidence) {
					v.Step = r.ID
				}
			}
		}
	}
}

func (b *htmlBuilder) ladderOf(f *rules.Finding) *htmlLadder {
	if len(f.Pair) != 2 || b.engine.Timeline == nil {
		return nil
	}
	k := analyze.MakePairKey(f.Pair[0], f.Pair[1])
	if l, ok := b.ladders[k]; ok {
		return l
	}
	l := b.ladder(k)
	b.ladders[k] = l
	if l == nil {
		b.page.MoreLadders++
	}
	return l
}

// ladder draws the ladder of a pair, nil where there is nothing to draw or no
// room.
func (b *htmlBuilder) ladder(k analyze.PairKey) *htmlLadder {
	room := min(maxHTMLSteps, maxHTMLAllSteps-b.steps)
	if len(b.page.Ladders) >= 2 { // the worst ones may have more
		room = min(room, maxHTMLSteps/5)
	}
	if len(b.page.Ladders) >= maxHTMLLadders || room <= 0 {
		return nil
	}
	l := ladder.Build(ladder.Input{State: b.engine.State, Timeline: b.engine.Timeline, Findings: b.findings}, k)
	l = l.Folded().Trimmed(room)
	if len(l.Steps) == 0 {
		return nil
	}
	b.steps += len(l.Steps)
	h := &htmlLadder{ID: fmt.Sprintf("p%d", len(b.page.Ladders)+1), Ladder: l, Layout: l.Place(Clean, displayWidth), Omitted: l.Omitted}
	for _, r := range h.Layout.Rows {
		h.Rows = append(h.Rows, b.row(h, r))
	}
	b.page.Ladders = append(b.page.Ladders, h)
	return h
}

// maxHTMLMarks bounds the marks that are shown of one step.
const maxHTMLMarks = 2

func (b *htmlBuilder) row(h *htmlLadder, r ladder.LayoutRow) htmlRow {
	row := htmlRow{LayoutRow: r, ID: h.ID + "-" + r.Step.ID, Class: stepClass(r.Step), Title: stepTitle(r.Step)}
	for _, m := range r.Step.Marks {
		mark, ok := b.marks[m]
		switch {
		case !ok || slices.Contains(row.Marks, mark):
		case len(row.Marks) == maxHTMLMarks:
			row.Beyond++
		default:
			row.Marks = append(row.Marks, mark)
		}
	}
	return row
}

// stepClass says how a step is drawn.
func stepClass(s *ladder.Step) string {
	class := "step"
	if s.Fate.Dead() {
		class += " dead"
	}
	if s.Fate == ladder.Missing {
		class += " missing"
	}
	if s.Kind == timeline.IKE || s.Kind == timeline.ESP {
		class += " " + map[timeline.Kind]string{timeline.IKE: "ike", timeline.ESP: "esp"}[s.Kind]
	}
	if len(s.Marks) > 0 {
		class += " evidence"
	}
	return class
}

// maxSeen bounds the sightings that are told of one step.
const maxSeen = 6

// stepTitle tells all that there is to say of a step.
func stepTitle(s *ladder.Step) []string {
	lines := append([]string{s.Words()}, s.Detail...)
	if s.Count > 1 {
		lines = append(lines, fmt.Sprintf("%d times, the last at %s", s.Count, s.Last.Time.UTC().Format(clock)))
	}
	if s.Fate.Absent() && s.Item == nil {
		lines = append(lines, "this did not happen; it is "+s.Confidence.String()+", from what was seen")
	}
	for i, v := range s.Seen {
		if i == maxSeen {
			lines = append(lines, fmt.Sprintf("and %d more", len(s.Seen)-i))
			break
		}
		where := v.Origin
		if v.Frame > 0 {
			where += fmt.Sprintf(" #%d", v.Frame)
		}
		lines = append(lines, "seen by "+where+" at "+v.Time.Format(clock))
	}
	return lines
}

// maxBusiest bounds the ladders that are drawn where nothing was found.
const maxBusiest = 3

// drawBusiest draws the pairs between which most happened, where no finding says
// which ones matter.
func (b *htmlBuilder) drawBusiest() {
	if b.engine.Timeline == nil {
		return
	}
	type busy struct {
		key    analyze.PairKey
		weight uint64
	}
	var all []busy
	b.engine.Timeline.Pairs(func(k analyze.PairKey, t *timeline.Track) {
		w := busy{k, t.Count}
		for i := range t.Items {
			if kind := t.Items[i].Kind; kind == timeline.IKE || kind == timeline.ESP || kind == timeline.Acquire {
				w.weight += 1000
			}
		}
		all = append(all, w)
	})
	slices.SortStableFunc(all, func(x, y busy) int { return cmp.Compare(y.weight, x.weight) })
	for _, w := range all[:min(len(all), maxBusiest)] {
		b.ladder(w.key)
	}
}
