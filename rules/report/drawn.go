package report

import (
	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report/ladder"
)

// decisiveSteps bounds the ladder under a finding: it is to fit on a screen
// together with what was seen.
const decisiveSteps = 10

// ladderWidth is the narrowest text, in columns, that has room for a ladder: in
// less its lines would be broken, and arrows with them.
const ladderWidth = 60

// Ladder returns the ladder to draw under a finding, nil where there is none.
type Ladder func(*rules.Finding) *ladder.Ladder

// maxDrawn bounds the ladders of one report: who has more findings than that
// reads the first ones, or asks for HTML.
const maxDrawn = 20

// Ladders returns what makes the ladder of the decisive seconds of a finding,
// from an engine that has kept a record; nil where it has not. It makes so many
// and no more. The findings are those of the same moment.
func Ladders(e *rules.Engine, findings []rules.Finding) Ladder {
	if e.Timeline == nil {
		return nil
	}
	drawn := 0
	return func(f *rules.Finding) *ladder.Ladder {
		if len(f.Pair) != 2 || drawn >= maxDrawn {
			return nil
		}
		drawn++
		k := analyze.MakePairKey(f.Pair[0], f.Pair[1])
		l := ladder.Build(ladder.Input{State: e.State, Timeline: e.Timeline, Findings: findings}, k)
		return l.Decisive(f.ID, decisiveSteps)
	}
}

// drawn draws the ladder of a finding.
func (p *page) drawn(f *rules.Finding) {
	l := ladderOf(p.Ladder, f)
	if l == nil || p.Width < ladderWidth {
		return
	}
	p.heading(drawnHeading(p.ASCII))
	lines := ladder.Text(l, ladder.TextOptions{
		Width: p.Width, Indent: 4, ASCII: p.ASCII, Clean: Clean, Columns: displayWidth,
	})
	for i := range lines {
		p.drawnLine(&lines[i])
	}
}

func (p *page) drawnLine(l *ladder.Line) {
	rest := plain
	switch {
	case l.Step < 0:
		rest = bold
	case l.Dead:
		rest = red
	}
	p.line(span{faint, l.Text[:l.Time]}, span{rest, l.Text[l.Time:]})
}

// ladderOf returns the ladder of a finding, nil where there is nothing to draw.
func ladderOf(make Ladder, f *rules.Finding) *ladder.Ladder {
	if make == nil {
		return nil
	}
	if l := make(f); l != nil && len(l.Steps) > 0 {
		return l
	}
	return nil
}

func drawnHeading(ascii bool) string {
	if ascii {
		return "How it went (* evidence, x does not arrive)"
	}
	return "How it went (* evidence, ✗ does not arrive)"
}
