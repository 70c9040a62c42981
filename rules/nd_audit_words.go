package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// oneOfCrowd has only the first of the neighbours that no policy names reported:
// they suffer all from the same policies.
func oneOfCrowd(p *Pass, a *ndAudit) bool {
	return !a.named && slices.ContainsFunc(p.reports, func(f Finding) bool { return f.Subject == p.HostSubject() })
}

// ndFinding begins a finding on the neighbour discovery with one peer, or under
// policies for whole networks on the host.
func ndFinding(p *Pass, a *ndAudit) Finding {
	f := p.Finding()
	if a.named {
		f = p.PairFinding(a.local, a.peer)
	}
	f.Confidence = Certain
	if !a.fatal() || a.mayNotAsk() || a.manual(p.Host) {
		f.Severity = Warning
	}
	if !a.direct || a.mayNotAsk() || slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return doubtful(&q.verdict) }) {
		f.Confidence = Likely
	}
	return f
}

// asCase puts an audit as the remedy for what happens live wants it.
func (a *ndAudit) asCase() *ndCase {
	return &ndCase{asker: a.peer, target: a.local, verdict: a.first().verdict}
}

// first is the packet by which the fault is told: the advertisement that leaves,
// then the one that arrives, then the others.
func (a *ndAudit) first() *ndPacket {
	best := a.caught[0]
	for _, q := range a.caught[1:] {
		if q.rank() < best.rank() {
			best = q
		}
	}
	return best
}

func (q *ndPacket) rank() int {
	r := int(q.step) * 4
	if !q.answer() {
		r += 2
	}
	if q.dir != spd.Out {
		r++
	}
	return r
}

// fatal reports whether a part of the first resolution is caught, without which
// nothing else can be sent.
func (a *ndAudit) fatal() bool { return a.kind == ndHalf || a.catches(ndFirst) }

// catches reports whether a packet of that step is caught.
func (a *ndAudit) catches(step ndStep) bool {
	return slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return q.step == step })
}

// asksCaught reports whether even the question that begins it is caught: then
// an SA does not help, for its own packets need the answer.
func (a *ndAudit) asksCaught() bool {
	return slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return q.step == ndFirst && q.dir == spd.Out && !q.answer() })
}

func holderWords(w *spd.Policy) string {
	return fmt.Sprintf("the policy %s (priority %d)", w.Selector, w.Priority)
}

// catchesWords says what a policy does with the packet by which it is told.
func catchesWords(a *ndAudit, q *ndPacket) string {
	what := fmt.Sprintf("the neighbour solicitation for %s", a.peer)
	switch {
	case q.answer() && q.dir == spd.Out:
		what = fmt.Sprintf("the neighbour advertisement to %s", a.peer)
	case q.answer():
		what = fmt.Sprintf("the neighbour advertisement of %s", a.peer)
	case q.dir != spd.Out:
		what = fmt.Sprintf("the neighbour solicitation of %s", a.peer)
	}
	switch {
	case q.verdict.Decision == spd.Discard:
		return "blocks " + what
	case q.dir == spd.Out:
		return "catches " + what + " and wants an SA for it"
	}
	return "drops " + what + " where it comes in the clear"
}

// latentWords says how long it works all the same, and when it ends.
func latentWords(p *Pass, a *ndAudit) string {
	switch {
	case a.manual(p.Host):
		return "SAs that never expire carry it, and no IKE is needed for them: it works as long as they stand on both hosts."
	case !a.fatal() && !a.catches(ndProbe):
		return "Duplicate address detection finds nothing, because nothing leaves. The rest of neighbour discovery passes."
	case !a.fatal():
		return "A neighbour that is not known is found. One that is known is probed in vain now and then: its entry goes from PROBE to FAILED " +
			"within 3 s and is asked for anew, with a gap in the traffic."
	case a.asksCaught():
		words := "The solicitation itself is caught"
		if a.catches(ndProbe) {
			words += ", and so are the probes of a known neighbour"
		}
		return fmt.Sprintf("%s. It works while the neighbour entries last. Once one is lost, as after a reboot, IKE and ESP wait for the "+
			"link-layer address of %s, and no question for it gets out any more.", words, a.peer)
	}
	words := "It works while both hosts know each other's link-layer address"
	if slices.ContainsFunc(a.caught, a.carries) {
		words += ", or an SA carries the advertisement, as one does now"
	}
	words += ". Once a neighbour entry is lost and there is no SA, as after a reboot, the advertisement is lost, IKE cannot be " +
		"sent without it, and without IKE there will be no SA."
	if a.mayNotAsk() {
		words += fmt.Sprintf(" This host's entry for %s is permanent; if that of %s for this host is too, neither asks, and this does no harm.",
			a.peer, a.peer)
	}
	return words
}

// ndEvidence lists the policies that catch, with what each of them catches, and
// the neighbour entry as it is now.
func ndEvidence(p *Pass, a *ndAudit) []Evidence {
	var ev []Evidence
	var told []*spd.Policy
	for _, q := range a.caught {
		w := holder(&q.verdict)
		if slices.Contains(told, w) {
			continue
		}
		told = append(told, w)
		e := p.SawPolicy(w)
		e.Text += ": catches " + a.caughtBy(w)
		ev = append(ev, e)
	}
	if a.entry != "" {
		ev = append(ev, Saw(a.since, "the neighbour entry of %s is %s", a.peer, a.entry))
	}
	return ev
}

// caughtBy names the packets that a policy catches.
func (a *ndAudit) caughtBy(w *spd.Policy) string {
	var names []string
	for _, q := range a.caught {
		if holder(&q.verdict) == w && !slices.Contains(names, q.name()) {
			names = append(names, q.name())
		}
	}
	return strings.Join(names, ", ")
}

func missesWords(a *ndAudit, b *spd.Policy) string {
	for _, q := range a.caught {
		if why := otherwise(b, q); why != "" && b.Direction == q.dir {
			return why
		}
	}
	return "it is for other packets"
}

// hostWords names a host.
func hostWords(h *analyze.Host) string {
	if s := h.Origin.String(); s != "" {
		return s
	}
	return "this host"
}
