package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules"
)

// MaxPairs bounds the pairs that have metrics of their own: those heard of last.
const MaxPairs = 1000

// Collector makes the metrics when they are asked for. It satisfies
// prometheus.Collector.
type Collector struct {
	mu      sync.Locker // held while the engine is looked at
	engine  *rules.Engine
	packets map[string]uint64 // by kind
	bytes   map[string]uint64 // by protocol
	lost    map[string]uint64 // by what was lost
	decoded analyze.Packet
}

// New returns a collector of what an engine knows. Whoever applies events to the
// engine holds the lock then.
func New(engine *rules.Engine, mu sync.Locker) *Collector {
	c := &Collector{
		mu: mu, engine: engine,
		packets: map[string]uint64{}, bytes: map[string]uint64{}, lost: map[string]uint64{},
	}
	for _, kind := range kinds {
		c.packets[kind] = 0
	}
	for _, proto := range []string{"esp", "ah"} {
		c.bytes[proto] = 0
	}
	return c
}

// maxLost bounds the kinds of losses that are told apart.
const maxLost = 64

// Saw is to be called with every event, under the lock.
func (c *Collector) Saw(e analyze.Event) {
	switch e := e.(type) {
	case *analyze.Frame:
		if kind := c.kindOf(e); kind != "" {
			c.packets[kind]++
		}
	case *analyze.Flow:
		proto := "esp"
		if e.Key.Proto == spd.ProtoAH {
			proto = "ah"
		}
		c.packets[proto] += e.Packets
		c.bytes[proto] += e.Bytes
	case *analyze.Lost:
		if _, known := c.lost[e.What]; known || len(c.lost) < maxLost {
			c.lost[e.What] += max(e.Count, 1)
		}
	}
}

// Kinds of packets.
var kinds = []string{"esp", "ah", "ike", "nd", "arp", "icmp_error", "fragment", "other"}

// kindOf returns the kind of a frame, "" for the first ones of ESP and AH, which
// are counted as flows.
func (c *Collector) kindOf(f *analyze.Frame) string {
	p := &c.decoded
	if p.Decode(f.Link, f.Data) != nil {
		return "other"
	}
	if _, _, ok := p.Flow(); ok {
		return ""
	}
	typ, icmpv6 := p.ICMPv6Type()
	switch {
	case p.IsARP():
		return "arp"
	case p.FragOffset > 0:
		return "fragment"
	case p.Proto == spd.ProtoUDP:
		return "ike"
	case icmpv6 && typ >= spd.RouterSolicitation && typ <= spd.Redirect:
		return "nd"
	case icmpv6, p.Proto == spd.ProtoICMP:
		return "icmp_error"
	}
	return "other"
}

// description of one metric.
func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ipsecdiag_"+name, help, labels, nil)
}

var (
	findingsOpen = description("findings_open", "Findings that are open now. Those with explained=\"true\" follow from another one.", "rule", "severity", "explained")
	packetsSeen  = description("packets_total", "Packets seen, by kind.", "kind")
	bytesSeen    = description("bytes_total", "Bytes of ESP and AH seen, link layer included.", "protocol")
	lostTotal    = description("lost_total", "What was not seen: frames that the kernel dropped, netlink overruns, forgotten state.", "what")
	xfrmCounter  = description("xfrm_counter_total", "Counters of /proc/net/xfrm_stat, by the kernel's names.", "host", "name")
	policies     = description("policies", "Policies in the kernel, those of sockets left out.", "host", "direction")
	sas          = description("sas", "SAs in the kernel. larval: the kernel has asked for it and waits.", "host", "state")
	acquires     = description("acquires_outstanding", "SAs that traffic waits for.", "host")
	listeners    = description("acquire_listeners", "Sockets that may be an IKE daemon's and get ACQUIREs.", "host")
	pairs        = description("pairs", "Pairs of hosts that are followed.")
	espSilence   = description("esp_silence_seconds", "Time since the last ESP or AH packet of a pair in one direction.", "src", "dst")
	pairsLeftOut = description("pairs_left_out", "Pairs with ESP that have no metrics of their own, since there are too many.")
)

// Describe satisfies prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		findingsOpen, packetsSeen, bytesSeen, lostTotal, xfrmCounter, policies, sas, acquires, listeners, pairs, espSilence, pairsLeftOut,
	} {
		to <- d
	}
}

// Collect satisfies prometheus.Collector. The lock is held while it looks, not
// while it sends.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, m := range c.look() {
		to <- m
	}
}

// samples are the metrics of one asking.
type samples []prometheus.Metric

func (s *samples) gauge(d *prometheus.Desc, value float64, labels ...string) {
	*s = append(*s, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, valid(labels)...))
}

func (s *samples) counter(d *prometheus.Desc, value uint64, labels ...string) {
	*s = append(*s, prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), valid(labels)...))
}

func (c *Collector) look() samples {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s samples
	c.findings(&s)
	for _, kind := range slices.Sorted(maps.Keys(c.packets)) {
		s.counter(packetsSeen, c.packets[kind], kind)
	}
	for _, proto := range slices.Sorted(maps.Keys(c.bytes)) {
		s.counter(bytesSeen, c.bytes[proto], proto)
	}
	for _, what := range slices.Sorted(maps.Keys(c.lost)) {
		s.counter(lostTotal, c.lost[what], what)
	}
	for _, h := range c.engine.State.Hosts {
		if h.Told() {
			kernel(&s, h)
		}
	}
	c.pairs(&s)
	return s
}

// findings counts the open ones of every rule; a rule without any has a zero, so
// that an alert knows it from one that is not asked.
func (c *Collector) findings(s *samples) {
	type class struct{ rule, severity, explained string }
	open := map[class]int{}
	for _, r := range rules.All {
		open[class{r.ID, r.Severity.String(), "false"}] = 0
	}
	for _, f := range c.engine.Findings() {
		if f.State == rules.Open {
			open[class{f.Rule, f.Severity.String(), boolText(f.ExplainedBy != "")}]++
		}
	}
	order := slices.SortedFunc(maps.Keys(open), func(a, b class) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.severity, b.severity), cmp.Compare(a.explained, b.explained))
	})
	for _, k := range order {
		s.gauge(findingsOpen, float64(open[k]), k.rule, k.severity, k.explained)
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// kernel tells what a host's kernel counts and holds.
func kernel(s *samples, h *analyze.Host) {
	host := h.Origin.String()
	state := h.Kernel()
	for _, name := range slices.Sorted(maps.Keys(state.Counters)) {
		if len(name) > 4 && name[:4] == "Xfrm" {
			s.counter(xfrmCounter, state.Counters[name], host, name)
		}
	}
	s.gauge(listeners, float64(len(h.Daemons())), host)
	if !h.KernelSeen {
		return
	}
	count := map[spd.Direction]int{}
	for i := range state.Policies {
		if !state.Policies[i].Socket {
			count[state.Policies[i].Direction]++
		}
	}
	for _, d := range []spd.Direction{spd.In, spd.Out, spd.Fwd} {
		s.gauge(policies, float64(count[d]), host, d.String())
	}
	larval := 0
	for i := range state.SAs {
		if state.SAs[i].Larval() {
			larval++
		}
	}
	s.gauge(sas, float64(len(state.SAs)-larval), host, "live")
	s.gauge(sas, float64(larval), host, "larval")
}

// silence is one direction of a pair.
type silence struct {
	src, dst string
	last     time.Duration // event time
}

// pairs tells how long each pair has been silent in each direction, and how many
// SAs each host's traffic waits for.
func (c *Collector) pairs(s *samples) {
	n := 0
	var all []silence
	waiting := map[*analyze.Host]int{}
	c.engine.State.Pairs(func(p *analyze.Pair) {
		n++
		for _, v := range p.Views {
			if v.Need != nil && v.Need.Open() {
				waiting[v.Host]++
			}
		}
		all = append(all, silences(p)...)
	})
	s.gauge(pairs, float64(n))
	for _, h := range c.engine.State.Hosts {
		if h.KernelSeen {
			s.gauge(acquires, float64(waiting[h]), h.Origin.String())
		}
	}
	slices.SortFunc(all, func(a, b silence) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.src, b.src), cmp.Compare(a.dst, b.dst))
	})
	told := all[:min(len(all), 2*MaxPairs)]
	s.gauge(pairsLeftOut, float64((len(all)-len(told)+1)/2))
	for _, t := range told {
		s.gauge(espSilence, (c.engine.State.Now.Mono - t.last).Seconds(), t.src, t.dst)
	}
}

// silences returns the directions of a pair in which ESP or AH was ever seen.
func silences(p *analyze.Pair) []silence {
	last := map[[2]string]time.Duration{}
	for _, v := range p.Views {
		for _, f := range v.Flows {
			k := [2]string{f.Key.Src.String(), f.Key.Dst.String()}
			last[k] = max(last[k], f.Last.Mono)
		}
	}
	var list []silence
	for k, at := range last {
		list = append(list, silence{k[0], k[1], at})
	}
	return list
}
