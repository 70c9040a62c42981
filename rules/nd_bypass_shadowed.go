package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// NDBypassShadowed finds a bypass for neighbour discovery that another policy
// beats.
var NDBypassShadowed = &Rule{
	ID:       "nd-bypass-shadowed",
	Severity: Error,
	Title:    "a bypass for neighbour discovery is in vain",
	Doc: Doc{
		Symptom: "Policies that let ICMPv6 pass in the clear were added (setkey: none; ip xfrm: no template; strongSwan: pass), and IPv6 " +
			"still hangs as if they were not there.",
		Cause: "The kernel takes the matching policy with the smallest priority number, of equal ones the older: a bypass that comes later, or " +
			"has the larger number, is never asked. setkey gives every policy 2147483648 unless told otherwise, so that there the order " +
			"of the lines decides; ip xfrm without a priority gives 0, which nothing beats. A bypass with a mark, an if_id or a device that " +
			"neighbour discovery has not, and one in main where a sub policy demands an SA, is in vain whatever its number. Between equal " +
			"priorities kernels before 6.12 do not go by age where one policy is for single hosts and the other is not: on 6.1, of two " +
			"policies ::/0 for types 135 and 136 the second lost against one from host to host in either order of lines.",
		Recognised: "Each packet of neighbour discovery with each peer is looked up: one is caught, and a bypass of ICMPv6 in the same " +
			"direction is for it. A warning where SAs made by hand carry it all the same, and where the bypass wins by its age or place alone, and not on every kernel. Likely where it rests on a tie in which " +
			"kernels differ, or where it cannot be told that the peer is on the same link.",
		Remedy: "Give the bypass a smaller number than the policy has that beats it. With setkey, put the none lines first and give them a " +
			"priority of their own (spdadd … -P out prio high + 1 none).",
		Sources: []string{
			"Linux net/xfrm/xfrm_policy.c: xfrm_policy_lookup_bytype, xfrm_policy_eval_candidates, xfrm_policy_match",
			"Linux include/uapi/linux/xfrm.h: XFRM_POLICY_TYPE_SUB, struct xfrm_mark",
			"setkey(8): policy priority",
			"RFC 4301 section 4.4.1 (the SPD is ordered)",
		},
	},
	Audit: auditNDBypassShadowed,
	Needs: []string{analyze.PartPolicies},
}

func auditNDBypassShadowed(p *Pass) {
	all := p.ndAudits()
	for i := range all {
		switch a := &all[i]; {
		case oneOfCrowd(p, a):
		case a.kind == ndShadowed:
			reportShadowed(p, a)
		case a.kind == ndByAge:
			reportByAge(p, a)
		}
	}
}

func reportShadowed(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	s := a.foremost()
	f.Explanation = fmt.Sprintf("On %s a bypass for %s is there, %s (priority %d), and does not help: %s. So %s %s. %s",
		hostWords(p.Host), packetWords(a, s.packet), s.bypass.Selector, s.bypass.Priority, s.words(),
		holderWords(s.winner), catchesWords(a, s.packet), latentWords(p, a))
	f.Evidence = append(shadowEvidence(p, a), ndEvidence(p, a)...)
	f.Remedies = shadowRemedies(p, a)
	p.Report(f)
}

// foremost is the shadow by which the fault is told.
func (a *ndAudit) foremost() *ndShadow {
	best := &a.shadows[0]
	for i := range a.shadows {
		if s := &a.shadows[i]; s.packet.rank() < best.packet.rank() {
			best = s
		}
	}
	return best
}

// packetWords names a packet of the exchange with a peer.
func packetWords(a *ndAudit, q *ndPacket) string {
	switch {
	case q.step == ndDAD:
		return q.name()
	case q.answer() && q.dir == spd.Out:
		return fmt.Sprintf("the neighbour advertisement to %s", a.peer)
	case q.answer():
		return fmt.Sprintf("the neighbour advertisement of %s", a.peer)
	case q.dir == spd.Out:
		return fmt.Sprintf("the neighbour solicitation for %s", a.peer)
	}
	return fmt.Sprintf("the neighbour solicitation of %s", a.peer)
}

// shadowEvidence lists each bypass that is in vain, once for each reason.
func shadowEvidence(p *Pass, a *ndAudit) []Evidence {
	var ev []Evidence
	var told []string
	for i := range a.shadows {
		s := &a.shadows[i]
		e := p.SawPolicy(s.bypass)
		e.Text += ": in vain, " + s.short()
		if !slices.Contains(told, e.Text) {
			told = append(told, e.Text)
			ev = append(ev, e)
		}
	}
	return ev
}

// shadowRemedies is the smallest change that helps: the bypass itself, made to
// win. Where a part has no bypass at all, or nothing beats what catches it, it is
// the whole bypass.
func shadowRemedies(p *Pass, a *ndAudit) []remedy.Remedy {
	steps := a.raise(&p.Host.DB)
	if len(steps) == 0 {
		return ndBypass(p, a.asCase())
	}
	title := "make the bypass win; run this on " + hostWords(p.Host)
	for i := range steps {
		steps[i].Device = p.Host.InterfaceName(steps[i].Policy.Selector.IfIndex)
	}
	return append([]remedy.Remedy{{
		Action: "nd-bypass-raise", Params: map[string]string{"host": hostWords(p.Host)},
		Title: title, Command: strings.Join(remedy.Commands(steps), "\n"),
	}}, inSetkey(p, steps)...)
}

// inSetkey is the same for the file from which the policies come, where they
// have setkey's priority: none otherwise.
func inSetkey(p *Pass, steps []remedy.Step) []remedy.Remedy {
	var lines []string
	for _, s := range steps {
		line, err := remedy.SetkeyLine(s.Policy)
		if err != nil || !s.Policy.Bypass() {
			return nil
		}
		lines = append(lines, line)
	}
	if !slices.ContainsFunc(p.Host.DB.Policies, func(q spd.Policy) bool { return q.Requires() && q.Priority == setkeyPriority }) {
		return nil
	}
	return []remedy.Remedy{{
		Action: "nd-bypass-setkey", Params: map[string]string{"host": hostWords(p.Host)},
		Title: "in setkey.conf, write this in place of the lines with the same selectors; the order does not matter then", Command: strings.Join(lines, "\n"),
	}}
}

// raise returns the steps that make the bypasses win, none where they would not
// do, or nothing beats what wins.
func (a *ndAudit) raise(db *spd.Database) []remedy.Step {
	all := slices.Concat(a.shadows, a.spare)
	hopeless := func(s ndShadow) bool { return s.winner.Action == spd.Block || s.winner.Priority == 0 }
	if len(a.shadows) < len(a.caught) || slices.ContainsFunc(all, hopeless) {
		return nil
	}
	var steps []remedy.Step
	for i := range all {
		s := &all[i]
		b := *s.bypass
		b.Type, b.Mark, b.IfID, b.Selector.IfIndex = s.winner.Type, spd.Mark{}, 0, 0
		b.Priority = remedy.Beats(s.winner.Priority)
		if !slices.ContainsFunc(steps, func(t remedy.Step) bool { return t.Policy.Identity() == b.Identity() }) {
			steps = append(steps, putPolicy(db, b))
		}
	}
	return steps
}

// putPolicy returns the step that puts q in the place of the policy with its
// identity, or adds it where there is none.
func putPolicy(db *spd.Database, q spd.Policy) remedy.Step {
	q.Index, q.AddTime, q.UseTime = 0, 0, 0
	op := remedy.AddPolicy
	if slices.ContainsFunc(db.Policies, func(o spd.Policy) bool { return !o.Socket && o.Identity() == q.Identity() }) {
		op = remedy.ReplacePolicy
	}
	return remedy.Step{Op: op, Policy: &q}
}

// reportByAge tells of a bypass that wins by its age alone, on some kernels.
func reportByAge(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	f.Severity, f.Confidence = Warning, Likely
	f.Title = "a bypass for neighbour discovery wins by its age alone"
	q := a.aged
	b, w := q.bypassMatched(), holder(&q.bare)
	why := "The bypass is older, which decides on Linux 6.12 and later; earlier kernels may decide otherwise where one of the two is for " +
		"single hosts and the other is not"
	if a.order == spd.OrderByPlace {
		f.Title = "a bypass for neighbour discovery wins by its place alone"
		why = "The bypass stands first of all policies that are for more than single hosts, which decides on this kernel (Linux 6.1), whatever " +
			"their age. One that is added before it, or was deleted before it, makes it lose"
	}
	f.Explanation = fmt.Sprintf("On %s the bypass %s lets %s pass, and %s would catch it. Both have the same priority. %s. A smaller number "+
		"settles it.", hostWords(p.Host), b.Selector, packetWords(a, q), holderWords(w), why)
	f.Evidence = []Evidence{p.SawPolicy(b), p.SawPolicy(w)}
	if b.Priority == 0 {
		f.Remedies = ndBypass(p, &ndCase{asker: a.peer, target: a.local})
		p.Report(f)
		return
	}
	steps := a.settled(&p.Host.DB)
	f.Remedies = append([]remedy.Remedy{{
		Action: "nd-bypass-raise", Params: map[string]string{"host": hostWords(p.Host)},
		Title:   "give the bypass a smaller number; run this on " + hostWords(p.Host),
		Command: strings.Join(remedy.Commands(steps), "\n"),
	}}, inSetkey(p, steps)...)
	p.Report(f)
}

// settled returns the steps that give every bypass that wins by its age alone a
// number of its own.
func (a *ndAudit) settled(db *spd.Database) []remedy.Step {
	var steps []remedy.Step
	for i := range a.packets {
		q := &a.packets[i]
		if !q.saved() || !kernelsDiffer(&q.verdict) {
			continue
		}
		b := *q.bypassMatched()
		b.Priority = remedy.Beats(b.Priority)
		if !slices.ContainsFunc(steps, func(s remedy.Step) bool { return s.Policy.Identity() == b.Identity() }) {
			steps = append(steps, putPolicy(db, b))
		}
	}
	return steps
}
