package rules

import (
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// ikeEnd is how far an attempt at an IKE SA came, as the wire shows it. What comes
// later has come further.
type ikeEnd uint8

const (
	ikeBegun      ikeEnd = iota // nothing yet decides
	ikeRefused                  // NO_PROPOSAL_CHOSEN in the clear
	ikeOtherGroup               // INVALID_KE_PAYLOAD, and the initiator goes no further
	ikeUnproved                 // the responder answers the authentication with an error
	ikeSpurned                  // the initiator does not accept the responder's
	ikeChildless                // the IKE SA stands, and no CHILD SA came with it
	ikeUp                       // nothing is wrong that can be seen
)

// ikeOutcome is how an attempt ended.
type ikeOutcome struct {
	end ikeEnd
	sa  *analyze.IKESA
	// asked is the request that was refused, answer what decided; notify is what it
	// says, nil where that is encrypted.
	asked, answer analyze.Sighting
	notify        *analyze.SeenNotify
	by, to        netip.Addr // who refuses, and whom
	// repeats is set where the one who refuses says nothing to it, and repeats what it
	// said before.
	repeats bool
}

// ikeSettle is how long an outcome is left to stand before it is judged, so that what
// belongs to it is seen as well: the daemon's word, the kernel's SAs. A request that
// is to follow at once, with another group or the next step of EAP, has ikeFollow:
// strongSwan retransmits after 4 s, libreswan after 0.5 s. Seen from elsewhere it has
// ikeFollowAfar, until strongSwan has sent it a third time: after 4 and 7.2 s more.
const (
	ikeSettle     = 2 * time.Second
	ikeFollow     = 5 * time.Second
	ikeFollowAfar = 12 * time.Second
)

// ikeJudged is how the attempts of one view were judged, by the first rule that
// asked.
type ikeJudged struct {
	judged bool
	latest ikeOutcome
}

// ikeAttempts returns the latest outcome of the view's IKE SAs that decides
// something.
func ikeAttempts(p *Pass) ikeOutcome {
	j := &p.attempts
	if j.judged {
		return j.latest
	}
	j.judged = true
	for _, sa := range p.View.IKE {
		o := outcomeOf(p, sa)
		if o.end != ikeBegun && (j.latest.sa == nil || j.latest.answer.Mono <= o.answer.Mono) {
			j.latest = o
		}
	}
	return j.latest
}

// attemptsLike returns all attempts that ended as that one did, the oldest first.
func attemptsLike(p *Pass, latest ikeOutcome) (same []ikeOutcome) {
	for _, sa := range p.View.IKE {
		if o := outcomeOf(p, sa); o.end == latest.end && o.by == latest.by {
			same = append(same, o)
		}
	}
	return same
}

func outcomeOf(p *Pass, sa *analyze.IKESA) ikeOutcome {
	o := ikeOutcome{sa: sa, by: sa.Responder, to: sa.Initiator}
	switch {
	case sa.Major == 1:
		o.judgeV1(p)
	case sa.Major == 2:
		o.judgeV2(p)
	}
	return o
}

func (o *ikeOutcome) judgeV2(p *Pass) {
	sa := o.sa
	if x := sa.Exchange(ike.ExchangeIKEAuth); x != nil {
		o.judgeAuth(p, x)
		return
	}
	x := sa.Exchange(ike.ExchangeIKESAInit)
	if x == nil || !x.Answered() {
		if c := sa.Exchange(ike.ExchangeCreateChildSA); c != nil && c.Answered() {
			o.end, o.answer = ikeUp, c.Response.First()
		}
		return
	}
	o.asked = x.Request.First()
	for i := range sa.Errors {
		n := &sa.Errors[i]
		if n.From != sa.Responder || n.At.Mono < x.Request.First().Mono {
			continue
		}
		switch n.Type {
		case ike.NotifyNoProposalChosen:
			o.refuse(ikeRefused, n)
		case ike.NotifyInvalidKEPayload:
			if p.Passed(n.At, o.follow(p)) {
				o.refuse(ikeOtherGroup, n)
			}
		}
	}
}

// follow is how long an initiator is given to come back with another group. Where it is
// not seen itself, what it sends may be lost on the way, and what it sends again too.
func (o *ikeOutcome) follow(p *Pass) time.Duration {
	if viewOf(p, o.to) != nil {
		return ikeFollow
	}
	return ikeFollowAfar
}

// notifyName is the name of the notification that decided, as the logs of daemons have
// it: IKEv1's with underscores too.
func (o *ikeOutcome) notifyName() string { return strings.ReplaceAll(o.notify.Name, "-", "_") }

// refuse notes that a notification in the clear decided.
func (o *ikeOutcome) refuse(end ikeEnd, n *analyze.SeenNotify) {
	o.end, o.answer, o.notify = end, n.At, n
}

// judgeAuth goes by the shape of the last IKE_AUTH response: by its first payload,
// which its header names, and by what it has room for.
func (o *ikeOutcome) judgeAuth(p *Pass, x *analyze.IKEExchange) {
	sa, r := o.sa, &x.Response
	if !r.Whole() {
		return
	}
	o.asked, o.answer = x.Request.First(), r.First()
	room := sa.MostPlain(r)
	const notify, eap = 8, 4 // the headers of the payloads
	switch {
	case r.Inner == ike.PayloadNotify && room < notify+sa.LeastAuth():
		o.end = ikeUnproved
	case r.Inner == ike.PayloadEAP && room < eap+ikeSmallest && p.Passed(o.answer, ikeFollow):
		o.end = ikeUnproved // EAP-Failure: EAP-Success is followed by AUTH
	case r.Inner == ike.PayloadEAP:
		o.end = ikeBegun
	case r.Inner == ike.PayloadNotify && !suiteSeen(sa) && room < leastWithChild(sa, r.Inner):
		o.end = ikeBegun // of which the two refusals it is, only the length without padding tells
	default:
		o.judgeAuthenticated(p, x)
	}
}

// suiteSeen reports whether the algorithms that were chosen are known: the capture
// began early enough.
func suiteSeen(sa *analyze.IKESA) bool {
	x := sa.Exchange(ike.ExchangeIKESAInit)
	return x != nil && x.Answered()
}

// ikeSmallest is the room for one notification without data, or less, with the
// padding of a block cipher.
const ikeSmallest = 16

// judgeAuthenticated goes on where the responder has authenticated itself.
func (o *ikeOutcome) judgeAuthenticated(p *Pass, x *analyze.IKEExchange) {
	sa := o.sa
	o.end = ikeUp
	if n := spurning(sa, x); n != nil {
		o.end, o.asked, o.answer = ikeSpurned, x.Response.First(), n.Request.First()
		o.by, o.to = sa.Initiator, sa.Responder
		return
	}
	if made := childMade(sa, o.answer); !made.IsZero() {
		o.answer = made
		return
	}
	if asksChild(sa, &x.Request) && (tooShort(sa, &x.Response) || x.Request.Seen() && o.noneInKernel(p)) {
		o.end = ikeChildless
	}
}

// tooShort reports whether an answer that proves an identity, and begins with it or
// (after EAP) with the proof, has no room for a CHILD SA.
func tooShort(sa *analyze.IKESA, r *analyze.IKEMessage) bool {
	return (r.Inner == ike.PayloadIDr || r.Inner == ike.PayloadAuth) && sa.MostPlain(r) < leastWithChild(sa, r.Inner)
}

// spurning returns the exchange by which the initiator ends the IKE SA at once with
// nothing but one notification: it does not accept who the responder is. It is the
// last one, and comes soon: a notification of its own is also how MOBIKE tells later
// that there are no further addresses (RFC 4555 section 3.6).
func spurning(sa *analyze.IKESA, auth *analyze.IKEExchange) *analyze.IKEExchange {
	x := &sa.Exchanges[len(sa.Exchanges)-1]
	if x.Type == ike.ExchangeInformational && x.ByInitiator && x.MessageID == auth.MessageID+1 &&
		x.Request.Inner == ike.PayloadNotify && sa.MostPlain(&x.Request) < ikeSmallest &&
		x.Request.First().Mono-auth.Response.First().Mono < ikeFollow {
		return x
	}
	return nil
}

// childMade returns when a later CREATE_CHILD_SA brought a CHILD SA (or a successor
// of the IKE SA), zero for never.
func childMade(sa *analyze.IKESA, since analyze.Sighting) analyze.Sighting {
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		if x.Type == ike.ExchangeCreateChildSA && x.Answered() && x.Response.Last().Mono >= since.Mono && !onlyNotify(sa, &x.Response) {
			return x.Response.First()
		}
	}
	return analyze.Sighting{}
}

// onlyNotify reports whether a message holds one notification and nothing else: as
// an answer to CREATE_CHILD_SA it is a refusal.
func onlyNotify(sa *analyze.IKESA, m *analyze.IKEMessage) bool {
	const withData = 8 // a group, an SPI
	return m.Inner == ike.PayloadNotify && sa.MostPlain(m) < ikeSmallest+withData
}

// The least that the payloads of a CHILD SA take, bytes: SA with one proposal of one
// transform, two selectors of one IPv4 range each (RFC 7296 sections 3.3, 3.13).
const (
	leastSA = 4 + 8 + 4 + 8
	leastTS = 8 + 16
	leastID = 8
)

// leastWithChild is the length of the shortest answer to IKE_AUTH that brings a
// CHILD SA.
func leastWithChild(sa *analyze.IKESA, inner ike.PayloadType) int {
	n := sa.LeastAuth() + leastSA + 2*leastTS
	if inner == ike.PayloadIDr {
		n += leastID
	}
	return n
}

// asksChild reports whether a request of IKE_AUTH may ask for a CHILD SA: one that is
// too short for that does not (RFC 6023). The last of several, as with EAP, does not
// tell: the first asked.
func asksChild(sa *analyze.IKESA, m *analyze.IKEMessage) bool {
	return !m.Seen() || m.Inner != ike.PayloadIDi || sa.MostPlain(m) >= leastID+sa.LeastAuth()+leastSA+2*leastTS
}

// noneInKernel reports whether this host, an end of the IKE SA, waits for an SA with
// the other end and has got none long after IKE_AUTH. Where only one direction was
// seen, whoever asked may have withdrawn.
func (o *ikeOutcome) noneInKernel(p *Pass) bool {
	n := p.View.Need
	return p.Host.KernelSeen && n != nil && n.Open() && n.Since.Mono <= o.answer.Mono && p.Passed(o.answer, ikeFollow) &&
		(n.Local == o.by && n.Peer == o.to || n.Local == o.to && n.Peer == o.by) && len(liveSAs(p)) == 0
}

// liveSAs returns the SAs with keys that this host's kernel has between the pair.
func liveSAs(p *Pass) (live []*spd.SA) {
	k := p.View.Pair.Key
	a, b := k.A.WithZone(""), k.B.WithZone("")
	for i := range p.Host.DB.SAs {
		s := &p.Host.DB.SAs[i]
		if !s.Larval() && !s.Reserved() && (s.Src == a && s.Dst == b || s.Src == b && s.Dst == a) {
			live = append(live, s)
		}
	}
	return live
}
