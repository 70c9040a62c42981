package text

import (
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze/spd"
)

// ipParser reads the output of `ip xfrm policy` and `ip xfrm state`, with and
// without -s and -o, of iproute2 since 2.6.20. Both print entries of a header,
// which begins with "src" at the margin, and indented lines. The indentation,
// which pasting may lose, is not needed.
type ipParser struct {
	r        *Result
	file     string
	location *time.Location
	policy   *ipPolicy // entry that is being read
	state    *ipState
	skip     bool // the header could not be read: the entry is left out
	policies []ipPolicy
}

// entry is what policies and SAs have in common.
type entry struct {
	p    *ipParser
	at   Pos
	bad  bool // a line could not be read: the entry is left out
	seen bool // the line that makes it one: dir, proto
}

func parseIPXfrm(r *Result, o Options, f File) {
	p := &ipParser{r: r, file: f.Name, location: o.location()}
	for l := range lines(f.Data) {
		// With -o the ends of lines are backslashes.
		for part := range strings.SplitSeq(l.text, `\`) {
			if !idle(part) {
				p.line(Pos{File: f.Name, Line: l.n}, part)
			}
		}
	}
	p.flush()
	for _, e := range oldestFirst(p.policies) {
		r.addPolicy(e.Policy, e.at)
	}
}

func (p *ipParser) line(at Pos, text string) {
	w := split(text)
	if w.peek() == "src" {
		p.header(at, w)
		return
	}
	switch {
	case p.policy != nil:
		p.body(at, w, ipPolicyLine(w), p.policy, &p.policy.entry)
	case p.state != nil:
		p.body(at, w, ipStateLine(w, p.state), p.state, &p.state.entry)
	case !p.skip:
		p.r.Errors.add(at, "not a line of ip xfrm policy or ip xfrm state")
	}
}

// body reads a line of an entry with the handler for its first word, nil where
// there is none.
func (p *ipParser) body(at Pos, w *words, handle func(any, *words), e any, common *entry) {
	if handle == nil {
		p.r.Errors.note(at, "not a known line of ip xfrm output; the entry is taken without it")
		return
	}
	handle(e, w)
	w.end()
	if w.bad != "" {
		p.r.Errors.add(at, w.bad+"; the entry of line "+lineNumber(common.at)+" is left out")
		common.bad = true
	}
}

// header begins an entry. Policies begin with prefixes, SAs with addresses.
func (p *ipParser) header(at Pos, w *words) {
	p.flush()
	e := entry{p: p, at: at}
	if len(w.w) > 1 && strings.Contains(w.w[1], "/") {
		p.policy = &ipPolicy{entry: e}
		p.policy.Selector = ipSelector(p.r, w)
	} else {
		p.state = &ipState{entry: e}
		w.expect("src")
		p.state.Src = w.addr("src")
		w.expect("dst")
		p.state.Dst = w.addr("dst")
		p.state.Family = familyOf(p.state.Src)
	}
	w.end()
	if w.bad != "" {
		p.policy, p.state, p.skip = nil, nil, true
		p.r.Errors.add(at, w.bad+"; the entry that begins here is left out")
	}
}

// flush ends the entry that is being read.
func (p *ipParser) flush() {
	if e := p.policy; e != nil && !e.bad {
		switch {
		case !e.seen:
			p.r.Errors.add(e.at, "a policy without its line that begins with dir; it is left out")
		case slices.ContainsFunc(e.Templates, func(t spd.Template) bool { return t.Proto == 0 }):
			p.r.Errors.add(e.at, "a policy with a template without its line that begins with proto; it is left out")
		default:
			p.policies = append(p.policies, *e)
		}
	}
	if e := p.state; e != nil && !e.bad {
		if e.seen {
			p.r.addSA(e.SA, e.keys, e.at)
		} else {
			p.r.Errors.add(e.at, "an SA without its line that begins with proto; it is left out")
		}
	}
	p.policy, p.state, p.skip = nil, nil, false
}

// ipSelector reads a selector (xfrm_selector_print). Masks of ports are not
// printed: they are all ones as a rule.
func ipSelector(r *Result, w *words) spd.Selector {
	const all = 0xffff
	var s spd.Selector
	w.expect("src")
	s.Src = w.prefix("src")
	w.expect("dst")
	s.Dst = w.prefix("dst")
	s.Family = familyOf(s.Src.Addr())
	if s.Family != familyOf(s.Dst.Addr()) {
		w.fail("src and dst are of different families")
	}
	for w.peek() != "" {
		switch word := w.next(); word {
		case "proto":
			proto, ok := protocolNumber(w.next())
			if !ok {
				w.fail("proto: not a known protocol")
			}
			s.Proto = proto
		case "sport", "type":
			s.SrcPort, s.SrcPortMask = uint16(w.uint(word, 16)), all
		case "dport", "code":
			s.DstPort, s.DstPortMask = uint16(w.uint(word, 16)), all
		case "key": // GRE: the halves are in the ports
			key := w.u32(word)
			s.SrcPort, s.DstPort, s.SrcPortMask, s.DstPortMask = uint16(key>>16), uint16(key), all, all
		case "(dport)": // mobility header with -s, as the bytes lie in memory
			v := uint16(w.uint(word, 16))
			s.DstPort, s.DstPortMask = v>>8|v<<8, all
		case "dev":
			s.IfIndex = ipDevice(r, w)
		case "uid": // never used by the kernel
			w.u32(word)
		default:
			w.fail("not a known word of a selector")
		}
	}
	return s
}

func ipDevice(r *Result, w *words) int {
	name := w.next()
	if name == "" || len(name) > 15 { // IFNAMSIZ
		w.fail("dev: not an interface name")
		return 0
	}
	return r.device(name)
}
