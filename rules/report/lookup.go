package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/lazy"
	"ipsecdiag/analyze/spd"
)

// Lookup is one packet that policies were asked about.
type Lookup struct {
	What        string // the packet's part in neighbour discovery, "" for others
	Explanation spd.Explanation
}

// Devices are the names of interfaces by index.
type Devices map[int]string

// DevicesOf returns the names of a host's links.
func DevicesOf(links []analyze.Link) Devices {
	d := Devices{}
	for _, l := range links {
		d[l.Index] = l.Name
	}
	return d
}

var deviceNumber = lazy.Regexp(`#\d+`)

// name puts names in the place of numbers ("dev #2").
func (d Devices) name(s string) string {
	return deviceNumber().ReplaceAllStringFunc(s, func(n string) string {
		i, err := strconv.Atoi(n[1:])
		if name, ok := d[i]; ok && err == nil {
			return name
		}
		return n
	})
}

// LookupText writes for people what becomes of packets, and why: of one the
// verdict and all its reasons, of several a list and the reasons for those that
// die.
func LookupText(w io.Writer, lookups []Lookup, d Devices, o Options) error {
	p := newPage(o)
	l := lookupPage{p, d}
	if len(lookups) > 1 {
		l.list(lookups)
	}
	for _, same := range alike(lookups) {
		if len(lookups) > 1 {
			p.gap()
		}
		l.one(same)
	}
	return p.flush(w)
}

// alike returns the lookups whose reasons are to be told, together where they
// have the same.
func alike(lookups []Lookup) (out [][]*Lookup) {
	place := map[string]int{}
	for i := range lookups {
		e := &lookups[i].Explanation
		if len(lookups) > 1 && !e.Verdict.Dies() {
			continue
		}
		reasons := fmt.Sprint(e.Line(), e.Near, len(e.Weighed))
		at, known := place[reasons]
		if !known {
			at = len(out)
			place[reasons] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], &lookups[i])
	}
	return out
}

type lookupPage struct {
	*page
	devices Devices
}

// list writes a line for each packet, its verdict beneath.
func (l lookupPage) list(lookups []Lookup) {
	dying, unsure := 0, 0
	for i := range lookups {
		switch e := &lookups[i].Explanation; {
		case e.Unsure():
			unsure++
		case e.Verdict.Dies():
			dying++
		}
	}
	text := fmt.Sprintf("%d of %d packets would die", dying, len(lookups))
	if unsure > 0 {
		text += fmt.Sprintf(", and %d need an SA that is not known", unsure)
	}
	l.hang("", plain, bold, text)
	l.gap()
	for i := range lookups {
		e := &lookups[i].Explanation
		f := &e.Flow
		l.hang(fmt.Sprintf("  %-4s", e.Direction), plain, plain, fmt.Sprintf("%s → %s type %d: %s", f.Src, f.Dst, f.SrcPort, lookups[i].What))
		l.verdict("      ", e)
	}
}

// verdict writes the line that says what becomes of the packet.
func (l lookupPage) verdict(indent string, e *spd.Explanation) {
	word, why, _ := strings.Cut(l.devices.name(e.Line()), ": ")
	st := green
	switch {
	case e.Unsure():
		st = yellow
	case e.Verdict.Dies():
		st = red
	}
	l.hang(indent+word+": ", st, plain, why)
}

// one writes the reasons that lookups have in common.
func (l lookupPage) one(same []*Lookup) {
	e := &same[0].Explanation
	l.verdict("", e)
	for _, k := range same {
		text := l.devices.name(Question(&k.Explanation))
		if k.What != "" {
			text += ": " + k.What
		}
		l.hang("  ", plain, plain, text)
	}
	if c := e.Verdict.Counter(e.Direction); c != "" && !e.Unsure() {
		l.para(2, plain, c+" rises with each such packet"+whenClear(e))
	}
	l.weighed(e)
	l.paragraph("So", e.Conclusion())
	l.paragraph("It depends", e.Depends())
	l.near(e)
	l.sockets(e)
}

func whenClear(e *spd.Explanation) string {
	if e.Direction != spd.Out && !e.Verdict.Dies() {
		return " that comes in the clear"
	}
	return ""
}

// weighed is the table of all that matches.
func (l lookupPage) weighed(e *spd.Explanation) {
	if len(e.Weighed) == 0 {
		return
	}
	l.gap()
	l.para(2, bold, "What matches, in the order in which the kernel weighs it")
	for i := range e.Weighed {
		w := &e.Weighed[i]
		head := fmt.Sprintf("  %2d  %-9s  ", i+1, w.Standing)
		l.hang(head, plain, plain, l.devices.name(w.Policy.String()))
		l.para(displayWidth(head), faint, w.Reason()+"; would "+e.Would(w))
	}
}

func (l lookupPage) paragraph(title, text string) {
	if text != "" {
		l.gap()
		l.hang("  "+title+": ", bold, plain, text)
	}
}

func (l lookupPage) near(e *spd.Explanation) {
	if len(e.Near) == 0 {
		return
	}
	l.gap()
	l.para(2, bold, "What would let it pass, and does not match")
	for _, n := range e.Near {
		l.hang("      ", plain, plain, l.devices.name(n.Policy.String()))
		for _, d := range n.Differs {
			l.hang("        but ", plain, faint, l.devices.name(d.String()))
		}
	}
}

func (l lookupPage) sockets(e *spd.Explanation) {
	if len(e.Sockets) == 0 {
		return
	}
	l.gap()
	l.para(2, bold, "Policies of single sockets, which come first for that socket's own packets")
	count, order := map[string]int{}, []string{}
	for _, p := range e.Sockets {
		text := l.devices.name(p.String())
		if count[text]++; count[text] == 1 {
			order = append(order, text)
		}
	}
	for _, text := range order {
		times := ""
		if n := count[text]; n > 1 {
			times = fmt.Sprintf(" (%d sockets)", n)
		}
		l.hang("      ", plain, plain, text+times)
	}
}

// Question says which packet was asked about.
func Question(e *spd.Explanation) string {
	f := &e.Flow
	s := fmt.Sprintf("%s → %s", f.Src, f.Dst)
	switch {
	case f.Proto == spd.ProtoAny:
		s += ", a protocol that no policy names"
	case f.Proto == spd.ProtoICMP || f.Proto == spd.ProtoICMPv6:
		s += fmt.Sprintf(" proto %s type %d code %d", spd.ProtocolName(f.Proto), f.SrcPort, f.DstPort)
	default:
		s += " proto " + spd.ProtocolName(f.Proto)
		if f.SrcPort != 0 || f.DstPort != 0 {
			s += fmt.Sprintf(" sport %d dport %d", f.SrcPort, f.DstPort)
		}
	}
	s += ", dir " + e.Direction.String()
	if f.Mark != 0 {
		s += fmt.Sprintf(", mark %#x", f.Mark)
	}
	if f.IfID != 0 {
		s += fmt.Sprintf(", if_id %#x", f.IfID)
	}
	return s + deviceWords(e)
}

// deviceWords tells of the devices where they are known: which the packet goes
// by, and with which selectors are compared.
func deviceWords(e *spd.Explanation) string {
	f := &e.Flow
	by := map[spd.Direction]string{spd.Out: "out by", spd.In: "in by", spd.Fwd: "in by"}[e.Direction]
	switch {
	case f.Via == 0:
		return ""
	case f.IfIndex == 0:
		return fmt.Sprintf(", %s #%d (selectors with a device do not match: IPv6 of a socket that is bound to none)", by, f.Via)
	case f.IfIndex == f.Via:
		return fmt.Sprintf(", %s #%d", by, f.Via)
	case e.Direction == spd.Fwd:
		return fmt.Sprintf(", %s #%d and out by #%d", by, f.Via, f.IfIndex)
	}
	return fmt.Sprintf(", %s #%d (selectors are compared with the route's device, #%d)", by, f.Via, f.IfIndex)
}
