package text

import (
	"strings"
	"time"

	"ipsecdiag/analyze/spd"
)

// dumpParser reads the output of setkey -DP and setkey -D (pfkey_dump.c). An
// entry is a header at the margin and indented lines.
type dumpParser struct {
	r        *Result
	file     string
	location *time.Location
	policy   *dumpedPolicy
	sa       *dumpedSA
	skip     bool
	policies []dumpedPolicy
}

// dumpedPolicy is a policy of setkey -DP while it is read.
type dumpedPolicy struct {
	at       Pos
	sel      spd.Selector
	socket   bool
	spec     policySpec
	seen     bool // the line with the direction
	add, use uint64
	index    uint32
	bad      bool
}

func parseSetkeyDump(r *Result, o Options, f File) {
	p := &dumpParser{r: r, file: f.Name, location: o.location()}
	for l := range lines(f.Data) {
		if !idle(l.text) {
			p.line(Pos{File: f.Name, Line: l.n}, l.text)
		}
	}
	p.flush()
	for _, e := range oldestFirst(p.policies) {
		pol := e.spec.policy(e.sel, func() uint32 { return 0 })
		pol.Socket, pol.AddTime, pol.UseTime, pol.Index = e.socket, e.add, e.use, e.index
		r.addPolicy(pol, e.at)
	}
}

func (p *dumpParser) line(at Pos, text string) {
	if strings.HasPrefix(text, "No SAD entries") || strings.HasPrefix(text, "No SPD entries") {
		p.flush()
		return
	}
	if p.header(at, text) {
		return
	}
	w := split(text)
	var known bool
	var bad *bool
	var start Pos
	switch {
	case p.policy != nil:
		bad, start = &p.policy.bad, p.policy.at
		known = p.policyLine(w, text)
	case p.sa != nil:
		bad, start = &p.sa.bad, p.sa.at
		known = p.saLine(w)
	case p.skip:
		return
	}
	switch {
	case bad == nil:
		p.r.Errors.add(at, "not a line of setkey -D or setkey -DP")
	case !known:
		p.r.Errors.note(at, "not a known line of setkey's output; the entry is taken without it")
	default:
		if w.end(); w.bad != "" {
			p.r.Errors.add(at, w.bad+"; the entry of line "+lineNumber(start)+" is left out")
			*bad = true
		}
	}
}

// header begins an entry, if text is one: two addresses, and for a policy the
// protocol.
func (p *dumpParser) header(at Pos, text string) bool {
	if strings.HasPrefix(text, "(per-socket policy)") || strings.HasPrefix(text, "(no selector,") {
		p.flush()
		p.policy = &dumpedPolicy{at: at, socket: true}
		return true
	}
	f := strings.Fields(text)
	if len(f) < 2 {
		return false
	}
	src, ok := parseRange(f[0])
	if !ok || strings.HasSuffix(f[0], "(s)") {
		return false
	}
	p.flush()
	dst, ok := parseRange(f[1])
	switch {
	case !ok || familyOf(src.prefix.Addr()) != familyOf(dst.prefix.Addr()):
		p.skip = true
		p.r.Errors.add(at, "the second address of the header does not fit the first; the entry that begins here is left out")
	case len(f) == 2:
		p.sa = newDumpedSA(at, src, dst)
	default:
		p.policyHeader(at, src, dst, f[2:])
	}
	return true
}

func (p *dumpParser) policyHeader(at Pos, src, dst rangeSpec, rest []string) {
	proto, ok := protocolNumber(rest[0])
	wrong := ""
	switch {
	case !ok:
		wrong = "not a known upper layer protocol"
	case len(rest) == 2:
		wrong = upperSpec(proto, rest[1], &src, &dst)
	case len(rest) > 2:
		wrong = "more words than expected at the end of the line"
	}
	if wrong != "" {
		p.skip = true
		p.r.Errors.add(at, wrong+"; the entry that begins here is left out")
		return
	}
	p.policy = &dumpedPolicy{at: at, sel: pfkeySelector(src, dst, proto)}
}

// flush ends the entry that is being read.
func (p *dumpParser) flush() {
	if e := p.policy; e != nil && !e.bad {
		if e.seen {
			p.policies = append(p.policies, *e)
		} else {
			p.r.Errors.add(e.at, "a policy without the line of its direction; it is left out")
		}
	}
	if e := p.sa; e != nil && !e.bad {
		if e.seen {
			p.r.addSA(e.SA, e.keys(), e.at)
		} else {
			p.r.Errors.add(e.at, "an SA without the line of its SPI; it is left out")
		}
	}
	p.policy, p.sa, p.skip = nil, nil, false
}

// policyLine reads a line below the header of a policy.
func (p *dumpParser) policyLine(w *words, text string) (known bool) {
	e := p.policy
	switch first := w.peek(); {
	case first == "in" || first == "out" || first == "fwd":
		s := specWords(text)
		e.seen = true
		e.spec.head(s) // without a priority it is 0
		takeOver(w, s)
	case strings.HasPrefix(first, "esp/") || strings.HasPrefix(first, "ah/") || strings.HasPrefix(first, "ipcomp/"):
		s := specWords(text)
		e.spec.request(s)
		takeOver(w, s)
	case first == "created:":
		w.next()
		e.add = p.clock(w)
		w.expect("lastused:")
		e.use = p.clock(w)
	case strings.HasPrefix(first, "spid="):
		v, ok := number(strings.TrimPrefix(first, "spid="), 32)
		if !ok {
			w.fail("spid: not a number")
		}
		e.index, w.w = uint32(v), nil
	case first == "lifetime:" || first == "security" || strings.HasPrefix(first, "refcnt="):
		w.w = nil
	default:
		return false
	}
	return true
}

// takeOver ends w as s ended.
func takeOver(w, s *words) {
	s.end()
	w.w, w.bad = nil, s.bad
}

// clock reads "Nov 24 02:58:08 2026", the end of ctime(3); it is blank for
// never.
func (p *dumpParser) clock(w *words) uint64 {
	if s := w.peek(); s == "" || strings.HasSuffix(s, ":") {
		return 0
	}
	text := strings.Join([]string{w.next(), w.next(), w.next(), w.next()}, " ")
	t, err := time.ParseInLocation("Jan 2 15:04:05 2006", text, p.location)
	if err != nil || t.Unix() < 0 {
		w.fail("not a time")
		return 0
	}
	return uint64(t.Unix())
}
