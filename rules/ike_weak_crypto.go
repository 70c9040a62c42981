package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// IKEWeakCrypto finds algorithms that are not to be used any more.
var IKEWeakCrypto = &Rule{
	ID:       "ike-weak-crypto",
	Severity: Warning,
	Title:    "weak algorithms are in use",
	Doc: Doc{
		Symptom: "Nothing that a user sees: the link works. Audits complain of it, and daemons drop such algorithms from one version to the " +
			"next, so that a link may end with an update.",
		Cause: "The configuration names algorithms that the RFCs have since ruled out: DES, 3DES, MD5, the groups MODP 768, 1024 and 1536, no " +
			"encryption at all (NULL), ciphers that nobody has looked at for long. HMAC-SHA1 is still allowed, and on its way out.",
		Recognised: "IKE proposals go in the clear: what was chosen there, and what was offered. SAs of the kernel tell what ESP and AH use, " +
			"which IKE keeps secret. A warning where such an algorithm is in use, or nothing better is offered; for information where it is " +
			"offered beside better ones and was not chosen. HMAC-SHA1 counts only where it is in use or nothing better is offered: default " +
			"proposals still end with it. Always certain.",
		Remedy: "Take them out of the proposals at both ends. strongSwan: proposals = aes128gcm16-prfsha256-modp3072 and esp_proposals = " +
			"aes128gcm16 in swanctl.conf; libreswan: ike=aes_gcm128-sha2_256-modp3072 and esp=aes_gcm128 in ipsec.conf.",
		Sources: []string{
			"RFC 8247 section 2 (algorithms of IKEv2), RFC 8221 sections 5 and 6 (of ESP and AH)",
			"RFC 9395 section 3 (IKEv1 and what is deprecated with it)",
		},
	},
	Needs: []string{analyze.PartSAs},
	Check: checkWeakOffers,
	Audit: auditWeakSAs,
}

// weakSettle is how long what was offered is judged after it was seen: rules are
// asked each second.
const weakSettle = time.Second

// checkWeakOffers looks at the latest IKE SA whose proposals were in the clear.
func checkWeakOffers(p *Pass) {
	for _, sa := range slices.Backward(p.View.IKE) {
		if sa.Offered() == nil && sa.Chosen() == nil {
			continue
		}
		if !p.Exceeded(sa.Last, weakSettle) {
			judgeOffers(p, sa)
		}
		return
	}
}

func judgeOffers(p *Pass, sa *analyze.IKESA) {
	offered, chosen := sa.Offered(), sa.Chosen()
	used, named := weakIn(sa.ChosenAlgorithms(), true), weakIn(sa.OfferedAlgorithms(), false)
	f := p.Finding()
	f.Confidence = Certain
	switch {
	case len(used) > 0:
		f.Explanation = fmt.Sprintf("IKE between %s and %s uses %s.", sa.Initiator, sa.Responder, weakWords(used))
	case chosen == nil && len(offered) > 0 && !sound(offered):
		f.Title = "nothing but weak algorithms is offered"
		f.Explanation = fmt.Sprintf("%s offers %s nothing for IKE without %s.", sa.Initiator, sa.Responder, weakWords(weakIn(sa.OfferedAlgorithms(), true)))
	case len(named) > 0:
		f.Title, f.Severity = "weak algorithms are offered", Info
		f.Explanation = fmt.Sprintf("Beside better ones %s still offers %s %s for IKE.", sa.Initiator, sa.Responder, weakWords(named))
		if chosen != nil {
			f.Explanation += fmt.Sprintf(" %s has chosen none of them.", sa.Responder)
		}
	default:
		p.ResolvePair(sa.Last, "what is offered and chosen now has no weak algorithm")
		return
	}
	f.Evidence = offerEvidence(sa)
	f.Remedies = []remedy.Remedy{betterProposals("proposals = aes128gcm16-prfsha256-modp3072")}
	p.Report(f)
}

// offerEvidence is what was offered and chosen.
func offerEvidence(sa *analyze.IKESA) (ev []Evidence) {
	x := &sa.Exchanges[0]
	for i := range sa.Exchanges {
		if rank(&sa.Exchanges[i]) == 0 {
			x = &sa.Exchanges[i]
		}
	}
	for _, q := range sa.Offered() {
		if x.Request.Seen() {
			ev = append(ev, Saw(x.Request.Last(), "%s offers %s", sa.Initiator, q))
		}
	}
	if len(ev) > maxOffersShown {
		ev = append(ev[:maxOffersShown], Saw(x.Request.Last(), "and %s more", plural(uint64(len(ev)-maxOffersShown), "proposal")))
	}
	for _, q := range sa.Chosen() {
		if x.Response.Seen() {
			ev = append(ev, Saw(x.Response.First(), "%s chooses %s", sa.Responder, q))
		}
	}
	return ev
}

// maxOffersShown bounds the proposals of one message in the evidence.
const maxOffersShown = 4

func weakWords(all []weakness) string {
	var parts []string
	for _, w := range all {
		parts = append(parts, fmt.Sprintf("%s (%s)", w.name, w.why))
	}
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return strings.Join(parts, "")
}

func betterProposals(line string) remedy.Remedy {
	return remedy.Remedy{
		Action: "ike-proposals", Params: map[string]string{"line": line},
		Title:   fmt.Sprintf("name better algorithms at both ends, such as %s in swanctl.conf; then load it", line),
		Command: "swanctl --load-conns",
	}
}

// weakIn lists the weak algorithms of an offer, each once; those that are only on
// their way out where aging is set.
func weakIn(offer []ike.Algorithm, aging bool) (out []weakness) {
	for _, a := range offer {
		w, ok := weakAlgorithm(a)
		if ok && (aging || !w.aging) && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// sound reports whether an offer can be accepted without a weak algorithm: in
// IKEv2 a proposal that has a sound one of each type, in IKEv1 a sound suite.
func sound(offer []ike.Proposal) bool {
	return slices.ContainsFunc(offer, func(q ike.Proposal) bool {
		if q.Major == 1 {
			return slices.ContainsFunc(q.Transforms, func(t ike.Transform) bool { return soundSuite(t) })
		}
		lacks := map[ike.TransformType]bool{}
		for _, t := range q.Transforms {
			if _, ok := lacks[t.Type]; !ok {
				lacks[t.Type] = true
			}
			if soundSuite(t) {
				lacks[t.Type] = false
			}
		}
		for _, lack := range lacks {
			if lack {
				return false
			}
		}
		return true
	})
}

func soundSuite(t ike.Transform) bool {
	return !slices.ContainsFunc(t.Algorithms(), func(a ike.Algorithm) bool {
		_, weak := weakAlgorithm(a)
		return weak
	})
}
