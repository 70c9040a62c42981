package rules

import (
	"slices"
	"time"
)

// cause says which finding explains which: the first is the true cause, the
// others follow from it on the same pair.
type cause struct{ effect, by string }

// causes is the one table of what explains what.
var causes = []cause{
	{effect: "acquire-stall", by: "nd-deadlock"},
	{effect: "acquire-stall", by: "nd-no-answer"},
	{effect: "first-packet-lost", by: "nd-deadlock"},
}

// supersessions lists pairs of rules of which never both hold for one pair:
// when the first is open, the second is withdrawn.
var supersessions = []struct{ holds, withdrawn string }{
	{holds: "nd-deadlock", withdrawn: "nd-no-answer"},
}

// relate applies both tables to the live findings.
func (e *Engine) relate() {
	for _, s := range supersessions {
		for _, t := range slices.Clone(e.live) {
			if t.merged.Rule == s.holds && t.merged.State == Open {
				e.withdraw(e.tracks[FindingID(s.withdrawn, t.merged.Subject)])
			}
		}
	}
	for _, t := range e.live {
		for _, c := range causes {
			if t.merged.Rule == c.effect && t.merged.ExplainedBy == "" {
				t.merged.ExplainedBy = e.explanation(t, c.by)
			}
		}
	}
}

// withdraw takes back a finding whose place another one took.
func (e *Engine) withdraw(t *track) {
	if t != nil && !t.withdrawn {
		t.withdrawn = true
		t.merged.State = Resolved
		e.enliven(t)
	}
}

// causeGrace is how long after a cause's end its effects may take to end too:
// the longest pause of strongSwan's retransmission is 42 s. What stands longer
// has another cause.
const causeGrace = 60 * time.Second

// explanation returns the id of the finding of that rule on the same subject
// that explains t: one that is not over before t began.
func (e *Engine) explanation(t *track, rule string) string {
	o := e.tracks[FindingID(rule, t.merged.Subject)]
	if o == nil || o.withdrawn {
		return ""
	}
	if o.merged.State != Resolved {
		return o.merged.ID
	}
	lately := e.State.Now.Mono-o.endMono <= causeGrace
	if o.endMono >= t.began && (lately || t.merged.State != Open) {
		return o.merged.ID
	}
	return ""
}
