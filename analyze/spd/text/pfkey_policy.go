package text

import (
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// Priorities of libipsec (libpfkey.h). A higher "priority" of setkey is a
// smaller number of the kernel.
const (
	priorityHigh    = 0x40000000
	priorityDefault = 0x80000000
	priorityLow     = 0xc0000000
)

// firstReqID is the first reqid that the kernel gives to "unique" without a
// number (af_key.c gen_reqid, IPSEC_MANUAL_REQID_MAX + 1).
const firstReqID = 0x4000

// policySpec is what stands after -P, and what setkey -DP prints
// (policy_parse.y, ipsec_dump_policy.c).
type policySpec struct {
	dir      spd.Direction
	action   string // discard, none, ipsec, bypass, entrust; empty for a direction alone
	priority uint32
	given    bool // a priority is written
	requests []request
}

// request is one of the SAs that the policy asks for.
type request struct {
	proto    uint8
	mode     spd.Mode
	src, dst netip.Addr // of tunnels
	level    string     // default, use, require, unique
	reqid    uint32
}

// specWords splits the text of a policy as policy_token.l does.
func specWords(text string) *words {
	var out []string
	word := 0
	flush := func(i int) {
		if word < i {
			out = append(out, text[word:i])
		}
		word = i + 1
	}
	for i := range len(text) {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			flush(i)
		case '/', '-', '+', '[', ']':
			flush(i)
			out = append(out, string(c))
		}
	}
	flush(len(text))
	return &words{w: out}
}

// head reads the direction, the priority and the action.
func (s *policySpec) head(w *words) {
	if d := w.next(); (d != "in" && d != "out" && d != "fwd") || s.dir.UnmarshalText([]byte(d)) != nil {
		w.fail("the policy's direction is not in, out or fwd")
	}
	if p := w.peek(); p == "prio" || p == "priority" {
		w.next()
		s.readPriority(w)
	}
	switch a := w.next(); a {
	case "discard", "none", "ipsec", "bypass", "entrust", "":
		s.action = a
	default:
		w.fail("the policy is not discard, none or ipsec")
	}
}

// readPriority reads "N", "-N", "def", "low - N" and their like.
func (s *policySpec) readPriority(w *words) {
	bases := map[string]uint32{"high": priorityHigh, "def": priorityDefault, "low": priorityLow}
	base, named := bases[w.peek()]
	if named {
		w.next()
	} else {
		base = priorityDefault
	}
	s.given, s.priority = true, base
	switch {
	case w.accept("-"):
		s.priority = base + s.offset(w, named, 0x3fffffff)
	case named && w.accept("+"), !named:
		s.priority = base - s.offset(w, named, 0x40000000)
	}
}

func (s *policySpec) offset(w *words, named bool, most uint32) uint32 {
	if !named {
		most = 0x7fffffff
	}
	v, ok := number(w.next(), 32)
	if !ok || uint32(v) > most {
		w.fail("prio: not a priority that setkey takes")
	}
	return uint32(v)
}

// request reads "esp/tunnel/A-B/require", in which the end may be missing.
func (s *policySpec) request(w *words) {
	r := request{level: "default"}
	proto, ok := map[string]uint8{"esp": spd.ProtoESP, "ah": spd.ProtoAH, "ipcomp": spd.ProtoIPComp}[w.next()]
	if !ok {
		w.fail("the policy asks for something else than esp, ah or ipcomp")
	}
	r.proto = proto
	w.expect("/")
	switch w.next() {
	case "transport", "any":
		r.mode = spd.Transport
	case "tunnel":
		r.mode = spd.Tunnel
	default:
		w.fail("the mode is not transport or tunnel")
	}
	if w.accept("/") {
		if p := w.peek(); p != "/" && p != "" && ipsecProtocols[p] == 0 {
			s.endpoints(&r, w)
		}
		if w.accept("/") {
			r.readLevel(w)
		}
	}
	if r.mode == spd.Tunnel && !r.src.IsValid() {
		w.fail("a tunnel without the addresses of its ends")
	}
	if familyOf(r.src) != familyOf(r.dst) {
		w.fail("the ends of the tunnel are of different families")
	}
	s.requests = append(s.requests, r)
}

// endpoints reads "A-B", or "me-any", which leaves them open.
func (s *policySpec) endpoints(r *request, w *words) {
	if p := w.peek(); p == "me" || p == "any" {
		w.next()
		w.expect("-")
		if q := w.next(); q != "me" && q != "any" {
			w.fail("not me-any or any-me")
		}
		return
	}
	r.src = w.addr("first end of the tunnel")
	skipPort(w)
	w.expect("-")
	r.dst = w.addr("second end of the tunnel")
	skipPort(w)
}

func skipPort(w *words) {
	if w.accept("[") {
		w.next()
		w.expect("]")
	}
}

// readLevel reads "require", "unique:5", and what the kernel chose itself:
// "unique#16385".
func (r *request) readLevel(w *words) {
	word := w.peek()
	if word == "" || ipsecProtocols[word] != 0 { // nothing: the next request
		return
	}
	level, id, found := strings.Cut(w.next(), ":")
	if !found {
		level, id, found = strings.Cut(level, "#")
	}
	switch level {
	case "default", "use", "require", "unique":
		r.level = level
	default:
		w.fail("the level is not default, use, require or unique")
	}
	if found {
		v, ok := number(id, 32)
		if !ok {
			w.fail("the number after the level is none")
		}
		r.reqid = uint32(v)
	}
}

// policy returns what PF_KEY makes of s (af_key.c pfkey_spdadd,
// parse_ipsecrequest). In transport mode addresses are ignored. nextReqID gives
// reqids for "unique" without a number.
func (s *policySpec) policy(sel spd.Selector, nextReqID func() uint32) spd.Policy {
	p := spd.Policy{Selector: sel, Direction: s.dir, Priority: s.priority}
	if s.action == "discard" {
		p.Action = spd.Block
	}
	if s.action != "ipsec" {
		return p
	}
	for _, r := range s.requests {
		t := spd.Template{
			Proto: r.proto, Mode: r.mode, Optional: r.level == "use", ReqID: r.reqid,
			Family: sel.Family, Src: unspecified(sel.Family), Dst: unspecified(sel.Family),
		}
		if r.mode == spd.Tunnel {
			t.Src, t.Dst, t.Family = r.src, r.dst, familyOf(r.src)
		}
		if r.level == "unique" && t.ReqID == 0 {
			t.ReqID = nextReqID()
		}
		p.Templates = append(p.Templates, t)
	}
	return p
}

// forwarded returns the policy that setkey adds to every inbound one, so that
// `in` means what RFC 4301 says (setkeymsg_spdaddr; setkey -k would not). The
// level unique of the first request becomes require.
func (s *policySpec) forwarded() policySpec {
	f := *s
	f.dir = spd.Fwd
	f.requests = append([]request(nil), s.requests...)
	if len(f.requests) > 0 && f.requests[0].level == "unique" {
		f.requests[0].level, f.requests[0].reqid = "require", 0
	}
	return f
}
