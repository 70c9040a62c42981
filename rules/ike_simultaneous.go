package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// IKESimultaneous finds ends that have begun at the same time and made everything
// twice.
var IKESimultaneous = &Rule{
	ID:       "ike-simultaneous",
	Severity: Warning,
	Title:    "both ends began at once, and two IKE SAs stand",
	Doc: Doc{
		Symptom: "The daemons show two IKE SAs between the two hosts, and twice the CHILD SAs. Traffic passes, as a rule; but each rekeying is done " +
			"twice, and when one end ends what it takes for a duplicate, the other may still use it.",
		Cause: "Both ends are configured to begin (start_action = start, or traps at both and traffic in both directions at once). Each " +
			"answered the other's request before its own was through, and neither took one of the two back: IKE has rules for collisions of " +
			"rekeying, and none for that of two IKE SAs.",
		Recognised: "Two IKE SAs, each end the initiator of one, each begun before the other was up, and both up, with CHILD SAs, 20 s later: twice what " +
			"strongSwan waits before it ends a duplicate. Certain where this host's kernel has two SAs in each direction that differ in nothing but " +
			"SPI and keys; where its kernel was seen and has not, nothing is said. For information where a first request had to be sent " +
			"again: then something was in the way of both, such as a deadlock of neighbour discovery, and it happens once. From the wire alone it is likely: two connections look the same.",
		Remedy: "Let one end begin and the other wait to be called (strongSwan: start_action = none, or trap where traffic starts at either end; " +
			"libreswan: auto=add). One of the two may be ended by hand.",
		Sources: []string{
			"RFC 7296 section 2.8 (collisions of rekeying; of IKE_SA_INIT it says nothing)",
			"strongSwan src/libcharon/sa/ike_sa_manager.c: check_uniqueness (a duplicate is ended after 10 s, with unique = replace or keep)",
		},
	},
	Check: checkIKESimultaneous,
}

// simultaneousStands is for how long both must stand: twice the 10 s after which
// strongSwan ends a duplicate (ike_sa_manager.c: check_uniqueness).
const simultaneousStands = 20 * time.Second

func checkIKESimultaneous(p *Pass) {
	if len(p.View.IKE) < 2 {
		return
	}
	a, b, standing := crossing(p)
	twins := twinSAs(p)
	known := p.Host.KernelSeen && p.View.Local.IsValid()
	switch {
	case a.sa == nil:
		if gone := lastCrossing(p); !gone.IsZero() {
			p.ResolvePair(gone, "one of the two IKE SAs is gone")
		}
	case !p.Passed(a.up, simultaneousStands) || !p.Passed(b.up, simultaneousStands):
	case known && len(twins) == 0:
		p.ResolvePair(nowAt(p, p.Host), "the kernel has no SA twice")
	case !known && standing > 2: // several connections between the two
	default:
		reportSimultaneous(p, a, b, twins)
	}
}

// crossing returns two IKE SAs that were begun by either end before the other's was
// up, and both stand; and how many stand in all.
func crossing(p *Pass) (a, b ikeLife, standing int) {
	var all []ikeLife
	for _, sa := range p.View.IKE {
		if l, ok := lifeOf(p, sa); ok && l.end.IsZero() && withChild(p, sa) {
			all = append(all, l)
		}
	}
	for i := range all {
		for j := range all[:i] {
			if crossed(&all[j], &all[i]) {
				a, b = all[j], all[i]
			}
		}
	}
	return a, b, len(all)
}

func crossed(a, b *ikeLife) bool {
	return a.sa.Initiator == b.sa.Responder && a.sa.Responder == b.sa.Initiator && a.sa.Major == b.sa.Major &&
		a.sa.First.Mono < b.up.Mono && b.sa.First.Mono < a.up.Mono
}

// withChild reports whether the IKE SA came up with a CHILD SA, as far as is seen.
func withChild(p *Pass, sa *analyze.IKESA) bool { return outcomeOf(p, sa).end == ikeUp }

// lastCrossing returns when one of two that crossed ended, zero where none did.
func lastCrossing(p *Pass) (at analyze.Sighting) {
	var all []ikeLife
	for _, sa := range p.View.IKE {
		if l, ok := lifeOf(p, sa); ok {
			all = append(all, l)
		}
	}
	for i := range all {
		for j := range all[:i] {
			if !crossed(&all[j], &all[i]) {
				continue
			}
			for _, l := range []*ikeLife{&all[i], &all[j]} {
				if !l.end.IsZero() && l.end.Mono > at.Mono {
					at = l.end
				}
			}
		}
	}
	return at
}

// twinSAs returns an SA of each set that differs in nothing but SPI and keys, where
// there are sets in both directions.
func twinSAs(p *Pass) (twins []*spd.SA) {
	type like struct {
		ends  spd.Ends
		reqid uint32
		mark  spd.Mark
		ifID  uint32
		sel   spd.Selector
	}
	seen, directions := map[like]int{}, map[bool]bool{}
	for _, s := range liveSAs(p) {
		k := like{spd.EndsOf(s), s.ReqID, s.Mark, s.IfID, s.Selector}
		seen[k]++
		if seen[k] == 2 {
			twins = append(twins, s)
			directions[s.Src == p.View.Local] = true
		}
	}
	if len(directions) < 2 {
		return nil
	}
	return twins
}

func reportSimultaneous(p *Pass, a, b ikeLife, twins []*spd.SA) {
	f := p.Finding()
	f.Explanation = fmt.Sprintf("%s and %s have each begun an IKE SA with the other, %s apart, before either was up; both came up, and both stand. ",
		a.sa.Initiator, b.sa.Initiator, gapWords(a.sa.First, b.sa.First))
	f.Evidence = []Evidence{
		Saw(a.sa.First, "%s begins the IKE SA %s", a.sa.Initiator, a.sa.InitiatorSPI),
		Saw(b.sa.First, "%s begins the IKE SA %s", b.sa.Initiator, b.sa.InitiatorSPI),
		Saw(a.up, "the first of the two is up"), Saw(b.up, "the second is up"),
	}
	if len(twins) > 0 {
		f.Confidence = Certain
		f.Explanation += fmt.Sprintf("The kernel of %s has the SAs for the same traffic twice, in both directions. ", p.Host.Origin)
		for _, s := range twins {
			f.Evidence = append(f.Evidence, Saw(nowAt(p, p.Host), "two SAs %s → %s with the reqid %d", s.Src, s.Dst, s.ReqID))
		}
	} else {
		f.Explanation += "If they are not two connections, the same CHILD SAs stand twice. "
	}
	f.Explanation += "Traffic passes as long as both ends keep both; each is rekeyed by itself, and an end that takes one for a duplicate and ends it " +
		"cuts off the other."
	if held := heldUp(&a, &b); held != nil {
		f.Severity = Info
		f.Explanation += fmt.Sprintf(" Here it comes of what was in the way before: %s had to send its first request %s until it was answered, and when the "+
			"way was open what both ends had begun went through. That happens once, and there is nothing to do about it.", held.sa.Initiator,
			times(int(held.sa.Exchanges[0].Request.Count)))
		p.Report(f)
		return
	}
	end := b.sa.Initiator
	f.Remedies = []remedy.Remedy{{
		Action: "one-initiator", Params: map[string]string{"host": end.String()},
		Title:   fmt.Sprintf("let only one end begin; on the other, %s for instance, %s; then", end, setting(p, end, "children.….start_action = none", "auto=add")),
		Command: reload(p, end),
	}}
	p.Report(f)
}

// heldUp returns one of two IKE SAs whose first request was not answered at once, nil
// where both were. After a deadlock of neighbour discovery, or a link that was down, both
// daemons have a request under way: the two IKE SAs are no habit of theirs, and RFC 7296
// has both stand (section 2.8 is about rekeying, 2.25 about exchanges that cross within
// one IKE SA).
func heldUp(a, b *ikeLife) *ikeLife {
	for _, l := range []*ikeLife{a, b} {
		if len(l.sa.Exchanges) > 0 && l.sa.Exchanges[0].Request.Count > 1 {
			return l
		}
	}
	return nil
}

func gapWords(a, b analyze.Sighting) string {
	d := b.Mono - a.Mono
	if d < 0 {
		d = -d
	}
	return seconds(d)
}
