package rules

import (
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// judgeV1 goes through IKEv1's phases: proposals, the exchange of identities, which
// Main Mode encrypts under a key that the pre-shared key is part of (RFC 2409 section
// 5.4), and Quick Mode. A refusal is a notification of its own, and outside of phase
// 1 nearly always encrypted.
func (o *ikeOutcome) judgeV1(p *Pass) {
	first, proof := phase1(o.sa)
	switch {
	case first == nil:
		o.judgeQuick(p)
	case !first.Answered():
		o.asked = first.Request.First()
		if n := refusalV1(o.sa, first.Request.First(), ike.NotifyV1NoProposalChosen); n != nil {
			o.refuse(ikeRefused, n)
		}
	case proof == nil:
	case proof.Answered() || quickSeen(o.sa):
		o.answer = proof.Response.First()
		o.judgeQuick(p)
	default:
		o.judgeProof(p, proof)
	}
}

// phase1 returns the first exchange of phase 1 and, of Main Mode, the one in which
// the ends prove who they are; nil where they were not seen.
func phase1(sa *analyze.IKESA) (first, proof *analyze.IKEExchange) {
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		if x.Type != ike.ExchangeIdentityProtection && x.Type != ike.ExchangeAggressive {
			continue
		}
		if first == nil {
			first = x
		}
		if proof == nil && (x.Request.Encrypted || (x.Type == ike.ExchangeAggressive && x.Round == 1)) {
			proof = x
		}
	}
	return first, proof
}

// authErrors are the notifications by which an end says that it cannot read or does
// not believe what is to prove the other's identity.
var authErrors = []ike.NotifyType{
	ike.NotifyV1PayloadMalformed, ike.NotifyV1InvalidKeyInformation, ike.NotifyV1InvalidIDInformation,
	ike.NotifyV1InvalidHashInformation, ike.NotifyV1AuthenticationFailed, invalidCertificate, invalidSignature,
}

// RFC 2408 section 3.14.1.
const (
	invalidCertificate ike.NotifyType = 20
	invalidSignature   ike.NotifyType = 25
)

// refusalV1 returns the last notification of the responder in the clear that is of
// one of the types.
func refusalV1(sa *analyze.IKESA, since analyze.Sighting, types ...ike.NotifyType) (last *analyze.SeenNotify) {
	for i := range sa.Errors {
		n := &sa.Errors[i]
		if n.From == sa.Responder && n.At.Mono >= since.Mono && slices.Contains(types, n.Type) {
			last = n
		}
	}
	return last
}

// judgeProof judges an exchange of identities that the responder has not answered.
func (o *ikeOutcome) judgeProof(p *Pass, proof *analyze.IKEExchange) {
	o.asked = proof.Request.First()
	if n := refusalV1(o.sa, proof.Request.First(), authErrors...); n != nil {
		o.refuse(ikeUnproved, n)
		return
	}
	if proof.Type != ike.ExchangeIdentityProtection {
		return
	}
	if x := informs(o.sa, false, proof.Request.First()); x != nil && p.Passed(x.Request.First(), refusedV1) {
		o.end, o.answer = ikeUnproved, x.Request.First()
	} else if unreadable(p, o.sa, proof) {
		o.end, o.answer, o.repeats = ikeUnproved, o.sa.FromResponder.LastSent, true
	}
}

// unreadable reports whether the responder takes the initiator's proof for nothing at
// all: the proof has come three times and no other way than what was answered before,
// in one piece and to the same port, and the responder goes on repeating what it said
// before it. So does libreswan with what it cannot decrypt.
func unreadable(p *Pass, sa *analyze.IKESA, proof *analyze.IKEExchange) bool {
	before := sa.Exchanges[0].Request
	sent := &proof.Request
	return int(sent.Count) > stallRepeats && p.Passed(sent.First(), stallNoReply) && !sent.IPFragments && sent.Fragments == 0 &&
		sent.DstPort == before.DstPort && sa.FromResponder.Repeats > 0 && sa.FromResponder.LastSent.Mono > sent.First().Mono
}

// informs returns the first encrypted Informational of one side since then.
func informs(sa *analyze.IKESA, byInitiator bool, since analyze.Sighting) *analyze.IKEExchange {
	for i := range sa.Exchanges {
		x := &sa.Exchanges[i]
		if x.Type == ike.ExchangeInformationalV1 && x.ByInitiator == byInitiator && x.Request.Encrypted &&
			x.Request.First().Mono >= since.Mono {
			return x
		}
	}
	return nil
}

func quickSeen(sa *analyze.IKESA) bool { return sa.Exchange(ike.ExchangeQuickMode) != nil }

// judgeQuick judges what came of phase 2. The latest Quick Mode counts, and one that
// was answered at any time shows that CHILD SAs can be made.
func (o *ikeOutcome) judgeQuick(p *Pass) {
	var asked *analyze.IKEExchange
	for i := range o.sa.Exchanges {
		x := &o.sa.Exchanges[i]
		switch {
		case x.Type != ike.ExchangeQuickMode:
		case x.Answered():
			o.end, o.answer = ikeUp, x.Response.First()
			return
		case i == 0: // the capture began with it: what is seen may be its third message
		case x.Round == 0:
			asked = x
		}
	}
	switch {
	case asked != nil:
		o.judgeUnanswered(p, asked)
	case o.answer.IsZero():
	case p.Passed(o.answer, ikeFollow):
		o.judgeIdle()
	}
}

// refusedV1 is how long a message must have had no answer but an encrypted notification
// to count as refused. What was lost is sent again before: by strongSwan after 4 s, by
// libreswan after 0.5 s, by racoon after 10 s.
const refusedV1 = 12 * time.Second

// judgeUnanswered: a refused Quick Mode is not sent again; one that was lost is
// (RFC 2408 section 5.1), and then whatever else the other end says (dead peer
// detection) is no answer.
func (o *ikeOutcome) judgeUnanswered(p *Pass, asked *analyze.IKEExchange) {
	from, to := o.sa.Asker(asked)
	x := informs(o.sa, !asked.ByInitiator, asked.Request.First())
	if x == nil || !p.Passed(x.Request.First(), refusedV1) || x.Request.First().Mono < asked.Request.Last().Mono {
		return
	}
	o.end, o.asked, o.answer, o.by, o.to = ikeChildless, asked.Request.First(), x.Request.First(), to, from
}

// judgeIdle: phase 1 is over, and the initiator asks for nothing. Where it has sent a
// notification in place of Quick Mode it does not believe the responder.
func (o *ikeOutcome) judgeIdle() {
	o.end = ikeUp
	if x := informs(o.sa, true, o.answer); x != nil && x.Request.First().Mono-o.answer.Mono < ikeFollow {
		o.end, o.asked, o.answer = ikeSpurned, o.answer, x.Request.First()
		o.by, o.to = o.sa.Initiator, o.sa.Responder
	}
}
