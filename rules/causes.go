package rules

import (
	"slices"
	"time"

	"ipsecdiag/analyze"
)

// cause says which finding explains which: the first is the true cause, the
// others follow from it.
type cause struct {
	effect, by string
	within     within
	// Where they are set, only findings of these kinds are meant.
	effectKind, byKind string
}

// within is what a cause and its effect have in common.
type within uint8

const (
	oneSubject within = iota // both are about the same pair, policy …
	onePair                  // both concern the same two hosts
	oneHost                  // both were found on the same host
	affected                 // the cause names the effect's pair among those that it cuts off
)

// causes is the one table of what explains what.
var causes = []cause{
	{effect: "nd-deadlock", by: "nd-bypass-shadowed"},
	{effect: "nd-deadlock", by: "nd-bypass-one-way"},
	{effect: "acquire-stall", by: "nd-deadlock"},
	{effect: "acquire-stall", by: "nd-no-answer"},
	{effect: "acquire-stall", by: "next-hop-unresolved", within: affected},
	{effect: "ike-no-response", by: "next-hop-unresolved", within: affected},
	{effect: "esp-one-way", by: "next-hop-unresolved", within: affected},
	{effect: "first-packet-lost", by: "nd-deadlock"},
	{effect: "acquire-stall", by: "ike-no-proposal"},
	{effect: "acquire-stall", by: "ike-auth-failed"},
	{effect: "acquire-stall", by: "ike-ts-unacceptable"},
	{effect: "acquire-stall", by: "ike-restart-loop"},
	{effect: "ike-no-response", by: "ike-restart-loop"},
	{effect: "ike-simultaneous", by: "ike-restart-loop"},
	{effect: "esp-unknown-spi", by: "ike-simultaneous", within: onePair},
	{effect: "esp-unknown-spi", by: "ike-restart-loop", within: onePair},
	{effect: "acquire-stall", by: "ike-not-bypassed", within: onePair},
	{effect: "acquire-stall", by: "policy-one-way", within: onePair, byKind: kindReqID},
	{effect: "acquire-stall", by: "sa-expired", within: onePair},
	{effect: "listener-missing", by: "sa-expired", within: oneHost},
	{effect: "sa-orphaned", by: "sa-expired", within: onePair},
	{effect: "acquire-stall", by: "listener-missing", within: oneHost},
	{effect: "acquire-stall", by: "ike-version-mismatch"},
	{effect: "acquire-stall", by: "ike-fragments-lost"},
	{effect: "acquire-stall", by: "ike-natt-blocked"},
	{effect: "acquire-stall", by: "ike-no-response"},
	{effect: "ike-no-response", by: "ike-no-proposal"},
	{effect: "ike-no-response", by: "ike-auth-failed"},
	{effect: "esp-one-way", by: "ike-no-response"},
	{effect: "ike-no-response", by: "ike-version-mismatch"},
	{effect: "ike-no-proposal", by: "ike-version-mismatch"},
	{effect: "ike-no-response", by: "nd-deadlock"},
	{effect: "ike-no-response", by: "nd-no-answer"},
	{effect: "ike-no-response", by: "ike-not-bypassed", within: onePair},
	{effect: "ike-no-response", by: "listener-missing", within: oneHost},
	{effect: "ike-no-response", by: "default-block", within: oneHost},
	{effect: "ike-no-response", by: "esp-unknown-spi", effectKind: kindLater}, // a restart loses the IKE SA as well
	{effect: "nd-no-answer", by: "default-block", within: oneHost},
	{effect: "plaintext-leak", by: "ike-restart-loop"}, // the policies go with the SAs each time
	{effect: "policy-one-way", by: "plaintext-leak", within: onePair},
	{effect: "sa-orphaned", by: "plaintext-leak", within: onePair, effectKind: kindUnused},
	{effect: "esp-one-way", by: "plaintext-leak"},
	{effect: "policy-one-way", by: "policy-mismatch", within: onePair},
	{effect: "sa-orphaned", by: "policy-mismatch", within: onePair, effectKind: kindUnused},
	{effect: "esp-one-way", by: "esp-unknown-spi"},
	{effect: "esp-one-way", by: "esp-bad-key"},
	{effect: "esp-one-way", by: "esp-replay"},
	{effect: "esp-one-way", by: "esp-encap-mismatch"},
	{effect: "esp-one-way", by: "policy-mismatch"},
	{effect: "esp-one-way", by: "path-mtu"},
	{effect: "esp-loss", by: "path-mtu"},
	{effect: "esp-one-way", by: "sa-expired"},
	{effect: "esp-unknown-spi", by: "sa-expired"},
	{effect: "sa-orphaned", by: "esp-bad-key", within: onePair, effectKind: kindCutShort},
	{effect: "sa-orphaned", by: "policy-one-way", within: onePair, effectKind: kindUnused, byKind: kindReqID},
}

// supersessions lists pairs of rules of which never both hold for one pair:
// when the first is open, the second is withdrawn.
var supersessions = []struct{ holds, withdrawn string }{
	{holds: "nd-deadlock", withdrawn: "nd-no-answer"},
	{holds: "nd-deadlock", withdrawn: "nd-under-policy"},
	{holds: "next-hop-unresolved", withdrawn: "nd-no-answer"},
}

// relate applies both tables to the live findings.
func (e *Engine) relate() {
	for _, s := range supersessions {
		for _, t := range slices.Clone(e.live) {
			if t.merged.Rule != s.holds {
				continue
			}
			o := e.tracks[FindingID(s.withdrawn, t.merged.Subject)]
			switch t.merged.State {
			case Open:
				e.withdraw(o, &t.merged)
			case Resolved:
				e.reinstate(o)
			}
		}
	}
	for _, t := range e.live {
		for _, c := range causes {
			if t.merged.Rule == c.effect && t.merged.ExplainedBy == "" && (c.effectKind == "" || c.effectKind == t.merged.kind) {
				t.merged.ExplainedBy = e.explanation(t, c)
			}
		}
	}
}

// withdraw takes back a finding whose place another one took.
func (e *Engine) withdraw(t *track, by *Finding) {
	if t == nil {
		return
	}
	if !t.withdrawn {
		t.withdrawn = true
		t.merged.Evidence = append(t.merged.Evidence, Evidence{
			Time: e.State.Now.Time.UTC(), Origin: t.merged.Origins[0], Text: by.Rule + " has taken its place", mono: e.State.Now.Mono,
		})
		e.enliven(t)
	}
	t.merged.State = Resolved
}

// reinstate brings back what an audit found and still stands, when the finding
// that took its place is over. Where an audit is due it speaks for itself.
func (e *Engine) reinstate(t *track) {
	if t == nil || !t.withdrawn || e.auditPending() {
		return
	}
	if slices.ContainsFunc(t.parts, func(q *part) bool { return q.voice == onAudit && q.state == Open }) {
		t.withdrawn = false
		t.merge()
		e.enliven(t)
	}
}

// causeGrace is how long after a cause's end its effects may take to end too:
// the longest pause of strongSwan's retransmission is 42 s. What stands longer
// has another cause.
const causeGrace = 60 * time.Second

// explanation returns the id of the first finding by which c explains t: one
// that is not over before t began.
func (e *Engine) explanation(t *track, c cause) string {
	if c.within == oneSubject {
		if o := e.tracks[FindingID(c.by, t.merged.Subject)]; o != nil && e.explains(o, t) {
			return o.id
		}
		return ""
	}
	for _, o := range e.byRule[c.by] {
		if o != t && (c.byKind == "" || c.byKind == o.merged.kind) && related(&o.merged, &t.merged, c.within) && e.explains(o, t) {
			return o.id
		}
	}
	return ""
}

// explains reports whether o, of a rule that explains t's, does so in time.
func (e *Engine) explains(o, t *track) bool {
	if o.withdrawn || len(o.parts) == 0 {
		return false
	}
	if o.merged.State != Resolved {
		return true
	}
	lately := e.State.Now.Mono-o.endMono <= causeGrace
	return o.endMono >= t.began && (lately || t.merged.State != Open)
}

// related reports whether a, the cause, and b have in common what w says.
func related(a, b *Finding, w within) bool {
	switch w {
	case onePair:
		return len(a.Pair) > 0 && slices.Equal(a.Pair, b.Pair)
	case affected:
		return len(b.Pair) == 2 && slices.Contains(a.affects, analyze.PairKey{A: b.Pair[0], B: b.Pair[1]})
	}
	return slices.ContainsFunc(a.Origins, func(o string) bool { return slices.Contains(b.Origins, o) })
}
