package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// IKEVersionMismatch finds two hosts of which one calls with IKEv1 and the other
// with IKEv2.
var IKEVersionMismatch = &Rule{
	ID:       "ike-version-mismatch",
	Severity: Error,
	Title:    "one end speaks IKEv1, the other IKEv2",
	Doc: Doc{
		Symptom: "Each end refuses the other or does not answer: NO_PROPOSAL_CHOSEN although the algorithms are the same, INVALID_MAJOR_VERSION, " +
			"or silence.",
		Cause: "The two versions have nothing in common but the port. A daemon that has the peer configured for one of them has no connection " +
			"for a request of the other: strongSwan and libreswan then answer NO_PROPOSAL_CHOSEN, whatever is proposed; others say " +
			"INVALID_MAJOR_VERSION, or drop it (libreswan with ikev1-policy=drop, the default of its version 5).",
		Recognised: "Both ends start IKE within three minutes, one with IKEv1 only, the other with IKEv2 only; each was refused, or was sent again " +
			"for 10 s, and neither got beyond its first exchange. Or an answer says INVALID_MAJOR_VERSION. Certain with that, or where both were " +
			"refused although the two offers have algorithms in common; else likely. Where one end only ever calls, a refusal does not tell the version: see " +
			"ike-no-proposal.",
		Remedy: "Set both ends to IKEv2 (strongSwan: version = 2 in swanctl.conf; libreswan: ikev2=insist, in version 5 keyexchange=ikev2); IKEv1 is historic.",
		Sources: []string{
			"RFC 7296 section 2.5 (version numbers), section 3.10.1 (INVALID_MAJOR_VERSION)",
			"RFC 9395 section 2 (IKEv1 is deprecated)",
			"swanctl.conf(5): connections.<conn>.version; libreswan ipsec.conf(5): ikev2, keyexchange, ikev1-policy",
		},
	},
	Check: checkVersionMismatch,
}

// versionWindow is how far apart the calls of the two ends may be: strongSwan gives
// up an attempt after 165 s.
const versionWindow = 180 * time.Second

func checkVersionMismatch(p *Pass) {
	if len(p.View.IKE) == 0 {
		return
	}
	if n, sa := refusedVersion(p); n != nil {
		reportRefusedVersion(p, sa, n)
		return
	}
	a, b := callers(p)
	switch {
	case a == nil || b == nil || a.Major == b.Major:
	case p.Exceeded(a.Last, versionWindow) || p.Exceeded(b.Last, versionWindow):
	case failed(p, a) && failed(p, b):
		reportVersionMismatch(p, a, b)
		return
	}
	if !p.found {
		return
	}
	if at := silenceOver(p, &silence{}, silencePlain, 1); !at.IsZero() {
		p.ResolvePair(at, "IKE gets on now")
	}
}

// callers returns the last attempt of each end, nil where an end has made none or
// with either version.
func callers(p *Pass) (a, b *analyze.IKESA) {
	k := p.View.Pair.Key
	a, mixedA := calls(p, k.A)
	b, mixedB := calls(p, k.B)
	if mixedA || mixedB {
		return nil, nil
	}
	return a, b
}

// calls returns the last attempt of one end, and whether it has called with either
// version.
func calls(p *Pass, end netip.Addr) (last *analyze.IKESA, mixed bool) {
	for _, sa := range p.View.IKE {
		if sa.Initiator == end && began(sa) {
			mixed = mixed || last != nil && last.Major != sa.Major
			last = sa
		}
	}
	return last, mixed
}

// began reports whether the first request of an IKE SA was seen: only then it is
// known who called.
func began(sa *analyze.IKESA) bool {
	x := &sa.Exchanges[0]
	return x.ByInitiator && x.Request.Seen() && rank(x) == 0 && x.Round == 0
}

// failed reports whether an attempt was refused, or not answered for long enough.
func failed(p *Pass, sa *analyze.IKESA) bool {
	x := &sa.Exchanges[0]
	if !answeredAt(sa, 1).IsZero() || (sa.Major == 1 && x.Response.Seen()) {
		return false
	}
	return refusedBy(sa) != nil || (x.Request.Count >= silentSent && p.Passed(x.Request.First(), silentTime) && !x.Response.Seen())
}

// refusedBy returns the error by which the responder ended an attempt, nil for
// none.
func refusedBy(sa *analyze.IKESA) *analyze.SeenNotify {
	for i := len(sa.Errors) - 1; i >= 0; i-- {
		if n := &sa.Errors[i]; n.From == sa.Responder && n.Type != ike.NotifyInvalidKEPayload {
			return n
		}
	}
	return nil
}

// refusedVersion looks for INVALID_MAJOR_VERSION, which has the same number in
// both versions (RFC 2408 section 3.14.1).
func refusedVersion(p *Pass) (*analyze.SeenNotify, *analyze.IKESA) {
	for _, sa := range slices.Backward(p.View.IKE) {
		n := refusedBy(sa)
		if n == nil || n.Type != ike.NotifyInvalidMajorVersion || !answeredAt(sa, 1).IsZero() {
			continue
		}
		if !p.Passed(n.At, versionWindow) {
			return n, sa
		}
	}
	return nil, nil
}

func reportRefusedVersion(p *Pass, sa *analyze.IKESA, n *analyze.SeenNotify) {
	f := p.Finding()
	f.Confidence = Certain
	f.Explanation = fmt.Sprintf("%s calls %s with IKEv%d, and %s says %s: it does not speak that version.", sa.Initiator, sa.Responder, sa.Major, n.From, n.Name)
	f.Evidence = callEvidence(sa)
	f.Remedies = []remedy.Remedy{setVersion(sa.Responder)}
	p.Report(f)
}

func reportVersionMismatch(p *Pass, a, b *analyze.IKESA) {
	if a.Major > b.Major {
		a, b = b, a
	}
	f := p.Finding()
	f.Confidence = Likely
	f.Explanation = fmt.Sprintf("%s calls %s with IKEv1, and %s calls %s with IKEv2; %s, and %s. The two versions do not talk to each other.",
		a.Initiator, a.Responder, b.Initiator, b.Responder, refusalOf(a), refusalOf(b))
	if refusedBy(a) != nil && refusedBy(b) != nil && inCommon(a.Offered(), b.Offered()) {
		f.Confidence = Certain
		f.Explanation += " It is not for the algorithms: the two offers have some in common."
	}
	f.Evidence = append(callEvidence(a), callEvidence(b)...)
	f.Remedies = []remedy.Remedy{setVersion(a.Initiator)}
	p.Report(f)
}

func refusalOf(sa *analyze.IKESA) string {
	if n := refusedBy(sa); n != nil {
		return fmt.Sprintf("%s refuses IKEv%d with %s", n.From, sa.Major, n.Name)
	}
	return fmt.Sprintf("%s does not answer IKEv%d", sa.Responder, sa.Major)
}

func callEvidence(sa *analyze.IKESA) []Evidence {
	m := &sa.Exchanges[0].Request
	ev := []Evidence{Saw(m.First(), "%s sends %s (IKEv%d) to %s (SPI %s)", sa.Initiator, sa.Exchanges[0].Type.Short(), sa.Major, sa.Responder, sa.InitiatorSPI)}
	if n := refusedBy(sa); n != nil {
		return append(ev, Saw(n.At, "%s says %s", n.From, n.Name))
	}
	if m.Count > 1 {
		ev = append(ev, Saw(m.Last(), "%s has sent it again %s, no answer", sa.Initiator, times(int(m.Count)-1)))
	}
	return ev
}

// inCommon reports whether two offers of whatever version have a cipher, a
// pseudorandom function and a group in common.
func inCommon(a, b []ike.Proposal) bool {
	for _, t := range []ike.TransformType{ike.TransformEncr, ike.TransformPRF, ike.TransformKE} {
		if !slices.ContainsFunc(algorithms(a, t), func(x ike.Algorithm) bool {
			return slices.ContainsFunc(algorithms(b, t), func(y ike.Algorithm) bool { return x.ID == y.ID && x.KeyBits == y.KeyBits })
		}) {
			return false
		}
	}
	return true
}

// algorithms lists what an offer names of one type, by IKEv2's numbers.
func algorithms(offer []ike.Proposal, t ike.TransformType) (out []ike.Algorithm) {
	for _, q := range offer {
		for _, tr := range q.Transforms {
			for _, a := range tr.Algorithms() {
				if a.Type == t && a.Mapped {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

func setVersion(host netip.Addr) remedy.Remedy {
	return remedy.Remedy{
		Action: "ike-version", Params: map[string]string{"host": host.String(), "version": "2"},
		Title:   fmt.Sprintf("set the connection to IKEv2 on %s: version = 2 in swanctl.conf (ipsec.conf of libreswan: ikev2=insist); then load it there", host),
		Command: "swanctl --load-conns",
	}
}
