package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// silenceKind is why an IKE exchange does not get on, as the wire tells it. The
// rules ike-no-response, ike-natt-blocked and ike-fragments-lost share one
// judgement, so that no two of them claim one exchange.
type silenceKind uint8

const (
	silenceNone      silenceKind = iota
	silencePlain                 // a request, and no answer
	silenceNATT                  // answered on port 500, not on 4500
	silenceFragments             // a large message that does not arrive whole
)

// silence is an IKE exchange that does not get on.
type silence struct {
	kind     silenceKind
	sa       *analyze.IKESA
	x        *analyze.IKEExchange
	from, to netip.Addr // who asks, and who is asked
	// unheard is set where answers were seen, and are asked for again all the same.
	unheard bool
	// partial is the message of which a part was seen and never the rest; nil
	// where that is not what is seen.
	partial *analyze.IKEMessage
	// headless is set where later IP fragments came without their first.
	headless bool
}

// Bounds beyond which an exchange is held to be stuck. A request that was sent
// three times over 10 s has lost more than a packet to bad luck, and the peer had
// time to answer even while it is busy with fifty others: strongSwan's third is sent
// after 11.2 s, libreswan's fifth after 7.5 s. What was answered and is asked for
// again may have lost as many answers: one more. Dead peer detection may meet a peer
// that restarts: three retransmissions of strongSwan last 24 s.
const (
	silentSent    = stallRepeats + 1
	silentTime    = 10 * time.Second
	unheardSent   = 4
	unheardTime   = 10 * time.Second
	deadSent      = 4
	deadTime      = 20 * time.Second
	partialCopies = 2
)

// checkSilence asks for one kind of silence: report claims it. What was answered
// from that rank on ends it.
func checkSilence(p *Pass, kind silenceKind, from int, report func(*Pass, *silence)) {
	if len(p.View.IKE) == 0 {
		return
	}
	s := judgeSilence(p)
	if s.kind != kind && !p.found {
		return // nothing to claim, and nothing to end
	}
	over := silenceOver(p, s, kind, from)
	switch {
	case !over.IsZero():
		p.ResolvePair(over, "IKE is answered now")
	case s.kind == kind && !p.Passed(s.sa.Last, ikeWindow):
		report(p, s)
	}
}

// silenceJudged is the silence of one view, as the first rule that asked has judged
// it.
type silenceJudged struct {
	judged bool
	silence
}

// judgeSilence returns the exchange of the view that does not get on, of several
// the latest; kind is silenceNone where there is none.
func judgeSilence(p *Pass) *silence {
	if j := &p.silence; !j.judged {
		*j = silenceJudged{true, latestSilence(p)}
	}
	return &p.silence.silence
}

func latestSilence(p *Pass) (s silence) {
	for _, sa := range p.View.IKE {
		if c := stuck(p, sa); c.kind != silenceNone && (s.kind == silenceNone || s.sa.Last.Before(sa.Last)) {
			s = c
		}
	}
	return s
}

// silenceOver returns when that kind of silence ended: when an exchange as far on
// was answered, of the one that is stuck later than that. Zero while it has not.
func silenceOver(p *Pass, s *silence, kind silenceKind, from int) (at analyze.Sighting) {
	if s.kind == kind {
		from = rank(s.x)
	}
	for _, sa := range p.View.IKE {
		if a := answeredAt(sa, from); at.Before(a) && (s.kind != kind || (sa != s.sa && s.sa.Last.Before(a))) {
			at = a
		}
	}
	return at
}

// answeredAt returns when an exchange of that rank or a later one was last
// answered, zero for never.
func answeredAt(sa *analyze.IKESA, from int) (at analyze.Sighting) {
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		if rank(x) >= from && x.Response.Whole() && !askedAgain(x) && at.Before(x.Response.Last()) {
			at = x.Response.Last()
		}
	}
	return at
}

// rankLater is the rank of all exchanges after those that make an IKE SA, and of
// IKE_AUTH.
const rankLater = 3

// rank tells how far an IKE SA has come with an exchange: 0 is the first.
func rank(x *analyze.IKEExchange) int {
	switch x.Type {
	case ike.ExchangeIKESAInit:
		return 0
	case ike.ExchangeIdentityProtection, ike.ExchangeAggressive:
		return int(x.Round)
	}
	return rankLater
}

// stuck looks for the exchange of an IKE SA that does not get on: the newest that
// anything can be said of.
func stuck(p *Pass, sa *analyze.IKESA) silence {
	for i := len(sa.Exchanges) - 1; i >= 0; i-- {
		x := &sa.Exchanges[i]
		s := silence{sa: sa, x: x}
		s.from, s.to = sa.Asker(x)
		switch {
		case partly(p, &s):
			s.kind = silenceFragments
			return s
		case !gotOn(sa, i) && ignored(p, sa, x):
			s.kind = s.classify(p)
			return s
		case i == 0 && x.Request.Encrypted && askedAgain(x):
			return silence{} // begun in the middle: what it was answered with was perhaps said before
		case askedAgain(x) && i == len(sa.Exchanges)-1 && p.Passed(x.Request.First(), unheardTime):
			s.unheard = true
			s.kind = s.classify(p)
			return s
		case x.Response.Whole():
			return headless(p, s)
		}
	}
	return silence{}
}

// gotOn reports whether who asked went on to a later exchange: then an answer
// came, whether it was seen here or not.
func gotOn(sa *analyze.IKESA, i int) bool {
	from, _ := sa.Asker(&sa.Exchanges[i])
	for j := i + 1; j < len(sa.Exchanges); j++ {
		if later, _ := sa.Asker(&sa.Exchanges[j]); later == from && rank(&sa.Exchanges[j]) > rank(&sa.Exchanges[i]) {
			return true
		}
	}
	return false
}

// ignored reports whether the request of an exchange was sent often enough
// and long enough, and nothing came from the other side since.
func ignored(p *Pass, sa *analyze.IKESA, x *analyze.IKEExchange) bool {
	sent, wait := silentSent, silentTime
	if !establishing(x.Type) {
		sent, wait = deadSent, deadTime
	}
	if !establishing(x.Type) && replaced(p, sa) {
		return false
	}
	if establishing(x.Type) && p.View.ESPAfter(x.Request.First()) != nil {
		return false // an SA came of it: the answer is not seen here
	}
	_, to := sa.Asker(x)
	other := sa.Speaker(to)
	return x.WantsAnswer() && int(x.Request.Count) >= sent && p.Passed(x.Request.First(), wait) &&
		(other == nil || other.Messages == 0 || !x.Request.First().Before(other.LastSent))
}

// replaced reports whether a later IKE SA of the pair stands: then the end of this one
// is a matter of tidiness, and the peer may not know it any more (RFC 7296 section 2.4).
func replaced(p *Pass, sa *analyze.IKESA) bool {
	return slices.ContainsFunc(p.View.IKE, func(o *analyze.IKESA) bool {
		return o != sa && sa.First.Before(o.First) && !answeredAt(o, rankLater).IsZero()
	})
}

// askedAgain reports whether a request was sent again and again although it was
// answered each time.
func askedAgain(x *analyze.IKEExchange) bool {
	return x.Request.Count >= unheardSent && x.Response.Count >= unheardSent-1 && x.Response.First().Before(x.Request.Last())
}

// partly recognises a message of which a part was seen each time it was sent, and
// never the rest.
func partly(p *Pass, s *silence) bool {
	for _, m := range []*analyze.IKEMessage{&s.x.Response, &s.x.Request} {
		ip := m.Count == 0 && m.Incomplete >= partialCopies
		skf := m.Count >= partialCopies && m.Fragments > 0 && !m.Whole()
		if (ip || skf) && p.Passed(m.First(), stallNoReply) {
			s.partial = m
			return true
		}
	}
	return false
}

// headless recognises fragments whose first is missing: what follows an answered
// exchange, and nobody knows what it is.
func headless(p *Pass, s silence) silence {
	h := p.View.Headless
	if h.Count < partialCopies || !s.x.Response.Last().Before(h.Last) || !p.Passed(s.x.Response.Last(), stallNoReply) {
		return silence{}
	}
	if h.From == s.to {
		s.from, s.to = s.to, s.from
	}
	s.kind, s.headless = silenceFragments, h.From == s.from
	if !s.headless {
		return silence{}
	}
	return s
}

// classify tells apart what may be in the way of a whole message.
func (s *silence) classify(p *Pass) silenceKind {
	m := s.lost()
	earlier := s.earlier()
	switch {
	case earlier == nil:
		return silencePlain
	case m.IPFragments:
		return silenceFragments
	case onNATT(&s.x.Request) && !onNATT(&earlier.Request) && (s.unheard || !s.arrived(p)):
		return silenceNATT
	case m.Fragments > 1:
		return silenceFragments
	}
	return silencePlain
}

// arrived reports whether the request is known to have come to the host that is
// asked: then it was not lost on the way, whatever its port.
func (s *silence) arrived(p *Pass) bool {
	if p.Host.KernelSeen && p.Host.Owns(s.to) {
		return true
	}
	far, ok := s.farEnd(p)
	return ok && far.x != nil && far.x.Request.Seen() && !far.x.Response.Seen() && far.host.Owns(s.to)
}

// lost is the message that does not arrive: the request, or the answer that is
// asked for again.
func (s *silence) lost() *analyze.IKEMessage {
	if s.unheard {
		return &s.x.Response
	}
	return &s.x.Request
}

// earlier returns the last exchange of the IKE SA before this one that was
// answered, nil for none.
func (s *silence) earlier() (last *analyze.IKEExchange) {
	for i := range s.sa.Exchanges {
		x := &s.sa.Exchanges[i]
		if x == s.x {
			break
		}
		if x.Response.Whole() && x.Request.Seen() {
			last = x
		}
	}
	return last
}

// onNATT reports whether a message went by port 4500; NAT changes the one of the
// end behind it only.
func onNATT(m *analyze.IKEMessage) bool {
	return m.SrcPort == analyze.PortNATT || m.DstPort == analyze.PortNATT
}

// refusals are the ICMP errors about the requests.
func (s *silence) refusals(v *analyze.View) (out []*analyze.ICMPError) {
	for _, e := range v.Errors {
		if e.Quoted.SPI == 0 && e.Quoted.Src == s.from && e.Quoted.Dst == s.to && s.x.Request.Seen() && s.x.Request.First().Before(e.Last) {
			out = append(out, e)
		}
	}
	return out
}

// refusal returns the error that says why nobody answers, nil for none: packet
// too big is another rule's.
func (s *silence) refusal(v *analyze.View) *analyze.ICMPError {
	for _, e := range s.refusals(v) {
		switch e.Kind {
		case analyze.ICMPPort, analyze.ICMPProhibited, analyze.ICMPNoRoute, analyze.ICMPAddress, analyze.ICMPProtocol, analyze.ICMPTimeExceeded:
			return e
		}
	}
	return nil
}

// farEnd is what another observer says of the exchange.
type farEnd struct {
	host *analyze.Host
	x    *analyze.IKEExchange // nil where that observer saw none of it
	// began is set where it saw other messages of the same IKE SA: it watches where
	// they come by.
	began bool
}

// farEnd returns another observer of the exchange; one that saw none of it only
// where it is the host that is asked.
func (s *silence) farEnd(p *Pass) (f farEnd, ok bool) {
	for _, h := range p.State.Hosts {
		if h == p.Host {
			continue
		}
		_, sa := p.State.IKEAt(h, s.sa.InitiatorSPI)
		if sa == nil {
			if h.KernelSeen && h.Owns(s.to) && f.host == nil {
				f.host = h
			}
			continue
		}
		f.host, f.x, f.began = h, sa.Like(s.x), true
		if f.x != nil || h.Owns(s.to) {
			return f, true
		}
		f = farEnd{}
	}
	return f, f.host != nil
}

// messageWords names the request of an exchange; those of IKEv1's first phase all
// have one name.
func messageWords(x *analyze.IKEExchange) string {
	if x.Type != ike.ExchangeIdentityProtection && x.Type != ike.ExchangeAggressive {
		return x.Type.Short()
	}
	return fmt.Sprintf("message %d of %s", 2*x.Round+1, x.Type.Short())
}
