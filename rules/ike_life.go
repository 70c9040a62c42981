package rules

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// ikeLife is an IKE SA from when it stood to its end.
type ikeLife struct {
	sa     *analyze.IKESA
	up     analyze.Sighting
	end    analyze.Sighting // zero while it stands
	by     netip.Addr       // who ended it
	silent bool             // by who asked, and had no answer: dead peer detection
}

// lifeOf returns the life of an IKE SA that came up; ok is false where it did not.
func lifeOf(p *Pass, sa *analyze.IKESA) (l ikeLife, ok bool) {
	l.sa = sa
	switch o := outcomeOf(p, sa); {
	case o.end != ikeUp && o.end != ikeChildless:
		return l, false
	case sa.Major == 1:
		l.up = o.answer
		l.endV1()
	default:
		if x := sa.Exchange(ike.ExchangeIKEAuth); x != nil {
			l.up = x.Response.First()
		}
		l.endV2()
	}
	return l, !l.up.IsZero()
}

// lived is how long it stood.
func (l *ikeLife) lived() time.Duration { return l.end.Mono - l.up.Mono }

// endV2: the last thing that was said is a deletion, or a request with nothing in it
// that was sent again and had no answer.
func (l *ikeLife) endV2() {
	x := &l.sa.Exchanges[len(l.sa.Exchanges)-1]
	if x.Type != ike.ExchangeInformational || !x.Request.Seen() {
		return
	}
	by, _ := l.sa.Asker(x)
	switch {
	case x.Request.Inner == ike.PayloadDelete:
		l.end, l.by = x.Request.First(), by
	case !x.Answered() && x.Request.Count >= deadAfter:
		l.end, l.by, l.silent = x.Request.Last(), by, true
	}
}

// deadAfter is how often a request must have been sent without an answer to end an
// IKE SA, when the same end then begins another.
const deadAfter = 2

// endV1: the last things that were said are Informationals of one side. They are
// encrypted: deletions come together, what dead peer detection asks comes at a
// distance (RFC 3706 section 5.4).
func (l *ikeLife) endV1() {
	var first, last *analyze.IKEExchange
	for i := len(l.sa.Exchanges) - 1; i >= 0; i-- {
		x := &l.sa.Exchanges[i]
		if x.Type != ike.ExchangeInformationalV1 || (last != nil && x.ByInitiator != last.ByInitiator) {
			break
		}
		first = x
		if last == nil {
			last = x
		}
	}
	if last == nil {
		return
	}
	l.end = last.Request.Last()
	l.by, _ = l.sa.Asker(last)
	l.silent = last.Request.Last().Mono-first.Request.First().Mono >= 2*time.Second
}

// What begins another IKE SA in place of one that ended does so at once: after the
// deletion, or before it where the new one is made first; after dead peer detection
// when patience is over, for which strongSwan waits 75 s after the last request
// (retransmit_timeout 4 s × 1.8⁵).
const (
	restartBefore = 2 * time.Second
	restartAfter  = 10 * time.Second
	restartDead   = 80 * time.Second
)

// begunAnew returns the IKE SA that was begun in place of one that ended, nil for
// none.
func begunAnew(p *Pass, l *ikeLife) *analyze.IKESA {
	after := restartAfter
	if l.silent {
		after = restartDead
	}
	for _, sa := range p.View.IKE {
		gap := sa.First.Mono - l.end.Mono
		if sa != l.sa && sa.First.Mono > l.up.Mono && gap >= -restartBefore && gap <= after {
			return sa
		}
	}
	return nil
}
