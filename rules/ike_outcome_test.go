package rules

import (
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
)

// ms and s are times of scripts.
const (
	ms = time.Millisecond
	s  = time.Second
)

// claims returns a finding's severity, confidence and state in one word each, "" for
// none.
func claims(found []Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Severity.String()+" "+f.Confidence.String()+" "+f.State.String())
	}
	return strings.Join(out, "; ")
}

func together(parts ...[]line) (all []line) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func notifyBody(kind ike.NotifyType, data ...byte) []byte {
	return append([]byte{0, 0, byte(kind >> 8), byte(kind)}, data...)
}

func answerInit(at time.Duration, spi uint64, kind ike.NotifyType, data ...byte) []line {
	return []line{
		{at: at, from: "a", spi: spi, exchange: ike.ExchangeIKESAInit, first: ike.PayloadSA, body: chosenSA},
		{at: at + 50*ms, from: "b", spi: spi, exchange: ike.ExchangeIKESAInit, answer: true, first: ike.PayloadNotify, body: notifyBody(kind, data...)},
	}
}

func TestRefusedProposals(t *testing.T) {
	const create = ike.ExchangeCreateChildSA
	rekey := func(at time.Duration, id uint32, says ike.PayloadType, room int) []line {
		return exchangeOf(at, "a", 1, create, id, ike.PayloadNotify, 143, says, room)
	}
	for _, tt := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"refused", answerInit(0, 1, ike.NotifyNoProposalChosen), "error likely open"},
		{"refused, and accepted at the next attempt", together(answerInit(0, 1, ike.NotifyNoProposalChosen), comeUp(4*s, "a", 2)), "error likely resolved"},
		{"refused, and accepted at once", together(answerInit(0, 1, ike.NotifyNoProposalChosen), comeUp(500*ms, "a", 2)), ""},
		{"a cookie", answerInit(0, 1, ike.NotifyCookie, 1, 2, 3, 4), ""},
		{"another group, and nothing more", answerInit(0, 1, ike.NotifyInvalidKEPayload, 0, 19), ""},
		{"another group, and again with it", together(answerInit(0, 1, ike.NotifyInvalidKEPayload, 0, 14), comeUp(100*ms, "a", 1)), ""},
		{"another group, and with it again, sent three times before it comes", together(answerInit(0, 1, ike.NotifyInvalidKEPayload, 0, 14), comeUp(11300*ms, "a", 1)), ""},
		{"another group, and nothing for longer than it takes", together(answerInit(0, 1, ike.NotifyInvalidKEPayload, 0, 19),
			[]line{{at: 13 * s, from: "a", spi: 1, exchange: ike.ExchangeIKESAInit, first: ike.PayloadSA, body: chosenSA}}), "error likely open"},
		{"rekeying is refused once", together(comeUp(0, "a", 1), rekey(5*s, 2, ike.PayloadNotify, 15)), ""},
		{"rekeying is refused twice", together(comeUp(0, "a", 1), rekey(5*s, 2, ike.PayloadNotify, 15), rekey(14*s, 3, ike.PayloadNotify, 15)), "error likely open"},
		{"rekeying is refused, then granted", together(comeUp(0, "a", 1), rekey(5*s, 2, ike.PayloadNotify, 15), rekey(14*s, 3, ike.PayloadNotify, 15),
			rekey(20*s, 4, ike.PayloadSA, 143)), "error likely resolved"},
		{"rekeying collides twice in a second (TEMPORARY_FAILURE)", together(comeUp(0, "a", 1), rekey(5*s, 2, ike.PayloadNotify, 15), rekey(5500*ms, 3, ike.PayloadNotify, 15)), ""},
	} {
		if got := claims(played(t, IKENoProposal, 8*s, tt.lines)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFailedAuthentications(t *testing.T) {
	const auth, info = ike.ExchangeIKEAuth, ike.ExchangeInformational
	eap := func(end ...line) []line {
		return append(authenticate(0, "a", 1, ike.PayloadIDr, 127), append([]line{
			{at: 300 * ms, from: "a", spi: 1, exchange: auth, id: 2, inner: ike.PayloadEAP, room: 31},
			{at: 400 * ms, from: "b", spi: 1, exchange: auth, id: 2, answer: true, inner: ike.PayloadEAP, room: 15},
		}, end...)...)
	}
	for _, tt := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"a notification alone", authenticate(0, "a", 1, ike.PayloadNotify, 15), "error likely open"},
		{"an identity first", comeUp(0, "a", 1), ""},
		{"the initiator refuses", together(comeUp(0, "a", 1), exchangeOf(300*ms, "a", 1, info, 2, ike.PayloadNotify, 15, ike.PayloadNone, 15)), "error likely open"},
		{"the initiator's other addresses (MOBIKE)", together(comeUp(0, "a", 1), exchangeOf(300*ms, "a", 1, info, 2, ike.PayloadNotify, 79, ike.PayloadNone, 15)), ""},
		{"dead peer detection at once", together(comeUp(0, "a", 1), exchangeOf(300*ms, "a", 1, info, 2, ike.PayloadNone, 15, ike.PayloadNone, 15)), ""},
		{"refused, and then it comes up", together(authenticate(0, "a", 1, ike.PayloadNotify, 15), comeUp(9*s, "a", 2)), "error likely resolved"},
		{"EAP fails", eap(), "error likely open"},
		{"EAP succeeds", eap(
			line{at: 500 * ms, from: "a", spi: 1, exchange: auth, id: 3, inner: ike.PayloadAuth, room: 47},
			line{at: 600 * ms, from: "b", spi: 1, exchange: auth, id: 3, answer: true, inner: ike.PayloadAuth, room: 191}), ""},
	} {
		if got := claims(played(t, IKEAuthFailed, 8*s, tt.lines)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestIKESAsWithoutCHILDSA(t *testing.T) {
	const create = ike.ExchangeCreateChildSA
	childless := authenticate(0, "a", 1, ike.PayloadIDr, 95)
	asksNone := authenticate(0, "a", 1, ike.PayloadIDr, 95)
	asksNone[2].room = 95
	for _, tt := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"no room for a CHILD SA", childless, "error likely open"},
		{"the least room with one", authenticate(0, "a", 1, ike.PayloadIDr, 8+40+24+48), ""},
		{"none was asked for (RFC 6023)", asksNone, ""},
		{"it comes later", together(childless, exchangeOf(9*s, "a", 1, create, 2, ike.PayloadSA, 159, ike.PayloadSA, 159)), "error likely resolved"},
		{"it is refused later too", together(childless, exchangeOf(9*s, "a", 1, create, 2, ike.PayloadSA, 159, ike.PayloadNotify, 15)), "error likely open"},
	} {
		if got := claims(played(t, IKETSUnacceptable, 8*s, tt.lines)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
