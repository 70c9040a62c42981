package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// NDBypassTooBroad finds a bypass for neighbour discovery that lets more pass.
var NDBypassTooBroad = &Rule{
	ID:       "nd-bypass-too-broad",
	Severity: Warning,
	Title:    "a bypass lets more than neighbour discovery pass in the clear",
	Doc: Doc{
		Symptom: "None: everything works. Pings between two hosts that are to speak IPsec, and more, can be read and forged on the wire.",
		Cause: "A bypass of all ICMPv6 (setkey: icmp6 … none) lets neighbour discovery pass, and with it echo requests and replies, error " +
			"messages, which quote the packets that caused them, redirects and whatever else ICMPv6 carries. On the way in, forged ones " +
			"are taken. A bypass of all protocols leaves nothing protected.",
		Recognised: "For every policy that demands an SA, sample packets between its ends are looked up: a bypass of ICMPv6 wins, or one of all " +
			"protocols over a policy from host to host, and without bypasses they would be protected. Types 133 to 137 (neighbour and " +
			"router discovery, redirects) by themselves are no fault.",
		Remedy: "Replace it by bypasses of types 135 and 136 alone, in both directions; add these first, then delete the broad one.",
		Sources: []string{
			"RFC 4890 section 4.3 (which ICMPv6 firewalls should let pass, and why)",
			"RFC 4301 section 6 (ICMP processing), section 4.4.1.1 (selectors: ICMP type and code)",
			"RFC 4443 (ICMPv6: errors quote the invoking packet)",
		},
	},
	Audit: auditNDBypassTooBroad,
	Needs: []string{analyze.PartPolicies},
}

// sample is a packet that a bypass for neighbour discovery has no need to let
// pass.
type sample struct {
	name         string
	proto        uint8
	sport, dport uint16 // of ICMPv6 the type, and the code
	minor        bool   // no fault by itself
}

var samples = []sample{
	{name: "echo requests", proto: spd.ProtoICMPv6, sport: 128},
	{name: "echo replies", proto: spd.ProtoICMPv6, sport: 129},
	{name: "redirects", proto: spd.ProtoICMPv6, sport: 137, minor: true},
	{name: "error messages (which quote the packets that caused them)", proto: spd.ProtoICMPv6, sport: 1},
	{name: "TCP", proto: spd.ProtoTCP, sport: 49152, dport: 80},
	{name: "UDP", proto: spd.ProtoUDP, sport: 49152, dport: 53},
}

// leak is what bypasses let pass that the policies for two hosts, or for
// networks, want protected.
type leak struct {
	subject  string
	pair     []netip.Addr // its ends; none for networks
	policy   *spd.Policy  // that would protect it
	bypasses []*spd.Policy
	names    []string
	major    bool
	doubt    bool // it rests on a tie
}

func auditNDBypassTooBroad(p *Pass) {
	if !slices.ContainsFunc(p.Host.DB.Policies, broad) {
		return
	}
	for _, l := range leaksOf(p) {
		if l.major {
			reportTooBroad(p, l)
		}
	}
}

// leaksOf returns the leaks of a host, those of one pair in one.
func leaksOf(p *Pass) (leaks []*leak) {
	j := newNDJudge(p.Host)
	found := map[string]*leak{}
	for i := range p.Host.DB.Policies {
		q := &p.Host.DB.Policies[i]
		if q.Socket || q.Direction == spd.Fwd || q.Selector.Family == spd.IPv4 || !q.Requires() {
			continue
		}
		l := &leak{policy: q, subject: p.HostSubject()}
		if a, b, ok := policyEnds(q); ok {
			k := analyze.MakePairKey(a, b)
			l.pair, l.subject = []netip.Addr{k.A, k.B}, k.String()
		}
		if o := found[l.subject]; o != nil {
			l = o
		}
		l.look(j, q)
		if len(l.names) > 0 && found[l.subject] == nil {
			found[l.subject] = l
			leaks = append(leaks, l)
		}
	}
	return leaks
}

// broad reports whether p is a bypass that may let more pass than neighbour
// discovery.
func broad(p spd.Policy) bool {
	s := p.Selector
	return p.Bypass() && !p.Socket && p.Direction != spd.Fwd && s.Family != spd.IPv4 &&
		(s.Proto == spd.ProtoICMPv6 || s.Proto == spd.ProtoAny) && s.SrcPortMask != 0xffff
}

// look adds what leaks of the traffic that one policy wants protected.
func (l *leak) look(j *ndJudge, q *spd.Policy) {
	for _, s := range samples {
		f := spd.Flow{
			Src: q.Selector.Src.Addr(), Dst: q.Selector.Dst.Addr(), Proto: s.proto, SrcPort: s.sport, DstPort: s.dport,
			IfIndex: q.Selector.IfIndex, IfID: q.IfID, Mark: q.Mark.Value,
		}
		v := j.h.DB.Lookup(q.Direction, f)
		if v.Decision != spd.Clear || len(v.Policies) == 0 {
			continue
		}
		b := v.Policies[len(v.Policies)-1]
		if !b.Bypass() || (b.Selector.Proto != spd.ProtoICMPv6 && !q.Exact()) || !letsNDPass(b, q) {
			continue
		}
		if w := j.bare.Lookup(q.Direction, f); holder(&w) == nil || w.Decision != spd.Protect {
			continue
		}
		if !slices.Contains(l.bypasses, b) {
			l.bypasses = append(l.bypasses, b)
		}
		l.major = l.major || !s.minor
		l.doubt = l.doubt || doubtful(&v)
		if !slices.Contains(l.names, s.name) {
			l.names = append(l.names, s.name)
		}
	}
}

// letsNDPass reports whether b also lets neighbour discovery pass: one that does
// not was meant for something else.
func letsNDPass(b, q *spd.Policy) bool {
	f := spd.ICMPv6Flow(q.Selector.Src.Addr(), q.Selector.Dst.Addr(), spd.NeighborAdvertisement)
	f.IfIndex, f.IfID, f.Mark = q.Selector.IfIndex, q.IfID, q.Mark.Value
	return b.Matches(f)
}

func reportTooBroad(p *Pass, l *leak) {
	f := p.Finding()
	if l.pair != nil {
		f = p.PairFinding(l.pair[0], l.pair[1])
	}
	f.Confidence = Certain
	if l.doubt {
		f.Confidence = Likely
	}
	f.Explanation = fmt.Sprintf("On %s more passes in the clear than neighbour discovery needs: %s. Without the bypass %s would protect it. "+
		"Neighbour discovery needs types 135 and 136 alone.",
		hostWords(p.Host), l.words(), holderWords(l.policy))
	for _, b := range l.bypasses {
		f.Evidence = append(f.Evidence, p.SawPolicy(b))
	}
	f.Evidence = append(f.Evidence, p.SawPolicy(l.policy))
	f.Remedies = l.remedies(p)
	p.Report(f)
}

// words say what leaks, and in which directions.
func (l *leak) words() string {
	what := "everything between the two: " + strings.Join(l.names, ", ")
	if l.bypasses[0].Selector.Proto == spd.ProtoICMPv6 {
		what = "all ICMPv6, with it " + strings.Join(l.names, ", ")
	}
	var dirs []string
	for _, b := range l.bypasses {
		if d := b.Direction.String(); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return what + " (" + strings.Join(dirs, " and ") + ")"
}

// remedies puts narrow bypasses there, then takes the broad one away: neighbour
// discovery passes at every moment.
func (l *leak) remedies(p *Pass) []remedy.Remedy {
	steps, err := l.narrow(p)
	var refused *remedy.Refusal
	if errors.As(err, &refused) {
		return elsewhere(refused)
	}
	for _, b := range l.bypasses {
		steps = append(steps, remedy.Step{Op: remedy.DeletePolicy, Policy: b, Device: p.Host.InterfaceName(b.Selector.IfIndex)})
	}
	return []remedy.Remedy{{
		Action: "nd-bypass-narrow", Params: map[string]string{"host": hostWords(p.Host), "types": "135,136"},
		Title:   "replace the bypass by one for types 135 and 136; run this on " + hostWords(p.Host),
		Command: strings.Join(remedy.Commands(steps), "\n"),
	}}
}

// narrow returns the steps that put the narrow bypasses there: at the place of
// the broad ones, unless those win by their age, which younger ones cannot.
//
// Errors are *remedy.Refusal.
func (l *leak) narrow(p *Pass) ([]remedy.Step, error) {
	if l.byAge(&p.Host.DB) {
		k := p.Host.Kernel()
		k.Policies = slices.DeleteFunc(slices.Clone(k.Policies), func(q spd.Policy) bool {
			return slices.ContainsFunc(l.bypasses, func(b *spd.Policy) bool { return b.Identity() == q.Identity() })
		})
		plan, err := remedy.NDBypass(&k, remedy.NDOptions{})
		return plan.Steps, err
	}
	var steps []remedy.Step
	for _, b := range l.bypasses {
		for _, t := range []uint16{spd.NeighborSolicitation, spd.NeighborAdvertisement} {
			n := *b
			n.Selector.Proto, n.Selector.SrcPort, n.Selector.SrcPortMask = spd.ProtoICMPv6, t, 0xffff
			n.Selector.DstPort, n.Selector.DstPortMask = 0, 0
			step := putPolicy(&p.Host.DB, n)
			step.Device = p.Host.InterfaceName(n.Selector.IfIndex)
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// byAge reports whether something that holds packets has the priority of one of
// the bypasses.
func (l *leak) byAge(db *spd.Database) bool {
	return slices.ContainsFunc(l.bypasses, func(b *spd.Policy) bool {
		return slices.ContainsFunc(db.Policies, func(q spd.Policy) bool {
			return !q.Socket && !q.Bypass() && q.Direction == b.Direction && q.Type == b.Type && q.Priority == b.Priority
		})
	})
}
