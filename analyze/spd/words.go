package spd

import (
	"fmt"
	"strings"
)

// Counter returns the counter of /proc/net/xfrm_stat that rises with every
// packet of that verdict, "" where none does: it passes, or the default action
// blocks it on the way out. In the direction in and fwd it is that of a packet
// that comes in the clear.
func (v *Verdict) Counter(dir Direction) string {
	switch {
	case v.Decision == Protect && dir != Out:
		return "XfrmInTmplMismatch"
	case v.Decision == Protect && v.Dies():
		return "XfrmOutNoStates"
	case v.Decision != Discard:
		return ""
	case len(v.Policies) == 0 && dir == Out:
		return ""
	case len(v.Policies) == 0:
		return "XfrmInNoPols"
	case dir == Out:
		return "XfrmOutPolBlock"
	}
	return "XfrmInPolBlock"
}

// Line says in one line what becomes of the packet: "clear: ", "protect: " or
// "dies: ", and why.
func (e *Explanation) Line() string {
	v := &e.Verdict
	switch {
	case v.Decision == Clear:
		return "clear: " + e.whyClear()
	case v.Decision == Discard && len(v.Policies) == 0:
		return fmt.Sprintf("dies: no policy matches, and the default action of dir %s is block", e.Direction)
	case v.Decision == Discard:
		return "dies: blocked by " + blocker(v).String()
	}
	n := v.MissingSA()
	if n == nil {
		return "protect: " + e.carriers()
	}
	if e.SADUnknown {
		return fmt.Sprintf("protect: %s wants %s; whether there is such an SA is not known", head(n.Policy), n.Template)
	}
	return fmt.Sprintf("dies: %s wants %s, and there is no such SA", head(n.Policy), n.Template)
}

func (e *Explanation) whyClear() string {
	v := &e.Verdict
	switch {
	case v.Exempt != NotExempt:
		return v.Exempt.String() + " of the device exempts it"
	case len(v.Policies) == 0:
		return "no policy matches"
	}
	p := v.Policies[0]
	if !p.Bypass() {
		return "what " + head(p) + " asks for is optional (level use), and there is no SA"
	}
	return p.String()
}

// carriers names the SAs that a protected packet goes through.
func (e *Explanation) carriers() string {
	var s []string
	for _, n := range e.Verdict.Needs {
		s = append(s, fmt.Sprintf("%s SA spi %#08x", ProtocolName(n.SA.Proto), n.SA.SPI))
	}
	words := strings.Join(s, " and ") + ", by " + head(e.Verdict.Needs[0].Policy)
	if e.Direction != Out {
		words += "; in the clear it is dropped"
	}
	return words
}

func blocker(v *Verdict) *Policy {
	for _, p := range v.Policies {
		if p.Action == Block {
			return p
		}
	}
	return nil
}

// head is a policy without its templates.
func head(p *Policy) string {
	q := *p
	q.Templates = nil
	return strings.Replace(q.String(), " bypass", "", 1)
}

// Reason says why a policy wins or loses.
func (w *Weighed) Reason() string {
	p, o := w.Policy, w.Other
	switch {
	case w.Standing == NotAsked:
		return "main policies are not asked: a sub policy blocks"
	case w.Standing == Wins && w.By == ByPriority:
		return fmt.Sprintf("priority %d beats %d: the smaller number wins", p.Priority, o.Priority)
	case w.Standing == Wins && w.By == ByPlace && p.Exact():
		return fmt.Sprintf("for single hosts, before another of the same priority %d that is not (Linux 6.1)", p.Priority)
	case w.Standing == Wins && w.By == ByPlace:
		return fmt.Sprintf("first of all that are not for single hosts, before another of the same priority %d (Linux 6.1)", p.Priority)
	case w.By == ByPlace:
		return fmt.Sprintf("of the same priority %d as the winner, which this kernel takes whatever their age (Linux 6.1)", p.Priority)
	case w.Standing == Wins && w.By == ByAge:
		return fmt.Sprintf("older than another of the same priority %d", p.Priority)
	case w.Standing == Wins:
		return "the only " + p.Type.String() + " policy that matches"
	case w.By == ByPriority:
		return fmt.Sprintf("priority %d loses to %d: the smaller number wins", p.Priority, o.Priority)
	}
	return fmt.Sprintf("younger than the winner of the same priority %d", p.Priority)
}

// Unsure reports whether the packet passes or dies by an SA of which it is not
// known whether there is one.
func (e *Explanation) Unsure() bool {
	return e.SADUnknown && e.Verdict.Decision == Protect && e.Verdict.Dies()
}

// Would says what the policy does with the packet, or would have done.
func (e *Explanation) Would(w *Weighed) string {
	v := &w.Effect
	switch n := v.MissingSA(); {
	case v.Decision == Discard:
		return "block"
	case v.Decision == Clear && !w.Policy.Bypass():
		return "let it pass: its SA is optional"
	case v.Decision == Clear:
		return "let it pass in the clear"
	case n != nil && e.SADUnknown:
		return "protect it: " + n.Template.String()
	case n != nil:
		return "drop it: no SA for " + n.Template.String()
	case e.Direction != Out:
		return fmt.Sprintf("want it under SA spi %#08x", v.Needs[0].SA.SPI)
	}
	return fmt.Sprintf("protect it with SA spi %#08x", v.Needs[0].SA.SPI)
}

// Depends says on what the verdict depends beyond the policies themselves, ""
// where on nothing.
func (e *Explanation) Depends() string {
	for i := range e.Weighed {
		if w := &e.Weighed[i]; w.Standing == Wins && w.Depends {
			return dependence(w.Policy, w.Other, e.Order)
		}
	}
	for _, p := range e.Verdict.Policies {
		if p.Offload != nil && p.Offload.Flags&offloadPacket != 0 {
			return fmt.Sprintf("the policy is handed to the device #%d whole (packet offload): what the device does with packets "+
				"is not seen here, and the kernel keeps such policies before others (xfrm_policy_insert_list)", p.Offload.IfIndex)
		}
	}
	if n := e.Verdict.MissingSA(); n != nil && n.Stray != nil {
		return fmt.Sprintf("SA spi %#08x has another source, %s, and fits otherwise. Linux uses such an SA where both sources "+
			"happen to fall into one bucket of its hash table, which nobody can see", n.Stray.SPI, n.Stray.Src)
	}
	return ""
}

// offloadPacket is XFRM_OFFLOAD_PACKET.
const offloadPacket = 4

func dependence(p, o *Policy, order Order) string {
	words := fmt.Sprintf("two policies of the same priority %d would do different things. ", p.Priority)
	if p.Exact() != o.Exact() && order == OrderByPlace {
		words += "This kernel (6.1) takes the first of those that are not for single hosts, unless one before it was deleted since. "
	} else if p.Exact() != o.Exact() {
		words += "Linux 6.18 takes the older; older kernels (6.1) keep host-to-host selectors apart from wider ones and may take the other. "
	} else {
		words += "The older wins, unless one was replaced (ip xfrm policy update): it may have kept its place, and no dump tells. "
	}
	return words + "Give the one that is to win a smaller number"
}

// Conclusion says what follows from sub and main policies deciding together, ""
// where they do not.
func (e *Explanation) Conclusion() string {
	if len(e.Verdict.Policies) < 2 {
		return ""
	}
	sub, main := e.Verdict.Policies[0], e.Verdict.Policies[1]
	switch {
	case sub.Requires() && main.Bypass():
		return "the sub policy's demand stands: a bypass in main does not lift it"
	case sub.Bypass() && !main.Bypass():
		return "the sub policy lets it pass, and main policies still apply"
	}
	return "sub and main policies apply both"
}
