package text

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// spdadd reads "spdadd [-46n] range range protocol [type,code] -P policy".
func (p *confParser) spdadd(at Pos, w *confWords) {
	sel, spec := p.spd(w)
	if w.bad != "" {
		return
	}
	if spec.action == "" {
		w.fail("the policy is not discard, none or ipsec")
		return
	}
	if spec.action == "ipsec" && len(spec.requests) == 0 {
		p.r.Warnings.add(at, "the policy says ipsec and asks for no SA: its packets pass in the clear")
	}
	p.put(at, sel, spec)
}

// put adds a policy and, to an inbound one, the one for forwarded packets.
func (p *confParser) put(at Pos, sel spd.Selector, spec policySpec) {
	p.r.addPolicy(spec.policy(sel, p.nextReqID), at)
	if spec.dir != spd.In {
		return
	}
	fwd := spec.forwarded()
	pol := fwd.policy(sel, p.nextReqID)
	if _, there := p.r.policies[pol.Identity()]; !there {
		p.r.addPolicy(pol, at)
	}
}

func (p *confParser) nextReqID() uint32 {
	p.reqid++
	return p.reqid
}

// spdupdate replaces the policy with that selector, which makes it the youngest.
func (p *confParser) spdupdate(at Pos, w *confWords) {
	before := *w
	p.spddelete(at, w)
	if w.bad == "" {
		*w = before
		p.spdadd(at, w)
	}
}

func (p *confParser) spddelete(_ Pos, w *confWords) {
	sel, spec := p.spd(w)
	if w.bad != "" {
		return
	}
	p.r.deletePolicy(spd.Identity{Selector: sel, Direction: spec.dir})
	if spec.dir == spd.In {
		p.r.deletePolicy(spd.Identity{Selector: sel, Direction: spd.Fwd})
	}
}

func (p *confParser) spd(w *confWords) (sel spd.Selector, spec policySpec) {
	w.flags()
	if w.peek() == "tagged" {
		w.fail("policies by tag do not exist on Linux")
		return
	}
	src := w.ranged("source")
	dst := w.ranged("destination")
	proto, ok := protocolNumber(w.next())
	if !ok {
		w.fail("not a known upper layer protocol")
	}
	if s := w.peek(); s != "" && s[0] != '-' {
		if wrong := upperSpec(proto, w.next(), &src, &dst); wrong != "" {
			w.fail(wrong)
		}
	}
	w.context()
	if w.bad == "" && familyOf(src.prefix.Addr()) != familyOf(dst.prefix.Addr()) {
		w.fail("source and destination are of different families")
	}
	w.policy(&spec)
	return pfkeySelector(src, dst, proto), spec
}

// context skips "-ctx doi alg string", SELinux's.
func (w *confWords) context() {
	if w.peek() != "-ctx" {
		return
	}
	w.next()
	w.u32("-ctx")
	w.u32("-ctx")
	w.take()
}

// policy reads -P and all that follows.
func (w *confWords) policy(spec *policySpec) {
	if w.next() != "-P" {
		w.fail("-P with the policy is missing")
		return
	}
	var all strings.Builder
	for len(w.tokens) > 0 {
		t, _ := w.take()
		if t.quoted {
			w.fail("a string in a policy")
			return
		}
		all.WriteString(t.text + " ")
	}
	s := specWords(all.String())
	*spec = policySpec{priority: priorityDefault}
	spec.head(s)
	for s.peek() != "" {
		spec.request(s)
	}
	if s.bad != "" {
		w.fail(s.bad)
	}
}
