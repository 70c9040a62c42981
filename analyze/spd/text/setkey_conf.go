package text

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// confParser carries out a setkey.conf, command after command, as `setkey -f`
// does, on the result instead of the kernel.
type confParser struct {
	r     *Result
	file  string
	reqid uint32 // last one given to "unique" without a number
}

// confCommands are the commands that change something, or nothing where the
// value is nil (parse.y).
var confCommands = map[string]func(*confParser, Pos, *confWords){
	"add":       (*confParser).add,
	"delete":    (*confParser).deleteSA,
	"deleteall": (*confParser).deleteSA,
	"flush":     (*confParser).flush,
	"spdadd":    (*confParser).spdadd,
	"spdupdate": (*confParser).spdupdate,
	"spddelete": (*confParser).spddelete,
	"spdflush":  (*confParser).spdflush,
	"get":       nil, "getspi": nil, "dump": nil, "spddump": nil,
}

func parseSetkeyConf(r *Result, f File) {
	p := &confParser{r: r, file: f.Name, reqid: firstReqID - 1}
	for _, c := range commands(f.Data) {
		at := Pos{File: f.Name, Line: c.line()}
		name := c.tokens[0].text
		switch name {
		case "exit", "quit", "bye":
			return
		}
		do, ok := confCommands[name]
		switch {
		case c.unbalanced:
			r.Errors.add(at, "a quotation mark is not closed in the command that begins here; it is left out")
		case !c.closed:
			r.Errors.add(at, "the command that begins here has no semicolon at its end; setkey does not carry it out")
		case !ok || c.tokens[0].quoted:
			r.Errors.add(at, "not a command of setkey, or the semicolon before it is missing")
		case do != nil:
			w := &confWords{tokens: c.tokens[1:], line: at.Line}
			do(p, at, w)
			w.end()
			if w.bad != "" {
				r.Errors.add(Pos{File: f.Name, Line: w.badLine}, w.bad+"; the command is left out")
			}
		}
	}
}

// confWords reads the tokens of a command. The first failure sticks.
type confWords struct {
	tokens  []token
	line    int // of the last token read
	bad     string
	badLine int
}

func (w *confWords) fail(what string) {
	if w.bad == "" {
		w.bad, w.badLine = what, w.line
	}
	w.tokens = nil
}

// peek returns the next word; "" for strings and at the end.
func (w *confWords) peek() string {
	if len(w.tokens) == 0 || w.tokens[0].quoted {
		return ""
	}
	return w.tokens[0].text
}

func (w *confWords) take() (t token, ok bool) {
	if len(w.tokens) == 0 {
		return t, false
	}
	t = w.tokens[0]
	w.tokens, w.line = w.tokens[1:], t.line
	return t, true
}

func (w *confWords) next() string {
	t, ok := w.take()
	if !ok || t.quoted {
		return ""
	}
	return t.text
}

func (w *confWords) end() {
	if len(w.tokens) > 0 {
		w.line = w.tokens[0].line
		w.fail("more words than expected, or the semicolon is missing")
	}
}

func (w *confWords) u32(what string) uint32 {
	v, ok := number(w.next(), 32)
	if !ok {
		w.fail(what + ": not a number")
	}
	return uint32(v)
}

// flags skips -4, -6 and -n, which bear on names only.
func (w *confWords) flags() {
	for s := w.peek(); len(s) > 1 && s[0] == '-' && strings.Trim(s[1:], "46n") == ""; s = w.peek() {
		w.next()
	}
}

// address reads an address with perhaps a port. Names are not resolved.
func (w *confWords) address(what string) rangeSpec {
	r, ok := parseRange(w.next())
	if !ok || !r.prefix.IsSingleIP() {
		w.fail(what + ": not an IP address (names are not resolved)")
	}
	return r
}

// ranged reads an address range; blanks may stand in it.
func (w *confWords) ranged(what string) rangeSpec {
	s := w.next()
	for p := w.peek(); p != "" && (p[0] == '/' || p[0] == '[' || strings.HasSuffix(s, "/") || strings.HasSuffix(s, "[")); p = w.peek() {
		s += w.next()
	}
	r, ok := parseRange(s)
	if !ok {
		w.fail(what + ": not an IP address or range (names are not resolved)")
	}
	return r
}

// flush reads "flush [protocol]".
func (p *confParser) flush(_ Pos, w *confWords) {
	proto := uint8(spd.ProtoAny)
	if len(w.tokens) > 0 {
		proto, _ = w.protocol()
	}
	w.end()
	if w.bad == "" {
		p.r.deleteSAs(func(s *spd.SA) bool { return proto == spd.ProtoAny || s.Proto == proto })
	}
}

func (p *confParser) spdflush(_ Pos, w *confWords) {
	w.end()
	if w.bad != "" {
		return
	}
	for _, o := range append([]spd.Policy(nil), p.r.DB.Policies...) {
		if o.Type == spd.Main && !o.Socket {
			p.r.deletePolicy(o.Identity())
		}
	}
}
