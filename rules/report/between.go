package report

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// Crossing is what became of packets of one kind on the way from one observer to
// another, while both watched.
type Crossing struct {
	From string     `json:"from"` // observers
	To   string     `json:"to"`
	Kind string     `json:"kind"`          // "IKE message", "ESP packet", "neighbour solicitation" …
	SPI  string     `json:"spi,omitempty"` // of ESP and AH, or the initiator's of IKE; hexadecimal
	Src  netip.Addr `json:"src"`
	Dst  netip.Addr `json:"dst"`
	// Left are those that had time to arrive, Lost those of them that did not.
	Left    uint64 `json:"left"`
	Arrived uint64 `json:"arrived"`
	Lost    uint64 `json:"lost"`
	// FirstLost and LastLost are when the first and the last left that did not
	// arrive, Frame is the number of the first in the file of From; of ESP and AH
	// they are not known.
	FirstLost time.Time `json:"first_lost,omitzero"`
	LastLost  time.Time `json:"last_lost,omitzero"`
	Frame     uint64    `json:"first_lost_frame,omitempty"`
	// Unsure is set where the two clocks could not be compared.
	Unsure bool `json:"unsure,omitempty"`
	// Filtered is set where the file of To is a capture that holds nothing of the kind:
	// a filter may have left out what is counted as lost.
	Filtered bool `json:"filtered,omitempty"`

	class analyze.MarkClass
}

// Dropped is a counter of a kernel that rose: of packets that arrived there, and
// died there.
type Dropped struct {
	Host    string `json:"host"`
	Counter string `json:"counter"`
	Count   uint64 `json:"count"`
}

// between tells of several files.
func (sum *Summary) between(s *analyze.State) {
	if s.Alignment == nil {
		return
	}
	sum.Observers = s.Alignment.Observers
	for _, c := range s.Crossings() {
		if c.Left == 0 {
			continue
		}
		line := Crossing{
			From: c.From.String(), To: c.To.String(), Kind: c.Class.String(), Src: c.Src, Dst: c.Dst,
			Left: c.Left, Arrived: c.Arrived, Lost: c.Lost(), FirstLost: c.FirstLost().Time, LastLost: c.LastLost().Time,
			Frame: c.FirstLost().Number, Unsure: c.Unsure, class: c.Class,
			Filtered: filtered(s, c),
		}
		if c.SPI != 0 {
			line.SPI = fmt.Sprintf("%08x", c.SPI)
		}
		sum.Crossings = append(sum.Crossings, line)
	}
	for _, h := range s.Hosts {
		for _, name := range inboundDrops {
			if n, _, _ := h.Rise(name, 0); n > 0 {
				sum.Dropped = append(sum.Dropped, Dropped{h.Origin.String(), name, n})
			}
		}
	}
}

// filtered reports whether what is missing at the receiver may never have been
// captured there.
func filtered(s *analyze.State, c *analyze.Crossing) bool {
	i := slices.IndexFunc(s.Hosts, func(h *analyze.Host) bool { return h.Origin == c.To })
	return c.Lost() > 0 && (i < 0 || !s.Hosts[i].Captures(c.Class))
}

// inboundDrops are the counters of packets that xfrm_input and the policy check
// of what was received drop (net/xfrm/xfrm_proc.c).
var inboundDrops = []string{
	"XfrmInError", "XfrmInBufferError", "XfrmInHdrError", "XfrmInNoStates", "XfrmInStateProtoError",
	"XfrmInStateModeError", "XfrmInStateSeqError", "XfrmInStateExpired", "XfrmInStateMismatch",
	"XfrmInStateInvalid", "XfrmInTmplMismatch", "XfrmInNoPols", "XfrmInPolBlock", "XfrmInPolError",
	"XfrmAcquireError", "XfrmFwdHdrError", "XfrmInStateDirError",
}

// Clocks says in sentences how the files' clocks stood to each other.
func (sum *Summary) Clocks() []string {
	var all []string
	for i := range sum.Observers {
		if text := sum.clock(i); text != "" {
			all = append(all, text)
		}
	}
	return all
}

func (sum *Summary) clock(i int) string {
	v := &sum.Observers[i]
	first := &sum.Observers[0]
	switch {
	case v.Unread != "":
		return fmt.Sprintf("the clock of %s was not compared: %s. Its times are taken as they are.", v.Name, v.Unread)
	case i == 0 || v.Origin == first.Origin:
		return ""
	case v.Reference == "":
		return fmt.Sprintf("the clock of %s could not be compared with another: too few packets were seen by both. Its times are taken as they are.", v.Name)
	}
	both := count(uint64(v.Matched), "packet") + " that both saw"
	if v.Reference != first.Name {
		both = count(uint64(v.Matched), "packet") + " that it and " + v.Reference + " saw"
	}
	if v.Same {
		text := fmt.Sprintf("the clocks of %s and %s agree, as %s show", first.Name, v.Name, both)
		if v.Error >= 0 {
			return text + " (within " + rounded(max(v.Error, time.Millisecond)) + ")."
		}
		return text + "; they went one way only, so that a delay on the way is not told from the clocks."
	}
	text := fmt.Sprintf("the clock of %s is %s of that of %s", v.Name, ahead(v.Offset), first.Name)
	if v.Error >= 0 {
		text += fmt.Sprintf(" (± %s)", rounded(max(v.Error, time.Millisecond)))
	} else {
		text += ", the delay on the way included, for packets went one way only"
	}
	if v.DriftPPM != 0 {
		text += fmt.Sprintf(", and %s %.0f µs each second", gains(v.DriftPPM), math.Abs(v.DriftPPM))
	}
	return text + ", as " + both + " show. All times are those of " + first.Name + "."
}

func ahead(d time.Duration) string {
	if d < 0 {
		return rounded(-d) + " behind"
	}
	return rounded(d) + " ahead"
}

func gains(ppm float64) string {
	if ppm < 0 {
		return "loses"
	}
	return "gains"
}

func rounded(d time.Duration) string { return d.Round(time.Millisecond).String() }

// Ways says what became of packets between the observers: for each way in one line
// what arrived, and line by line what was lost, packets of one kind together, each
// SPI of ESP and AH by itself.
func (sum *Summary) Ways() []string {
	type way struct{ from, to string }
	type key struct {
		way
		class    analyze.MarkClass
		spi      string
		src, dst netip.Addr
	}
	lines, arrived := map[key]*Crossing{}, map[way]map[analyze.MarkClass]uint64{}
	var order []key
	var ways []way
	for _, c := range sum.Crossings {
		k := key{way: way{c.From, c.To}, class: c.class, src: c.Src, dst: c.Dst}
		if arrived[k.way] == nil {
			arrived[k.way] = map[analyze.MarkClass]uint64{}
			ways = append(ways, k.way)
		}
		if c.Lost == 0 {
			arrived[k.way][c.class] += c.Arrived
			continue
		}
		if c.class == analyze.MarkESP || c.class == analyze.MarkAH {
			k.spi = c.SPI
		}
		l := lines[k]
		if l == nil {
			l = &Crossing{SPI: k.spi, Kind: c.Kind, Unsure: c.Unsure, Filtered: c.Filtered}
			lines[k] = l
			order = append(order, k)
		}
		l.add(&c)
	}
	var all []string
	for _, w := range ways {
		for _, k := range order {
			if k.way == w {
				all = append(all, fmt.Sprintf("%s → %s: %s", w.from, w.to, lines[k].words(k.src, k.dst)))
			}
		}
		if n := arrived[w]; len(n) > 0 {
			all = append(all, fmt.Sprintf("%s → %s: %s arrived", w.from, w.to, arrivedWords(n)))
		}
	}
	return all
}

// arrivedWords count what arrived by its kind.
func arrivedWords(n map[analyze.MarkClass]uint64) string {
	var parts []string
	total := uint64(0)
	for _, class := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, counted(n[class], class.String()))
		total += n[class]
	}
	if total > 1 {
		return "all of " + list(parts)
	}
	return list(parts)
}

// counted is count, for nouns in y too.
func counted(n uint64, noun string) string {
	text := count(n, noun)
	if n != 1 {
		text = strings.Replace(text, "replys", "replies", 1)
	}
	return text
}

func (c *Crossing) add(o *Crossing) {
	c.Left, c.Arrived, c.Lost = c.Left+o.Left, c.Arrived+o.Arrived, c.Lost+o.Lost
	if c.FirstLost.IsZero() || !o.FirstLost.IsZero() && o.FirstLost.Before(c.FirstLost) {
		c.FirstLost, c.Frame = o.FirstLost, o.Frame
	}
	if o.LastLost.After(c.LastLost) {
		c.LastLost = o.LastLost
	}
}

func (c *Crossing) words(src, dst netip.Addr) string {
	what := counted(c.Left, c.Kind)
	if c.SPI != "" {
		what += " under SPI " + c.SPI
	}
	what += fmt.Sprintf(" from %s to %s", src, dst)
	switch {
	case c.Filtered:
		what += ", and no such packet is in that capture: lost on the way, or left out by its filter"
	case c.Arrived > 0:
		what += fmt.Sprintf(", %d of them lost on the way", c.Lost)
	case c.Left > 1:
		what += ", all of them lost on the way"
	default:
		what += ", lost on the way"
	}
	if !c.FirstLost.IsZero() {
		what += fmt.Sprintf(" (%s", c.FirstLost.UTC().Format(clock))
		if c.LastLost.After(c.FirstLost) {
			what += " to " + c.LastLost.UTC().Format(clock)
		}
		what += ")"
	}
	if c.Unsure {
		what += ", if the clocks are right"
	}
	return what
}

// maxWays bounds the lines about the way between observers.
const maxWays = 12

// between writes what several files tell together.
func (p *page) between(sum *Summary) {
	for i, text := range sum.Clocks() {
		p.hang(label(i, "Clocks"), bold, plain, text)
	}
	ways := sum.Ways()
	for i, text := range ways {
		if i == maxWays {
			p.para(10, plain, fmt.Sprintf("… and %d more of the kind.", len(ways)-i))
			break
		}
		p.hang(label(i, "Between"), bold, plain, text)
	}
	for i, text := range sum.Drops() {
		p.hang(label(i, "Dropped"), bold, plain, text)
	}
	if len(sum.Observers) > 0 {
		p.gap()
	}
}

// label names the first of several lines.
func label(i int, name string) string {
	if i > 0 {
		name = ""
	}
	return fmt.Sprintf("%-10s", name)
}

// Drops says what arrived at each host and died there.
func (sum *Summary) Drops() []string {
	parts := map[string][]string{}
	for _, d := range sum.Dropped {
		parts[d.Host] = append(parts[d.Host], fmt.Sprintf("%s +%d", d.Counter, d.Count))
	}
	var all []string
	for _, host := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, fmt.Sprintf("by the kernel of %s, of what arrived there: %s", host, strings.Join(parts[host], ", ")))
	}
	return all
}
