package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// NDUnderPolicy finds neighbour discovery that a policy would catch.
var NDUnderPolicy = &Rule{
	ID:       "nd-under-policy",
	Severity: Error,
	Title:    "an IPsec policy catches neighbour discovery",
	Doc:      ndUnderPolicyDoc,
	Audit:    auditNDUnderPolicy,
	Needs:    []string{analyze.PartPolicies, analyze.PartSAs},
}

func auditNDUnderPolicy(p *Pass) {
	var crowd []*ndAudit
	all := p.ndAudits()
	for i := range all {
		a := &all[i]
		switch {
		case a.kind != ndUncovered:
		case a.named:
			reportUnderPolicy(p, a)
		default:
			crowd = append(crowd, a)
		}
	}
	if len(crowd) > 0 {
		reportCrowd(p, crowd)
	}
}

// ndAudits are shared by the rules that are asked at one time.
func (p *Pass) ndAudits() []ndAudit {
	if p.notes == nil {
		p.notes = new(auditNotes)
	}
	if !p.notes.judged {
		p.notes.nd, p.notes.judged = ndAudits(p), true
	}
	return p.notes.nd
}

func reportUnderPolicy(p *Pass, a *ndAudit) {
	f := ndFinding(p, a)
	switch {
	case a.manual(p.Host):
		f.Severity = Info
	case !a.direct:
		f.Severity = Warning
	}
	f.Explanation = underPolicyWords(p, a)
	f.Evidence = ndEvidence(p, a)
	for _, b := range a.helpless {
		f.Evidence = append(f.Evidence, Saw(p.Looked(), "does not help, %s: %s", missesWords(a, b), b))
	}
	if f.Severity > Info {
		f.Remedies = ndBypass(p, a.asCase())
	}
	p.Report(f)
}

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
	if !a.direct || slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return doubtful(&q.verdict, a.order) }) {
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

// asksCaught reports whether even the question that begins it is caught: then
// an SA does not help, for its own packets need the answer.
func (a *ndAudit) asksCaught() bool {
	return slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return q.step == ndFirst && q.dir == spd.Out && !q.answer() })
}

func underPolicyWords(p *Pass, a *ndAudit) string {
	where, q := hostWords(p.Host), a.first()
	var s strings.Builder
	fmt.Fprintf(&s, "On %s %s %s, and no bypass lets it pass. ", where, holderWords(holder(&q.verdict)), catchesWords(a, q))
	if !a.direct {
		fmt.Fprintf(&s, "Whether %s is on the same link is not known; if it is behind a router, this does no harm. ", a.peer)
	}
	if a.manual(p.Host) {
		s.WriteString("SAs that never expire carry it, and no IKE is needed for them: it works as long as they stand on both hosts.")
		return s.String()
	}
	s.WriteString(latentWords(a))
	return s.String()
}

// manual reports whether everything that is caught is carried by SAs made by
// hand: they have no lifetime, and no IKE daemon is there that made them.
func (a *ndAudit) manual(h *analyze.Host) bool {
	if len(h.Daemons()) > 0 {
		return false
	}
	return !slices.ContainsFunc(a.caught, func(q *ndPacket) bool { return !q.carried() || mortal(&q.verdict) })
}

func mortal(v *spd.Verdict) bool {
	return slices.ContainsFunc(v.Needs, func(n spd.Need) bool {
		l := n.SA.Limits
		return l.HardAdd+l.HardUse+l.HardBytes+l.HardPackets > 0
	})
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
func latentWords(a *ndAudit) string {
	if a.asksCaught() {
		return fmt.Sprintf("The solicitation itself is caught, and so are the probes of a known neighbour. It works while the neighbour "+
			"entries last. Once one is lost, as after a reboot, IKE and ESP wait for the link-layer address of %s, and no question "+
			"for it gets out any more.", a.peer)
	}
	words := "It works while both hosts know each other's link-layer address"
	if slices.ContainsFunc(a.caught, (*ndPacket).carried) {
		words += ", or an SA carries the advertisement, as one does now"
	}
	return words + ". Once a neighbour entry is lost and there is no SA, as after a reboot, the advertisement is lost, IKE cannot be " +
		"sent without it, and without IKE there will be no SA."
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
		ev = append(ev, Saw(p.Looked(), "the neighbour entry of %s is %s now", a.peer, a.entry))
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

// maxCrowd bounds how many neighbours are named.
const maxCrowd = 8

// reportCrowd tells of the neighbours that no policy names, under policies for
// whole networks: one finding for all.
func reportCrowd(p *Pass, crowd []*ndAudit) {
	f := p.Finding()
	f.Confidence = Certain
	var names []string
	var seen []netip.Addr
	for _, a := range crowd {
		if !a.direct {
			f.Confidence = Likely
		}
		if !slices.Contains(seen, a.peer) {
			seen = append(seen, a.peer)
		}
	}
	for i, peer := range seen {
		if i == maxCrowd {
			names = append(names, fmt.Sprintf("and %d more", len(seen)-maxCrowd))
			break
		}
		names = append(names, peer.String())
	}
	q := crowd[0].first()
	f.Explanation = fmt.Sprintf("On %s %s covers neighbours that it is hardly meant for, and catches neighbour discovery with them: %s. %s",
		hostWords(p.Host), holderWords(holder(&q.verdict)), strings.Join(names, ", "), latentWords(crowd[0]))
	f.Evidence = ndEvidence(p, crowd[0])
	f.Remedies = ndBypass(p, crowd[0].asCase())
	p.Report(f)
}

// hostWords names a host.
func hostWords(h *analyze.Host) string {
	if s := h.Origin.String(); s != "" {
		return s
	}
	return "this host"
}
