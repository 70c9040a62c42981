package rules

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// Doc is what `explain` prints of a rule.
type Doc struct {
	Symptom    string   // what the user sees
	Cause      string   // what happens, step by step
	Recognised string   // what is looked for, and when it is certain
	Remedy     string   // what to do
	Sources    []string // RFC sections, kernel functions
}

// Rule is one question.
type Rule struct {
	ID       string
	Severity Severity // the worst that it reports
	Title    string
	Doc      Doc
	// Check asks the question of one view of a pair, at every whole second of
	// event time while the pair is active. Nil where the rule is about hosts.
	Check func(*Pass)
	// CheckHost asks it of a network stack whose kernel is seen.
	CheckHost func(*Pass)
	// Audit asks it of what a kernel holds, without traffic: when that changed
	// (Host.Generation) and is quiet again, and when Pass.AskAgain said. It
	// reports all that is wrong each time: what it does not report any more is
	// over. Until then a finding stays open, however old its evidence.
	Audit func(*Pass)
	// Stands is how long what Audit finds must have stood to be told, where it is
	// watched: daemons leave things half done for a while. A snapshot alone (Engine.Audit)
	// says what is there.
	Stands time.Duration
	// Needs are the parts of the kernel's state (analyze.PartPolicies …) that
	// Audit rests on: where one could not be read, nothing is asked.
	Needs []string
}

// Pass is one asking of one rule.
type Pass struct {
	Rule  *Rule
	State *analyze.State
	View  *analyze.View // nil in CheckHost and Audit
	Host  *analyze.Host
	// Now is the event time, Mono: of a host whose recording is over, when that ended.
	Now time.Duration

	voice    voice
	atOnce   bool // in Audit: nothing is waited for
	found    bool // the rule has found something, be it elsewhere
	reports  []Finding
	others   []Evidence // see ResolveOthers
	resolved []resolution
	more     int           // findings of an audit beyond maxAudited
	again    time.Duration // see AskAgain; 0: not
	next     time.Duration // the soonest that a rule waits for, see Passed; 0: for nothing
	notes    *auditNotes
	plans    bypassPlans // nil where nothing is remembered
	search   ndJudged    // what the rules on neighbour discovery share
	attempts ikeJudged   // and those on the outcome of IKE
	silence  silenceJudged
}

type resolution struct {
	subject  string
	evidence []Evidence
}

// Finding returns a finding on the pass's subject with everything filled in
// that does not depend on the case.
func (p *Pass) Finding() Finding {
	f := Finding{
		Rule: p.Rule.ID, Severity: p.Rule.Severity, Title: p.Rule.Title,
		Origins: []string{p.Host.Origin.String()}, Remedies: []remedy.Remedy{},
	}
	if p.View != nil {
		f.Subject = p.PairSubject()
		f.Pair = []netip.Addr{p.View.Pair.Key.A, p.View.Pair.Key.B}
	} else {
		f.Subject, f.Pair = p.HostSubject(), []netip.Addr{}
	}
	return f
}

// Report claims a finding, made by Finding and filled in with the case.
func (p *Pass) Report(f Finding) {
	f.ID = FindingID(f.Rule, f.Subject)
	if p.voice == onAudit && len(p.reports) >= maxAudited {
		p.more++
		return
	}
	p.reports = append(p.reports, f)
}

// Resolve says that a finding on that subject, if there is one, is over.
func (p *Pass) Resolve(subject string, ev ...Evidence) {
	p.resolved = append(p.resolved, resolution{subject, ev})
}

// ResolvePair says that the rule's finding on the pair, if there is one, is over,
// and what was seen of that.
func (p *Pass) ResolvePair(at analyze.Sighting, format string, args ...any) {
	if p.found {
		p.Resolve(p.PairSubject(), Saw(at, format, args...))
	}
}

// ResolveOthers says, in CheckHost, that whatever the rule once found on this
// host and does not report now is over, whatever its subject was.
func (p *Pass) ResolveOthers(ev Evidence) { p.others = []Evidence{ev} }

// FindingID returns the stable id of a finding.
func FindingID(rule, subject string) string { return rule + ":" + subject }

// PairSubject returns the subject of findings about the pass's pair.
func (p *Pass) PairSubject() string { return p.View.Pair.Key.String() }

// HostSubject returns the subject of findings about the pass's host.
func (p *Pass) HostSubject() string { return "host " + p.Host.Origin.String() }

// Since returns the event time that has passed since a sighting, to tell of it. It is
// compared with nothing: see Passed.
func (p *Pass) Since(s analyze.Sighting) time.Duration { return p.Now - s.Mono }

// Passed reports whether that much event time has passed since a sighting. Check asks
// for the time in this way alone: so it is known when time by itself can change what
// it finds, and until then a pair to which nothing happens is left alone.
func (p *Pass) Passed(s analyze.Sighting, d time.Duration) bool { return p.reached(s.Mono + d) }

// Exceeded reports whether more than that has passed.
func (p *Pass) Exceeded(s analyze.Sighting, d time.Duration) bool { return p.reached(s.Mono + d + 1) }

func (p *Pass) reached(at time.Duration) bool {
	if p.Now >= at {
		return true
	}
	if p.next == 0 || at < p.next {
		p.next = at
	}
	return false
}
