package rules

import (
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Times of neighbour discovery. A host that is asked answers at once; RFC 4861
// section 10: RETRANS_TIMER is 1 s, MAX_MULTICAST_SOLICIT 3, so that one
// resolution is over after 3 s; MAX_ANYCAST_DELAY_TIME holds an answer back by
// 1 s at most.
const (
	ndAnswerTime = 1 * time.Second
	ndResolution = 3 * time.Second
)

// ndSettle is how long after an answer no further solicitation must come before
// the answer is held to have been taken: a RETRANS_TIMER and a half.
const ndSettle = 1500 * time.Millisecond

// ndKind is what a search for a neighbour suffers from.
type ndKind uint8

const (
	ndFine          ndKind = iota // answered, or too early to tell
	ndAnswerCaught                // the target's own policy catches the advertisement
	ndAnswerRefused               // the asker's own policy drops the advertisement
	ndAskCaught                   // the asker's own policy catches the solicitation
	ndAnswerIgnored               // the asker does not take the advertisement, and its kernel is not seen
	ndMutual                      // target alive and starting IKE, yet it does not answer
	ndSilent                      // nobody answers, nothing points to IPsec
)

// ndCase is one search and what is wrong with it.
type ndCase struct {
	kind       ndKind
	confidence Confidence
	asker      netip.Addr
	target     netip.Addr
	res        *analyze.Resolution // nil where nothing was on the wire
	verdict    spd.Verdict         // of the packet that dies, where a kernel tells
	lost       uint64              // by how much the counter rose
	lostTo     analyze.Sighting
	ike        *analyze.IKESA // the target's own attempt
}

// policy returns the policy that catches the packet, nil where it is not known.
func (c *ndCase) policy() *spd.Policy {
	if len(c.verdict.Policies) == 0 {
		return nil
	}
	if n := c.verdict.MissingSA(); n != nil {
		return n.Policy
	}
	return c.verdict.Policies[len(c.verdict.Policies)-1]
}

// sure is Certain, unless the verdict rests on which of two policies of equal
// priority wins: kernels differ in that.
func (c *ndCase) sure() Confidence {
	if c.verdict.Tied != nil {
		return Likely
	}
	return Certain
}

// deadlock reports whether the case is that of neighbour discovery and IKE
// waiting for each other.
func (c *ndCase) deadlock() bool { return c.kind != ndFine && c.kind != ndSilent }

// ndJudged is how the searches of one view were judged, by the first rule that
// asked.
type ndJudged struct {
	judged bool
	cases  []ndCase
}

// ndCases judges every search of the view. The worst comes first.
func ndCases(p *Pass) []ndCase {
	s := &p.search
	if s.judged {
		return s.cases
	}
	s.judged, s.cases = true, s.cases[:0]
	for _, r := range p.View.Resolutions {
		if c := judgeResolution(p, r); c.kind != ndFine {
			s.cases = append(s.cases, c)
		}
	}
	if c := judgeUnasked(p); c.kind != ndFine {
		s.cases = append(s.cases, c)
	}
	return s.cases
}

// judgeResolution judges a search that was seen on the wire.
func judgeResolution(p *Pass, r *analyze.Resolution) ndCase {
	c := ndCase{asker: r.Asker, target: r.Target, res: r}
	h := p.Host
	switch {
	case r.ARP:
		return silent(p, c)
	case h.KernelSeen && h.Owns(r.Asker) && refused(p, &c), notTaken(p, &c):
		return c
	case !r.Open() || !p.Passed(r.First, ndAnswerTime):
		return c
	}
	if p.Exceeded(r.Last, 2*ndResolution) || !p.View.LastUnicast(r.Asker).Before(r.First) {
		return c // nobody asks any more, or the asker got through all the same
	}
	if t := targetKernel(p, r.Target); t != nil {
		return judgeTarget(p, t, c)
	}
	if mutual(p, &c) {
		return c
	}
	return silent(p, c)
}

// targetKernel returns the kernel that owns an end of a search, mostly the
// target, among all observers of the pair: what it says of its own advertisement
// outweighs what the wire suggests. One whose recording is over says nothing any more.
func targetKernel(p *Pass, target netip.Addr) *analyze.Host {
	for _, o := range p.views() {
		if o.Host.KernelSeen && o.Host.Owns(target) && (o.Host == p.Host || !p.State.Over(o.Host)) {
			return o.Host
		}
	}
	return nil
}

// judgeTarget asks the target's own policies what becomes of the advertisement.
func judgeTarget(p *Pass, t *analyze.Host, c ndCase) ndCase {
	c.verdict = answerVerdict(t, c.res)
	if c.verdict.Decision == spd.Protect && !c.verdict.Dies() {
		return c // answered under an SA, where nobody sees it
	}
	if !c.verdict.Dies() && c.res.Last.Mono < t.PoliciesChanged.Mono+ndAnswerTime {
		// What was asked before the policies let the answer pass was caught
		// then, and says nothing of now.
		return c
	}
	if c.verdict.Decision != spd.Protect || !arrived(p, t, c.res) {
		return silent(p, c)
	}
	c.kind = ndAnswerCaught
	c.lost, c.lostTo = t.RiseBetween(analyze.XfrmOutNoStates, c.res.First.Mono, c.res.Last.Mono+counterPoll)
	if c.lost > 0 {
		c.confidence = c.sure()
		return c
	}
	// The counter is polled each second: without a rise long after the first
	// solicitation the advertisement did not die there, and silent says so.
	return silent(p, c)
}

// arrived reports whether the target's own observer saw the solicitations come.
// Another one's sight of them does not show that no switch lost them.
func arrived(p *Pass, t *analyze.Host, r *analyze.Resolution) bool {
	for _, v := range p.views() {
		if v.Host != t {
			continue
		}
		own := v.Resolution(r.Asker, r.Target)
		return own != nil && own.Open() && own.Direction != analyze.DirOut
	}
	return false
}

// refused recognises an asker whose own inbound policy drops the advertisement:
// it keeps asking although the answer is on its wire, and XfrmInTmplMismatch
// counts (__xfrm_policy_check).
func refused(p *Pass, c *ndCase) bool {
	r := c.res
	if r.Reasked == 0 || r.LastAnswer.IsZero() || p.Exceeded(r.LastAnswer, ndResolution) {
		return false
	}
	c.verdict = p.Host.DB.Lookup(spd.In, spd.ICMPv6Flow(c.target, c.asker, spd.NeighborAdvertisement))
	if c.verdict.Decision != spd.Protect {
		return false
	}
	c.lost, _, c.lostTo = p.Host.Rise(analyze.XfrmInTmplMismatch, r.LastAnswer.Mono-ndResolution)
	if c.lost == 0 {
		return false
	}
	c.kind, c.confidence = ndAnswerRefused, c.sure()
	return true
}

// notTaken recognises, from the target's side or from the wire, that an asker
// with which there is to be IPsec does not take the advertisement: it has been
// answered and asked again at once, and again, and sends nothing to the target.
// An asker whose kernel is seen is judged by that.
func notTaken(p *Pass, c *ndCase) bool {
	if !unheeded(p, c.res) || p.Exceeded(c.res.LastAnswer, ndResolution) || !p.View.Involved() {
		return false
	}
	c.kind, c.confidence = ndAnswerIgnored, Likely
	return true
}

// unheeded reports whether the answers to a search did not end it, as far as can
// be told without the asker's kernel: nothing it has sent since shows that it
// knows the target's link-layer address.
func unheeded(p *Pass, r *analyze.Resolution) bool {
	if r.ARP || r.Ignored.IsZero() || targetKernel(p, r.Asker) != nil {
		return false
	}
	last := p.View.LastUnicast(r.Asker)
	return last.IsZero() || r.Ignored.Mono-last.Mono > ndResolution
}

// mutual recognises from the wire that the target is alive and starts IKE with
// the asker while it leaves the asker's solicitations unanswered, and that
// nothing unicast goes from the asker to the target. The target's IKE may come
// first, and the asker's need to reply to it be what it solicits for.
func mutual(p *Pass, c *ndCase) bool {
	r := c.res
	if r.Count < 2 || !p.View.LastUnicast(c.asker).Before(r.First) {
		return false
	}
	for _, sa := range p.View.IKE {
		sp, from, _ := sa.Waiting()
		if sp != nil && establishing(sp.Exchange) && from == c.target && sp.LastSent.Mono >= r.First.Mono-ndResolution {
			c.kind, c.confidence, c.ike = ndMutual, Likely, sa
			return true
		}
	}
	return false
}

// silent is the case that nobody answers and IPsec has no part in it that can
// be seen. Who gets no answer asks again each second (RETRANS_TIMER). Probes that
// come one by one had their answers, be it where this observer does not look.
func silent(p *Pass, c ndCase) ndCase {
	c.kind = ndFine
	r := c.res
	if r.Open() && r.Repeats >= 2 && p.Passed(r.First, ndResolution+2*time.Second) && !p.Passed(r.Last, 2*ndResolution) {
		c.kind = ndSilent
	}
	return c
}

// judgeUnasked recognises a host whose own solicitations never reach the wire,
// because a policy catches them: its neighbour table says that it is asking,
// nothing is on the wire, and XfrmOutNoStates counts.
func judgeUnasked(p *Pass) ndCase {
	v, h := p.View, p.Host
	c := ndCase{asker: v.Local, target: v.Peer}
	if !h.KernelSeen || !v.Local.IsValid() || !v.Local.Is6() || len(h.Daemons()) == 0 {
		return c
	}
	n, since, ok := h.Neighbor(v.Peer)
	if !ok || (n.State != "INCOMPLETE" && n.State != "FAILED") {
		return c
	}
	if r := v.Resolution(v.Local, v.Peer); r != nil && r.Open() {
		return c
	}
	f := spd.ICMPv6Flow(v.Local, analyze.SolicitedNode(v.Peer.WithZone("")), spd.NeighborSolicitation)
	f.IfIndex = n.IfIndex
	c.verdict = h.DB.Lookup(spd.Out, f)
	if c.verdict.Decision != spd.Protect || c.verdict.MissingSA() == nil {
		return c
	}
	if n.State == "FAILED" && p.Exceeded(since, 2*ndResolution) {
		return c // nobody asks any more
	}
	c.lost, _, c.lostTo = h.Rise(analyze.XfrmOutNoStates, since.Mono-time.Second)
	if c.lost > 0 {
		c.kind, c.confidence = ndAskCaught, c.sure()
	}
	return c
}

// ndOver returns what shows that the view's searches are no longer held up by
// IPsec, and in which words: an answer after which nobody asked again, or that
// nothing catches the answer to any open search any more.
func ndOver(p *Pass) (at analyze.Sighting, words string, ok bool) {
	if at, ok := ndSettled(p); ok {
		return at, "the advertisement passes now", true
	}
	for _, r := range p.View.Resolutions {
		if r.ARP || !r.Open() {
			continue
		}
		t := targetKernel(p, r.Target)
		if t == nil {
			return at, "", false
		}
		v := answerVerdict(t, r)
		switch {
		case v.Dies():
			return at, "", false
		case v.Decision == spd.Protect:
			at, words, ok = nowAt(p, t), "an SA carries the advertisement now", true
		case t.PoliciesChanged.Mono > r.First.Mono:
			at, words, ok = t.PoliciesChanged, "the policies let the advertisement pass from now on", true
		}
	}
	return at, words, ok
}

// nowAt is this moment at a host.
func nowAt(p *Pass, h *analyze.Host) analyze.Sighting {
	at := p.State.NowAt(h).In(h.Origin)
	at.Number = 0
	return at
}

// answerVerdict asks the target's policies what becomes of its advertisement.
func answerVerdict(t *analyze.Host, r *analyze.Resolution) spd.Verdict {
	f := spd.ICMPv6Flow(r.Target, r.Asker, spd.NeighborAdvertisement)
	f.IfIndex = t.InterfaceIndex(r.First.Origin().Interface)
	return t.DB.Lookup(spd.Out, f)
}

// ndSettled returns the sighting that shows that the view's searches are over:
// every search was answered, no policy of the asker refuses the answer, and
// nobody has asked again since.
func ndSettled(p *Pass) (at analyze.Sighting, ok bool) {
	for _, r := range p.View.Resolutions {
		if r.Open() || refuses(p.Host, r) || untaken(p.Host, r) || unheeded(p, r) {
			return at, false
		}
		if at.Before(r.LastAnswer) {
			at = r.LastAnswer
		}
	}
	return at, !at.IsZero() && p.Passed(at, ndSettle)
}

// untaken reports whether the asker's kernel dropped the last answer: its
// policies have let such answers pass only since then.
func untaken(h *analyze.Host, r *analyze.Resolution) bool {
	return !r.ARP && h.KernelSeen && h.Owns(r.Asker) && r.Reasked > 0 && r.LastAnswer.Mono < h.PoliciesChanged.Mono
}

// refuses reports whether the asker's own inbound policies drop an
// advertisement that comes in the clear.
func refuses(h *analyze.Host, r *analyze.Resolution) bool {
	if r.ARP || !h.KernelSeen || !h.Owns(r.Asker) {
		return false
	}
	v := h.DB.Lookup(spd.In, spd.ICMPv6Flow(r.Target, r.Asker, spd.NeighborAdvertisement))
	return v.Decision == spd.Protect && r.Reasked > 0
}

// times renders how often something happened.
func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return strings.TrimSpace(count(uint64(n))) + " times"
}
