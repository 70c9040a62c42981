package ladder

import (
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
)

// Folded returns the ladder with what repeats folded into its first step:
// retransmissions, solicitations, counters. What is new between them begins
// them anew, so that the order of things stays visible.
func (l *Ladder) Folded() *Ladder { return l.fold(false) }

func (l *Ladder) fold(all bool) *Ladder {
	f := *l
	f.Steps = nil
	last := map[string]int{} // where in f.Steps each key is
	newest := -1             // the step that was new
	for _, s := range l.Steps {
		n, known := last[s.key]
		if known && s.key != "" && s.Before == 0 && (all || n >= newest) {
			f.Steps[n].repeat(&s)
			continue
		}
		if !known && s.Kind.OnWire() && s.Item != nil {
			newest = len(f.Steps)
		}
		last[s.key] = len(f.Steps)
		f.Steps = append(f.Steps, s)
	}
	for n := range f.Steps {
		f.Steps[n].sum()
	}
	return &f
}

// repeat folds t into s.
func (s *Step) repeat(t *Step) {
	s.Count += t.Count
	s.Last = t.Last
	if t.Label != s.Label && s.Brief != "" {
		s.Label = s.Brief
	}
	s.Marks = append(slices.Clip(s.Marks), t.Marks...)
	s.Seen = append(slices.Clip(s.Seen), t.Seen...)
	if s.Kind == timeline.Counter || s.Kind == timeline.ESP {
		s.sums = append(slices.Clip(s.sums), t.Item)
	}
	if t.Confidence > s.Confidence {
		s.Confidence, s.Why, s.Detail = t.Confidence, t.Why, t.Detail
	}
}

// sum tells the sums of what was folded.
func (s *Step) sum() {
	if len(s.sums) == 0 {
		return
	}
	if s.Kind == timeline.ESP {
		s.sumESP()
		return
	}
	var order []string
	total := map[string]uint64{}
	for _, i := range append([]*timeline.Item{s.Item}, s.sums...) {
		for _, r := range i.Rises {
			if total[r.Counter] == 0 {
				order = append(order, r.Counter)
			}
			total[r.Counter] += r.By
		}
	}
	rises := make([]timeline.Rise, 0, len(order))
	for _, name := range order {
		rises = append(rises, timeline.Rise{Counter: name, By: total[name]})
	}
	s.Label, s.Count = riseWords(rises), 1
	s.Brief = brief(timeline.Counter, s.Label)
}

func (s *Step) sumESP() {
	sum := *s.Item.Event.(*analyze.Flow)
	for _, i := range s.sums {
		f := i.Event.(*analyze.Flow)
		sum.Packets, sum.Bytes = sum.Packets+f.Packets, sum.Bytes+f.Bytes
		sum.MinSeq, sum.MaxSeq, sum.End = min(sum.MinSeq, f.MinSeq), max(sum.MaxSeq, f.MaxSeq), f.End
	}
	item := *s.Item
	item.Event = &sum
	s.Label, s.Detail = espWords(&item)
	s.Count = 1
}

// weight is how much a step helps to understand what went wrong.
func (s *Step) weight() int {
	w := map[timeline.Kind]int{
		timeline.NS: 40, timeline.NA: 40, timeline.ARPRequest: 40, timeline.ARPReply: 40, timeline.IKE: 50,
		timeline.ESP: 45, timeline.ICMPError: 55, timeline.Acquire: 60, timeline.SA: 42, timeline.Neighbor: 15,
		timeline.Policy: 30, timeline.Counter: 35, timeline.Daemon: 55, timeline.Lost: 50, timeline.Expire: 30,
	}[s.Kind]
	switch s.Kind {
	case timeline.Snapshot:
		return 1 // what stands in it, the finding tells
	case timeline.Said:
		w = saidWeight(s.Item)
	}
	if len(s.Marks) > 0 {
		w += 100
	}
	if s.Fate.Dead() {
		w += 80
	}
	if strings.HasSuffix(s.Label, "INCOMPLETE") || strings.HasSuffix(s.Label, "FAILED") {
		w += 25
	}
	return w
}

// leastWeight is what a step must weigh to be decisive.
const leastWeight = 30

// Decisive returns the ladder of what decides over one finding, in at most that
// many steps: what repeats is folded, and what bears least on it is left out.
func (l *Ladder) Decisive(finding string, steps int) *Ladder {
	d := l.about(finding).fold(true)
	order := slices.DeleteFunc(heaviest(d.Steps), func(n int) bool { return d.Steps[n].weight() < leastWeight })
	order = order[:min(len(order), steps)]
	d.Omitted = len(d.Steps) - len(order)
	slices.Sort(order)
	kept := make([]Step, 0, len(order))
	for _, n := range order {
		kept = append(kept, d.Steps[n])
	}
	d.Steps = kept
	return d
}

// about returns the ladder with the marks of one finding, and without what
// happened before or after all that it rests on.
func (l *Ladder) about(finding string) *Ladder {
	a := *l
	a.Steps = slices.Clone(l.Steps)
	first, last := -1, -1
	for n := range a.Steps {
		s := &a.Steps[n]
		s.Marks = slices.DeleteFunc(slices.Clone(s.Marks), func(m Mark) bool { return m.Finding != finding })
		if len(s.Marks) > 0 && s.Kind != timeline.Snapshot {
			if first < 0 {
				first = n
			}
			last = n
		}
	}
	if first < 0 {
		return &a
	}
	from, to := a.Steps[first].At.Mono-margin, a.Steps[last].At.Mono+margin
	a.Steps = slices.DeleteFunc(a.Steps, func(s Step) bool { return s.At.Mono < from || s.At.Mono > to })
	return &a
}

// Trimmed returns the ladder with at most that many steps: those that help least
// are left out and counted in the gap before the next.
func (l *Ladder) Trimmed(steps int) *Ladder {
	t := *l
	order := heaviest(l.Steps)
	if len(order) <= steps {
		return &t
	}
	kept := map[int]bool{}
	for _, n := range order[:steps] {
		kept[n] = true
	}
	t.Steps, t.Omitted = nil, l.Omitted+len(order)-steps
	gap := uint64(0)
	for n, s := range l.Steps {
		gap += s.Before
		if !kept[n] {
			gap++
			continue
		}
		s.Before, gap = gap, 0
		t.Steps = append(t.Steps, s)
	}
	return &t
}

// heaviest returns the indexes of steps, those that help most first, equal ones
// in their order.
func heaviest(steps []Step) []int {
	order := make([]int, len(steps))
	for n := range order {
		order[n] = n
	}
	slices.SortStableFunc(order, func(a, b int) int { return steps[b].weight() - steps[a].weight() })
	return order
}
