package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
)

// htmlChart is one series over the time of the recording.
type htmlChart struct {
	Name, Where, Total, Peak string
	Bars                     string // as a path
}

// Measures of a chart, CSS pixels.
const (
	chartWidth  = 480
	chartHeight = 40
)

// charts draws the counters of lost packets and the rates of each SPI.
func (b *htmlBuilder) charts() {
	if b.engine.Timeline == nil {
		return
	}
	from, to := b.engine.State.Start.Mono, b.engine.State.Now.Mono
	for _, c := range b.engine.Timeline.Counters() {
		if len(b.page.Charts) >= maxHTMLSeries/2 {
			break
		}
		b.page.Charts = append(b.page.Charts, htmlChart{
			Name: c.Name, Where: c.Host.String(), Total: fmt.Sprintf("+%d", c.Total),
			Peak: fmt.Sprintf("+%d in %s", c.Max, c.Width), Bars: bars(&c.Series, from, to),
		})
	}
	for _, f := range heaviestFlows(b.engine.Timeline.Flows()) {
		if len(b.page.Charts) >= maxHTMLSeries {
			break
		}
		b.page.Charts = append(b.page.Charts, htmlChart{
			Name:  fmt.Sprintf("%s %s → %s, SPI %#08x", strings.ToUpper(spd.ProtocolName(f.Key.Proto)), f.Key.Src, f.Key.Dst, f.Key.SPI),
			Where: f.Host.String(), Total: fmt.Sprintf("%s, %s", count(f.Packets, "packet"), bytesOf(f.Total)),
			Peak: bytesOf(f.Max/uint64(f.Width/time.Second)) + "/s", Bars: bars(&f.Series, from, to),
		})
	}
}

// heaviestFlows orders the rates by what they carried; of two observers of one
// SPI the one who saw more tells it.
func heaviestFlows(all []*timeline.FlowRate) []*timeline.FlowRate {
	best := map[analyze.FlowKey]*timeline.FlowRate{}
	for _, f := range all {
		if o := best[f.Key]; o == nil || o.Total < f.Total {
			best[f.Key] = f
		}
	}
	var flows []*timeline.FlowRate
	for _, f := range all {
		if best[f.Key] == f {
			flows = append(flows, f)
		}
	}
	slices.SortStableFunc(flows, func(a, b *timeline.FlowRate) int { return cmp.Compare(b.Total, a.Total) })
	return flows
}

// bars draws a series as a path of rectangles.
func bars(s *timeline.Series, from, to time.Duration) string {
	if s.Max == 0 {
		return ""
	}
	span := max(to-from, time.Second) + s.Width
	width := max(1, int(int64(chartWidth)*int64(s.Width)/int64(span)))
	first, sums := s.Buckets()
	var b strings.Builder
	for i, v := range sums {
		if v == 0 {
			continue
		}
		x := int(int64(chartWidth) * int64(max(0, first+time.Duration(i)*s.Width-from)) / int64(span))
		h := max(1, int(uint64(chartHeight)*v/s.Max))
		fmt.Fprintf(&b, "M%d %dh%dv-%dh-%dz", x, chartHeight, max(1, width-1), h, max(1, width-1))
	}
	return b.String()
}

// bytesOf renders a number of bytes in decimal units.
func bytesOf(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n)/1000, 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	return fmt.Sprintf("%.3g %cB", v, units[u])
}

// htmlHost is one observer and, where its kernel was seen, its policies.
type htmlHost struct {
	Name, Kernel, Daemons string
	SAs                   int
	Missing               []string
	Tables                []htmlPolicies
}

// htmlPolicies are the policies of one direction in the order in which the
// kernel asks them.
type htmlPolicies struct {
	Direction string
	Policies  []htmlPolicy
	More      int
}

type htmlPolicy struct {
	Number   int
	Priority uint32
	Selector string
	Does     string
	Matters  []string // why it bears on a finding
}

// maxHosts bounds the hosts that are told of.
const maxHosts = 20

func (b *htmlBuilder) hosts() {
	matters := b.matters()
	for _, h := range b.engine.State.Hosts {
		if len(b.page.Hosts) == maxHosts {
			break
		}
		t := htmlHost{Name: h.Origin.String(), Missing: h.Missing}
		if h.KernelSeen {
			t.Kernel, t.SAs, t.Daemons = cmp.Or(h.Release, "seen"), len(h.DB.SAs), daemonsOf(h)
			for _, dir := range []spd.Direction{spd.Out, spd.In, spd.Fwd} {
				if p := policiesOf(h, dir, matters[h.Origin]); len(p.Policies) > 0 {
					t.Tables = append(t.Tables, p)
				}
			}
		}
		b.page.Hosts = append(b.page.Hosts, t)
	}
}

func daemonsOf(h *analyze.Host) string {
	var names []string
	for _, l := range h.Daemons() {
		names = append(names, cmp.Or(l.Name, fmt.Sprintf("pid %d", l.PID)))
	}
	return strings.Join(names, ", ")
}

// policiesOf lists the policies of one direction: sub before main, then by
// priority, then the older first (xfrm_policy_lookup_bytype). Those that matter
// are always among them.
func policiesOf(h *analyze.Host, dir spd.Direction, matters map[spd.Identity][]string) htmlPolicies {
	t := htmlPolicies{Direction: dir.String()}
	var all []*spd.Policy
	for i := range h.DB.Policies {
		if p := &h.DB.Policies[i]; p.Direction == dir && !p.Socket {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(x, y *spd.Policy) int {
		return cmp.Or(cmp.Compare(order(x.Type), order(y.Type)), cmp.Compare(x.Priority, y.Priority))
	})
	for i, p := range all {
		why := matters[p.Identity()]
		if len(t.Policies) >= maxHTMLPolicies && why == nil {
			t.More++
			continue
		}
		t.Policies = append(t.Policies, htmlPolicy{i + 1, p.Priority, p.Selector.String(), does(p), why})
	}
	return t
}

func order(t spd.PolicyType) int {
	if t == spd.Sub {
		return 0
	}
	return 1
}

// does says what a policy does with its packets.
func does(p *spd.Policy) string {
	switch {
	case p.Action == spd.Block:
		return "blocks"
	case p.Bypass():
		return "lets pass in the clear"
	}
	var templates []string
	for _, t := range p.Templates {
		templates = append(templates, t.String())
	}
	return "wants " + strings.Join(templates, " and ")
}

// matters says of the policies of each host why they bear on what is drawn: they
// catch what never left, or are asked for the traffic of a pair with a finding.
func (b *htmlBuilder) matters() map[analyze.Origin]map[spd.Identity][]string {
	all := map[analyze.Origin]map[spd.Identity][]string{}
	add := func(o analyze.Origin, p *spd.Policy, why string) {
		o = o.Kernel()
		if all[o] == nil {
			all[o] = map[spd.Identity][]string{}
		}
		if k := p.Identity(); len(all[o][k]) < maxListed && !slices.Contains(all[o][k], why) {
			all[o][k] = append(all[o][k], why)
		}
	}
	for _, l := range b.page.Ladders {
		for i := range l.Ladder.Steps {
			for _, it := range l.Ladder.Steps[i].Items {
				b.bears(add, it)
			}
		}
	}
	for i := range b.findings {
		f := &b.findings[i]
		for _, h := range b.engine.State.Hosts {
			if len(f.Pair) != 2 || !h.KernelSeen {
				continue
			}
			for _, ends := range [][2]int{{0, 1}, {1, 0}} {
				if p := h.PolicyFor(f.Pair[ends[0]], f.Pair[ends[1]]); p != nil && h.Owns(f.Pair[ends[0]]) {
					add(h.Origin, p, "wants an SA for "+f.Pair[ends[0]].String()+" → "+f.Pair[ends[1]].String())
				}
			}
		}
	}
	return all
}

// bears tells which policy an item shows at work.
func (b *htmlBuilder) bears(add func(analyze.Origin, *spd.Policy, string), it *timeline.Item) {
	if a, ok := it.Event.(*analyze.Acquire); ok {
		add(it.At.Origin(), &a.Policy, "asked for an SA "+it.From.String()+" → "+it.To.String())
	}
	if it.Fate != nil && it.Fate.Policy != nil {
		add(it.At.Origin(), it.Fate.Policy, caughtWords(it))
	}
}

// caughtWords says which packet a policy catches.
func caughtWords(i *timeline.Item) string {
	switch i.Kind {
	case timeline.NS:
		return "catches the neighbour advertisement " + i.To.String() + " → " + i.From.String()
	case timeline.NA:
		return "refuses the neighbour advertisement " + i.From.String() + " → " + i.To.String()
	}
	return "catches the neighbour solicitation " + i.From.String() + " → " + i.To.String()
}
