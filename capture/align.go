package capture

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/align"
)

// retime puts an item on the clock of the first of several files.
func (it *item) retime(c align.Clock) {
	it.at = clampTime(c.Reference(it.at))
	if it.event != nil {
		analyze.Retime(it.event, func(ns int64) int64 { return clampTime(c.Reference(ns)) })
	}
}

// errUnseekable is why the clock of a pipe is not compared.
var errUnseekable = errors.New("it can be read only once")

// surveyed is what a first reading of a file tells.
type surveyed struct {
	marks  align.Marks
	clock  align.Clock
	placed bool
	set    time.Duration // by how much the wall clock was set since the beginning
	analyze.Observer
}

// align reads several files for their clocks, sets those, and says how they stand
// to each other; nil for a single file. The error is the context's: what is wrong
// with a file is told when it is read for its events.
func (files fileSet) align(ctx context.Context) (*analyze.Alignment, error) {
	if len(files) < 2 {
		return nil, nil
	}
	all := make([]*surveyed, len(files))
	for i, f := range files {
		all[i] = f.survey(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	placeAll(all)
	a := &analyze.Alignment{}
	for i, s := range all {
		files[i].clock = s.clock
		s.From, s.To = s.watched()
		a.Observers = append(a.Observers, s.Observer)
	}
	return a, nil
}

// survey reads the file once for what tells its clock.
func (s *fileSource) survey(ctx context.Context) *surveyed {
	v := &surveyed{Observer: analyze.Observer{Name: filepath.Base(s.path), Origin: analyze.Origin{Host: s.host}}}
	o, err := s.again()
	if err == nil {
		err = o.recognize(s.count)
	}
	if err != nil {
		v.Unread = err.Error()
		return v
	}
	defer o.close()
	once := &fileSource{opened: o, host: s.host, warn: func(string) {}, sampled: true, among: true, flows: s.flows}
	var p analyze.Packet
	for it, err := range once.ahead(ctx) {
		if err != nil {
			v.Unread = err.Error()
			break
		}
		v.take(it, &p)
	}
	return v
}

func (v *surveyed) take(it item, p *analyze.Packet) {
	v.marks.Watched(it.at)
	if it.event == nil {
		return
	}
	switch e := it.event.(type) {
	case *analyze.Frame:
		v.Origin = e.Origin.Kernel()
		if p.Decode(e.Link, e.Data) != nil {
			return
		}
		if m, ok := p.Mark(); ok {
			v.marks.Add(m, p.Sender(), e.Direction, v.steady(e.Time))
		}
	case *analyze.Flow:
		v.marks.Add(analyze.FlowMark(e.Key, e.FirstSeq), e.Key.Src, e.Direction, v.steady(e.Start))
		v.marks.Add(analyze.FlowMark(e.Key, e.LastSeq), e.Key.Src, e.Direction, v.steady(e.End))
	case *analyze.Snapshot:
		v.Origin = e.Origin.Kernel()
	case *analyze.Lost:
		if step, ok := steppedBy(e); ok {
			v.set += step
		}
	}
}

// steady is a time on a clock that was not set since the file began. The event's
// own time counts, not its place in the stream: it may have come late.
func (v *surveyed) steady(t time.Time) int64 { return t.Add(-v.set).UnixNano() }

// placeAll fits each clock to that of the first file, or to one that was fitted
// before: of all that may be, the one with most packets in common comes next.
func placeAll(all []*surveyed) {
	all[0].placed = true
	for {
		var next, by *surveyed
		var best align.Fit
		for _, s := range all {
			for _, r := range all {
				if s.placed || !r.placed {
					continue
				}
				if f, ok := s.fit(r); ok && (next == nil || f.Matched > best.Matched) {
					next, by, best = s, r, f
				}
			}
		}
		if next == nil {
			return
		}
		next.put(by, best)
	}
}

// fit compares a clock with that of another file. Recordings of one host have one
// clock.
func (v *surveyed) fit(reference *surveyed) (f align.Fit, ok bool) {
	if v.Unread != "" || reference.Unread != "" {
		return f, false
	}
	if v.Origin == reference.Origin && v.Origin.Host != "" {
		return align.Fit{Same: true}, true
	}
	return align.Compare(&reference.marks, &v.marks)
}

func (v *surveyed) put(reference *surveyed, f align.Fit) {
	v.placed = true
	v.clock = f.Clock.After(reference.clock)
	v.Reference, v.Matched, v.Same, v.Error = reference.Name, f.Matched, f.Same, f.Error
	v.Offset, v.DriftPPM = v.clock.Offset(), v.clock.Drift()*1e6
	reference.Near = slices.Compact(slices.SortedFunc(slices.Values(append(reference.Near, f.Near...)), netip.Addr.Compare))
	v.Near = f.Far
}

// watched is when the file began and ended, on the first file's clock.
func (v *surveyed) watched() (from, to time.Time) {
	first, last := v.marks.Span()
	return unixTime(v.clock.Reference(first)), unixTime(v.clock.Reference(last))
}
