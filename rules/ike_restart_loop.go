package rules

import (
	"fmt"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// IKERestartLoop finds IKE SAs that come up and are torn down again and again.
var IKERestartLoop = &Rule{
	ID:       "ike-restart-loop",
	Severity: Error,
	Title:    "the IKE SA comes up and is torn down again and again",
	Doc:      ikeRestartLoopDoc,
	Check:    checkIKERestartLoop,
}

// An IKE SA is made for hours: strongSwan rekeys it after 4 h, libreswan after 8 h,
// and no product takes less than a minute (Cisco IOS: lifetime 60). Three that were
// torn down within minutes, each followed at once by another, are a loop; so are three
// reauthentications, each within a minute of the last.
const (
	restartLoop = 3
	restartLife = 10 * time.Minute
	reauthLife  = time.Minute
	restartPart = 5 * time.Second // ends that lie closer together are one
)

// restart is one IKE SA that ended, and the one that was begun in its place.
type restart struct {
	ikeLife
	next *analyze.IKESA
}

// restartKind is why they end.
type restartKind uint8

const (
	byOther restartKind = iota // one end deletes, the other begins anew
	bySelf                     // the end that deletes begins anew itself
	byDead                     // dead peer detection has no answer
)

func (r *restart) kind() restartKind {
	switch {
	case r.silent:
		return byDead
	case r.by == r.next.Initiator:
		return bySelf
	}
	return byOther
}

func checkIKERestartLoop(p *Pass) {
	if len(p.View.IKE) <= restartLoop {
		return
	}
	all, latest := restarts(p)
	if !isLoop(all) {
		return
	}
	last := &all[len(all)-1]
	if latest.end.IsZero() && !latest.up.IsZero() && p.Exceeded(latest.up, max(2*last.lived(), reauthLife)) {
		p.ResolvePair(latest.up, "the IKE SA that came up then stands")
		return
	}
	reportRestartLoop(p, all)
}

// restarts returns the IKE SAs that ended soon after they came up and were begun
// anew, and the latest that came up.
func restarts(p *Pass) (all []restart, latest ikeLife) {
	for _, sa := range p.View.IKE {
		l, ok := lifeOf(p, sa)
		if !ok {
			continue
		}
		if latest.up.Mono <= l.up.Mono {
			latest = l
		}
		if l.end.IsZero() || l.lived() > restartLife {
			continue
		}
		r := restart{l, begunAnew(p, &l)}
		if r.next == nil || (r.kind() == bySelf && l.lived() > reauthLife) {
			continue
		}
		all = append(all, r)
	}
	return all, latest
}

// isLoop tells a loop from a daemon with many connections that was restarted: what
// was begun anew was ended again, and that went on, or there are as many moments at
// which one ended.
func isLoop(all []restart) bool {
	moments, again := 0, false
	generation := make(map[*analyze.IKESA]int, len(all)) // how many ended before it, one for the other
	for i := range all {
		if i == 0 || all[i].end.Mono-all[i-1].end.Mono >= restartPart {
			moments++
		}
		ended := generation[all[i].sa] + 1
		again = again || ended > 1
		if ended >= restartLoop {
			return true
		}
		generation[all[i].next] = max(generation[all[i].next], ended)
	}
	return moments >= restartLoop && again
}

func reportRestartLoop(p *Pass, all []restart) {
	first, last := &all[0], &all[len(all)-1]
	kind, by := majority(all)
	f := p.Finding()
	if first.sa.Major >= 2 {
		f.Confidence = Certain
	}
	if kind == bySelf {
		f.Severity = Warning
	}
	f.Explanation = fmt.Sprintf("%s times within %s the IKE SA between %s and %s came up, was torn down again, and another was begun; they stood for "+
		"%s to %s. Each time the CHILD SAs go with it, and traffic is interrupted. %s", capitalised(count(uint64(len(all)))),
		seconds(last.end.Mono-first.up.Mono), first.sa.Initiator, first.sa.Responder, shortest(all), longest(all), loopWords(p, kind, by, last))
	for i := range all {
		if r := &all[i]; i < 3 || i == len(all)-1 {
			f.Evidence = append(f.Evidence, Saw(r.up, "the IKE SA %s is up", r.sa.InitiatorSPI), Saw(r.end, "%s", r.endWords()),
				Saw(r.next.First, "%s begins another", r.next.Initiator))
		}
	}
	f.Evidence = append(f.Evidence, saidEvidence(saidSince(p, first.sa.First, analyze.SaidDPDFailed))...)
	f.Remedies = loopRemedies(p, kind, by, last)
	p.Report(f)
}

// majority returns the usual reason, and who ends them.
func majority(all []restart) (kind restartKind, by netip.Addr) {
	type key struct {
		kind restartKind
		by   netip.Addr
	}
	n := map[key]int{}
	best := key{all[0].kind(), all[0].by}
	for i := range all {
		k := key{all[i].kind(), all[i].by}
		n[k]++
		if n[k] > n[best] {
			best = k
		}
	}
	return best.kind, best.by
}

func shortest(all []restart) string {
	d := all[0].lived()
	for i := range all {
		d = min(d, all[i].lived())
	}
	return seconds(d)
}

func longest(all []restart) string {
	d := all[0].lived()
	for i := range all {
		d = max(d, all[i].lived())
	}
	return seconds(d)
}

func (r *restart) endWords() string {
	switch {
	case r.silent:
		return fmt.Sprintf("%s asks whether the other end is alive, and has no answer", r.by)
	case r.sa.Major == 1:
		return fmt.Sprintf("%s sends an encrypted notification, the last thing that is said", r.by)
	}
	return fmt.Sprintf("%s deletes it", r.by)
}

func loopWords(p *Pass, kind restartKind, by netip.Addr, last *restart) string {
	other := last.sa.Initiator
	if other == by {
		other = last.sa.Responder
	}
	switch kind {
	case byDead:
		return fmt.Sprintf("%s asks by dead peer detection whether %s is alive, and gets no answer, though %s answers IKE_SA_INIT and IKE_AUTH: something "+
			"on the way or at %s drops the later messages, in one direction at least.", by, other, other, other)
	case bySelf:
		return fmt.Sprintf("%s deletes it and begins anew itself: it reauthenticates far too often (reauth_time, ikelifetime), or a script restarts "+
			"the connection.", by)
	}
	words := fmt.Sprintf("%s deletes it, and %s begins anew.", by, last.next.Initiator)
	if overlapping(p, last) {
		return words + fmt.Sprintf(" Two IKE SAs stand at a time: %s keeps one only (unique = replace; the same identity twice), and what it deletes "+
			"as a duplicate the other end makes again.", by)
	}
	return words + fmt.Sprintf(" Something at %s ends it: a script or a monitor, a lifetime or an inactivity that is far too short, or another "+
		"host with the same identity whose IKE SA takes the place of this one.", by)
}

// overlapping reports whether another IKE SA between the two stood when one was
// deleted.
func overlapping(p *Pass, r *restart) bool {
	for _, sa := range p.View.IKE {
		l, ok := lifeOf(p, sa)
		if ok && sa != r.sa && l.up.Mono < r.end.Mono && (l.end.IsZero() || l.end.Mono > r.end.Mono) {
			return true
		}
	}
	return false
}

func loopRemedies(p *Pass, kind restartKind, by netip.Addr, last *restart) []remedy.Remedy {
	log := remedy.Remedy{
		Action: "daemon-log", Params: map[string]string{"host": by.String()},
		Title: fmt.Sprintf("read on %s why it ends the IKE SA", by), Command: readLog,
	}
	switch {
	case kind == byDead:
		other := last.sa.Initiator
		if other == by {
			other = last.sa.Responder
		}
		return []remedy.Remedy{watchOn(other), log}
	case overlapping(p, last):
		return []remedy.Remedy{{
			Action: "one-initiator", Params: map[string]string{"host": by.String()},
			Title: fmt.Sprintf("let one end begin only: on %s start_action = trap or none (libreswan: auto=add), and close_action = none at the end that is "+
				"called; then", by),
			Command: reload(p, by),
		}, log}
	}
	return []remedy.Remedy{log}
}
