package text

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// ipPolicy is a policy of `ip xfrm policy` while it is read.
type ipPolicy struct {
	entry
	spd.Policy
}

// ipPolicyLines are the lines of a policy by their first word
// (xfrm_policy_info_print, xfrm_xfrma_print). What a later iproute2 adds is
// harmless only if it is listed here.
var ipPolicyLines = map[string]func(*ipPolicy, *words){
	"dir":    (*ipPolicy).dir,
	"socket": (*ipPolicy).dir,
	"tmpl":   (*ipPolicy).tmpl,
	"proto":  (*ipPolicy).tmplID,
	"level":  (*ipPolicy).level,
	"mark":   func(e *ipPolicy, w *words) { e.Mark = ipMark(w) },
	"if_id":  func(e *ipPolicy, w *words) { e.IfID = ipIfID(w) },
	"add":    func(e *ipPolicy, w *words) { e.AddTime, e.UseTime = e.ipUsage(w) },
	"crypto": func(e *ipPolicy, w *words) { e.Offload = ipOffload(e.p.r, w) },
	"packet": func(e *ipPolicy, w *words) { e.Offload = ipOffload(e.p.r, w) },

	// Not kept: limits of policies, algorithm masks, SELinux contexts.
	"lifetime": nil, "limit:": nil, "expire": nil, "enc-mask": nil, "security": nil, "lastused": nil,
}

// ipPolicyLine returns the handler of a line, nil where the line is not known.
func ipPolicyLine(w *words) func(any, *words) {
	if strings.HasSuffix(w.peek(), "(bytes),") {
		return skipLine
	}
	f, ok := ipPolicyLines[w.peek()]
	switch {
	case !ok:
		return nil
	case f == nil:
		return skipLine
	}
	return func(e any, w *words) { f(e.(*ipPolicy), w) }
}

var ipPolicyFlags = map[string]uint8{"localok": 1, "icmp": 2}

// dir reads "dir out [action block] [index N] priority N [ptype main] …".
func (e *ipPolicy) dir(w *words) {
	e.seen = true
	e.Socket = w.next() == "socket"
	e.direction(w)
	for w.peek() != "" {
		switch word := w.next(); word {
		case "action":
			if a := w.next(); a == "" || e.Action.UnmarshalText([]byte(a)) != nil {
				w.fail("action: not allow or block")
			}
		case "index":
			e.Index = w.u32(word)
		case "priority":
			e.Priority = w.u32(word)
		case "ptype":
			if t := w.next(); t == "" || e.Type.UnmarshalText([]byte(t)) != nil {
				w.fail("ptype: not main or sub")
			}
		case "share":
			w.next()
		case "flag":
			e.Flags = ipFlags(w, ipPolicyFlags)
		default:
			w.fail("not a known word of a policy")
		}
	}
}

// direction reads in, out or fwd. Before 2010 iproute2 had no word for the
// policies of sockets and printed XFRM_POLICY_MAX, 3, and more.
func (e *ipPolicy) direction(w *words) {
	d := w.next()
	if n, ok := number(d, 8); ok && 3 <= n && n < 6 {
		e.Socket, e.Direction = true, spd.Direction(n-3)
		return
	}
	if err := e.Direction.UnmarshalText([]byte(d)); err != nil || e.Direction > spd.Fwd {
		w.fail("dir: not in, out or fwd")
	}
}

// tmpl reads "tmpl src A dst B", the first line of a template.
func (e *ipPolicy) tmpl(w *words) {
	var t spd.Template
	w.expect("tmpl", "src")
	t.Src = w.addr("src of the template")
	w.expect("dst")
	t.Dst = w.addr("dst of the template")
	t.Family = familyOf(t.Src)
	e.Templates = append(e.Templates, t)
}

// last returns the template that is being read.
func (e *ipPolicy) last(w *words) *spd.Template {
	if len(e.Templates) == 0 {
		w.fail("a line of a template without its first line")
		return new(spd.Template)
	}
	return &e.Templates[len(e.Templates)-1]
}

func (e *ipPolicy) tmplID(w *words) {
	t := e.last(w)
	t.Proto, t.SPI, t.ReqID, t.Mode = ipID(w)
}

// level reads "level required|use [share any]".
func (e *ipPolicy) level(w *words) {
	t := e.last(w)
	w.expect("level")
	switch level := w.next(); level {
	case "required", "0":
	case "use":
		t.Optional = true
	default:
		v, ok := number(level, 8)
		if !ok {
			w.fail("level: not required or use")
		}
		t.Optional = v != 0
	}
	if w.accept("share") {
		w.next()
	}
}
