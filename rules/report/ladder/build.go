package ladder

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// Input is what a ladder is made from.
type Input struct {
	State    *analyze.State
	Timeline *timeline.Timeline
	// Findings of the pair are marked on the steps that are their evidence;
	// others are ignored.
	Findings []rules.Finding
}

// Build makes the ladder of a pair: every step that was kept, unfolded. It is
// empty where there is no record of the pair.
func Build(in Input, k analyze.PairKey) *Ladder {
	in.Findings = about(in.Findings, k)
	b := &builder{in: in, l: Ladder{Pair: k}}
	items := b.items()
	b.hosts(items)
	for i := range items {
		b.add(&items[i])
	}
	// A run of ESP is told of when it has gone on for a while, and began before.
	slices.SortStableFunc(b.steps, func(x, y Step) int { return cmp.Compare(x.At.Mono, y.At.Mono) })
	b.judge()
	b.mark()
	b.settle()
	return &b.l
}

// about returns the findings about a pair.
func about(findings []rules.Finding, k analyze.PairKey) (own []rules.Finding) {
	for _, f := range findings {
		if len(f.Pair) == 2 && analyze.MakePairKey(f.Pair[0], f.Pair[1]) == k {
			own = append(own, f)
		}
	}
	return own
}

// builder collects the steps of one ladder.
type builder struct {
	in      Input
	l       Ladder
	kernels [2]*analyze.Host // nil where not seen
	steps   []Step
}

// margin is how long before and after what happened to the pair a host's own
// events belong to its ladder.
const margin = 2 * time.Second

// items returns what was kept of the pair, and of its hosts meanwhile, in the
// order of time.
func (b *builder) items() []timeline.Item {
	var all []timeline.Item
	from, to := time.Duration(0), b.in.State.Now.Mono
	if t := b.in.Timeline.Pair(b.l.Pair); t != nil && len(t.Items) > 0 {
		all = append(all, t.Items...)
		from, to = all[0].At.Mono-margin, all[len(all)-1].At.Mono+margin
	}
	for _, a := range []netip.Addr{b.l.Pair.A, b.l.Pair.B} {
		h := kernelOf(b.in.State, a)
		if h == nil || b.in.Timeline.Host(h.Origin) == nil {
			continue
		}
		for _, i := range b.in.Timeline.Host(h.Origin).Items {
			if (i.At.Mono >= from && i.At.Mono <= to && b.concerns(&i)) || b.cited(&i) {
				i.N = 0 // counts in another track
				all = append(all, i)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y timeline.Item) int { return cmp.Compare(x.At.Mono, y.At.Mono) })
	return all
}

// cited reports whether an item is evidence of a finding about the pair.
func (b *builder) cited(i *timeline.Item) bool {
	for f := range b.in.Findings {
		finding := &b.in.Findings[f]
		if slices.ContainsFunc(finding.Evidence, func(e rules.Evidence) bool {
			return e.Time.Equal(i.At.Time) && e.Origin == i.At.Origin().String()
		}) {
			return true
		}
	}
	return false
}

// kernelOf returns the host that has that address and whose kernel was seen,
// nil where there is none.
func kernelOf(s *analyze.State, a netip.Addr) *analyze.Host {
	for _, h := range s.Hosts {
		if h.KernelSeen && h.Owns(a) {
			return h
		}
	}
	return nil
}

// concerns reports whether what happened to a host as a whole concerns the pair.
func (b *builder) concerns(i *timeline.Item) bool {
	switch e := i.Event.(type) {
	case *analyze.PolicyChange:
		s := e.Policy.Selector
		return e.Defaults != nil || e.Change == analyze.Flushed ||
			(covers(s.Src, b.l.Pair.A) && covers(s.Dst, b.l.Pair.B)) || (covers(s.Src, b.l.Pair.B) && covers(s.Dst, b.l.Pair.A))
	case *analyze.Snapshot:
		return false
	}
	return true
}

func covers(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a.WithZone("")) }

// hosts gives the pair's ends their columns: who acts first stands left.
func (b *builder) hosts(items []timeline.Item) {
	left, right := b.l.Pair.A, b.l.Pair.B
	for i := range items {
		if from := items[i].From; from == left || from == right {
			if from == right {
				left, right = right, left
			}
			break
		}
	}
	for n, a := range []netip.Addr{left, right} {
		h := kernelOf(b.in.State, a)
		b.kernels[n] = h
		b.l.Hosts[n] = Host{Addr: a, Roles: []Role{Wire}}
		if h != nil {
			b.l.Hosts[n] = Host{Addr: a, Name: h.Origin.String(), Kernel: true}
		}
	}
}

// host returns the column of an address, -1 where it is none of the pair's.
func (b *builder) host(a netip.Addr) int {
	for n := range b.l.Hosts {
		if b.l.Hosts[n].Addr == a || b.l.Hosts[n].Addr.WithZone("") == a {
			return n
		}
	}
	return -1
}

// observer returns the column of the host whose kernel saw an item, -1 where it
// is another's.
func (b *builder) observer(o analyze.Origin) int {
	for n, h := range b.kernels {
		if h != nil && h.Origin == o.Kernel() {
			return n
		}
	}
	return -1
}

// place is a role on a host; its one line where its kernel was not seen.
func (b *builder) place(host int, r Role) Place {
	if !b.l.Hosts[host].Kernel {
		r = Wire
	}
	return Place{host, r}
}

// add makes steps of an item.
func (b *builder) add(i *timeline.Item) {
	if i.Kind.OnWire() {
		b.packet(i)
	} else {
		b.kernel(i)
	}
}

// push appends a step made of an item, nil where it was concluded from others.
func (b *builder) push(s Step, i *timeline.Item) {
	s.Count = 1
	if i != nil {
		s.Kind, s.Item, s.Items = i.Kind, i, []*timeline.Item{i}
		if s.At.IsZero() {
			s.At = i.At
		}
		if s.Seen == nil {
			s.Seen = []Seen{seenAt(i)}
		}
	}
	s.Last = s.At
	b.steps = append(b.steps, s)
}

// insert puts a step that was concluded behind step n.
func (b *builder) insert(n int, s Step) {
	s.Count, s.Last = 1, s.At
	b.steps = slices.Insert(b.steps, n+1, s)
}

func seenAt(i *timeline.Item) Seen {
	return Seen{Origin: i.At.Origin().String(), Time: i.At.Time.UTC(), Frame: i.At.Number}
}

// mark finds the steps that are evidence of a finding.
func (b *builder) mark() {
	for f := range b.in.Findings {
		finding := &b.in.Findings[f]
		for e := range finding.Evidence {
			b.markOne(Mark{finding.ID, e}, &finding.Evidence[e])
		}
	}
}

func (b *builder) markOne(m Mark, e *rules.Evidence) {
	for n := range b.steps {
		for _, s := range b.steps[n].Seen {
			if s.Time.Equal(e.Time) && s.Origin == e.Origin {
				b.steps[n].Marks = append(b.steps[n].Marks, m)
				return
			}
		}
	}
	for n := range b.steps {
		if slices.ContainsFunc(b.steps[n].Items, func(i *timeline.Item) bool { return within(i, e) }) {
			b.steps[n].Marks = append(b.steps[n].Marks, m)
			return
		}
	}
}

// within reports whether evidence is a packet of a run of ESP: it names the SPI, and
// its time is between the first packet and the last.
func within(i *timeline.Item, e *rules.Evidence) bool {
	f, ok := i.Event.(*analyze.Flow)
	return ok && i.At.Origin().String() == e.Origin && !e.Time.Before(f.Start) && !e.Time.After(f.End) &&
		strings.Contains(e.Text, fmt.Sprintf("SPI %#x", f.Key.SPI))
}

// gap counts what was not kept between two items of the pair's record.
func (b *builder) gap(last, next uint64) (missing uint64) {
	missing = next - last - 1
	t := b.in.Timeline.Pair(b.l.Pair)
	for k := range t.Items {
		if n := t.Items[k].N; n > last && n < next { // kept, and no step was made of it
			missing--
		}
	}
	return missing
}

// settle gives the steps their ids and the hosts their lines.
func (b *builder) settle() {
	var used [2][Kernel + 1]bool
	last := uint64(0)
	for n := range b.steps {
		s := &b.steps[n]
		s.ID = "s" + strconv.Itoa(n+1)
		used[s.From.Host][s.From.Role], used[s.To.Host][s.To.Role] = true, true
		if s.Item != nil && s.Item.N > last+1 {
			s.Before = b.gap(last, s.Item.N)
		}
		for _, i := range s.Items {
			last = max(last, i.N)
		}
	}
	for n := range b.l.Hosts {
		if !b.l.Hosts[n].Kernel {
			continue
		}
		for _, r := range []Role{App, IKE} {
			if used[n][r] {
				b.l.Hosts[n].Roles = append(b.l.Hosts[n].Roles, r)
			}
		}
		b.l.Hosts[n].Roles = append(b.l.Hosts[n].Roles, Kernel)
	}
	b.l.Steps = b.steps
}
