package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// PolicyMismatch finds packets that are decrypted and then dropped, because no
// policy takes what comes under their SA.
var PolicyMismatch = &Rule{
	ID:       "policy-mismatch",
	Severity: Error,
	Title:    "packets are decrypted and then dropped: no policy takes them",
	Doc: Doc{
		Symptom: "ESP arrives and its SA is right, the sender sees nothing wrong, and still no packet reaches an application; ping from the " +
			"peer is not answered.",
		Cause: "After decryption the kernel asks the inbound policy for the packet whether it came under such an SA as the policy wants: " +
			"protocol, mode, reqid and a tunnel's ends must be those of its template. Where they differ the packet is dropped " +
			"(XfrmInTmplMismatch). What comes out of a tunnel and no policy selects is dropped as well (XfrmInNoPols). So it goes where " +
			"policies were changed beside a daemon that made the SA, where two programs serve one pair, or where manual SAs and policies " +
			"were written down differently.",
		Recognised: "Three packets or more arrive under an inbound SA that satisfies no policy of direction in (or fwd, on a host that " +
			"forwards), and XfrmInTmplMismatch or XfrmInNoPols rises. Certain where it rises by at least as much as packets have come " +
			"and no counter of failed decryption rises. Packets in the clear that an inbound policy drops are counted by " +
			"XfrmInTmplMismatch too, and are no matter of this rule: it looks at ESP and AH alone. It needs the receiver's kernel.",
		Remedy: "Let one program make the SAs and the policies of a pair: have the daemon install its policies again (take the connection " +
			"down and up), or let manual policies ask for what the manual SAs are.",
		Sources: []string{
			"RFC 4301 section 5.2 (processing of inbound traffic: the SA's selectors and policy are checked)",
			"Linux net/xfrm/xfrm_policy.c: __xfrm_policy_check, xfrm_policy_ok, xfrm_state_ok",
			"Linux Documentation/networking/xfrm_proc.rst (XfrmInTmplMismatch, XfrmInNoPols)",
		},
	},
	Check: checkPolicyMismatch,
}

// mismatchPackets is how many packets must have come under an SA that no policy
// takes: a policy is replaced in two steps by some daemons, and a packet may
// come between.
const mismatchPackets = 3

// mismatch is an inbound SA whose packets no policy takes.
type mismatch struct {
	flow      *analyze.FlowTotal
	sa        *spd.SA
	refusing  []*spd.Policy // empty where no policy selects what came
	counter   string
	changed   bool   // the policies have changed since packets came under it
	came      uint64 // packets since then
	arrived   uint64 // those of which the counter must have told by now
	lost      uint64
	lostTo    analyze.Sighting
	undecoded uint64 // packets of the whole host that failed before
}

func checkPolicyMismatch(p *Pass) {
	if !p.Host.KernelSeen {
		return
	}
	var fits analyze.Sighting
	for _, f := range p.View.Flows {
		if f.Direction == analyze.DirOut || p.Exceeded(f.Last, 2*counterPoll) {
			continue
		}
		s := p.Host.DB.FindSA(f.Key.Dst, f.Key.Proto, f.Key.SPI)
		if s == nil || !s.Usable() || !p.Host.Owns(s.Dst) {
			continue
		}
		refusing, taken := admitted(p.Host, s)
		if taken {
			fits = f.Last
			continue
		}
		if m := countMismatch(p, f, s, refusing); m != nil {
			reportMismatch(p, m)
			return
		}
	}
	if !fits.IsZero() {
		p.ResolvePair(fits, "packets come under an SA that a policy takes")
	}
}

// admitted asks whether any policy takes what comes under an SA, and which ones
// refuse it. A policy for forwarded packets is of account on a host that
// forwards, and for others' addresses.
func admitted(h *analyze.Host, s *spd.SA) (refusing []*spd.Policy, taken bool) {
	in := h.DB.Admit(s, spd.In)
	if len(in.Taking) > 0 {
		return nil, true
	}
	if forwards(h, s) {
		for _, q := range h.DB.Admit(s, spd.Fwd).Taking {
			if d := q.Selector.Dst; !d.IsSingleIP() || !h.Owns(d.Addr()) {
				return nil, true
			}
		}
	}
	if s.Mode == spd.Transport && len(in.Refusing) == 0 {
		return nil, true // accepted without a policy
	}
	return in.Refusing, false
}

// forwards reports whether a host forwards packets of an SA's family, as far as
// it is known.
func forwards(h *analyze.Host, s *spd.SA) bool {
	name := "net.ipv6.conf.all.forwarding"
	if s.Dst.Is4() {
		name = "net.ipv4.ip_forward"
	}
	return h.Lacks(analyze.PartSettings) || h.Sysctl(name, "0") != "0" || mixedTunnel(h, s)
}

// mixedTunnel reports whether what a tunnel holds may be of the other family.
func mixedTunnel(h *analyze.Host, s *spd.SA) bool {
	return s.Mode != spd.Transport &&
		(h.Sysctl("net.ipv6.conf.all.forwarding", "0") != "0" || h.Sysctl("net.ipv4.ip_forward", "0") != "0")
}

// inputFailures are the counters of packets that were dropped before a policy
// was asked.
var inputFailures = []string{
	"XfrmInError", "XfrmInBufferError", "XfrmInHdrError", "XfrmInStateProtoError", "XfrmInStateModeError",
	"XfrmInStateSeqError", "XfrmInStateExpired", "XfrmInStateMismatch", "XfrmInStateInvalid",
}

// countMismatch holds the packets that came against the counters, nil where
// these do not tell of their end.
func countMismatch(p *Pass, f *analyze.FlowTotal, s *spd.SA, refusing []*spd.Policy) *mismatch {
	since, settled := f.First.Mono, time.Duration(0)
	if c := p.Host.PoliciesChanged; !c.IsZero() && c.Mono > since {
		since, settled = c.Mono, time.Second // an interval that began before
	}
	m := &mismatch{flow: f, sa: s, refusing: refusing, counter: analyze.XfrmInTmplMismatch, changed: settled > 0}
	m.came = f.PacketsBetween(since+settled-1, p.Now)
	m.arrived = f.PacketsBetween(since+settled-1, p.Now-counterPoll)
	if len(refusing) == 0 {
		m.counter = analyze.XfrmInNoPols
	}
	m.lost, _, m.lostTo = p.Host.Rise(m.counter, since-1)
	if m.lost == 0 && s.Mode != spd.Transport { // what came out was for another policy, or for none
		m.counter, m.refusing = otherOf(m.counter), nil
		m.lost, _, m.lostTo = p.Host.Rise(m.counter, since-1)
	}
	for _, name := range inputFailures {
		n, _, _ := p.Host.Rise(name, since-1)
		m.undecoded += n
	}
	if m.arrived < mismatchPackets || m.lost == 0 {
		return nil
	}
	return m
}

func otherOf(counter string) string {
	if counter == analyze.XfrmInNoPols {
		return analyze.XfrmInTmplMismatch
	}
	return analyze.XfrmInNoPols
}

func reportMismatch(p *Pass, m *mismatch) {
	f := p.Finding()
	f.Confidence = Likely
	if m.lost >= m.arrived && m.undecoded == 0 {
		f.Confidence = Certain
	}
	s := m.sa
	came := fmt.Sprintf("%s from %s to %s arrives under SPI %#x (%s), is decrypted, and is then dropped: ",
		strings.ToUpper(spd.ProtocolName(s.Proto)), m.flow.Key.Src, m.flow.Key.Dst, s.SPI, saProperties(s))
	if len(m.refusing) > 0 {
		f.Title = "packets are decrypted and then dropped: the policy wants another SA"
		f.Explanation = came + mismatchWords(m.refusing[0], s) + " No other policy takes what comes under this SA."
	} else {
		f.Title = "packets are decrypted and then dropped: no policy selects them"
		f.Explanation = came + "no policy of direction " + directionsWords(p.Host, s) + " is for what comes out of this tunnel."
	}
	f.Evidence = []Evidence{
		Saw(m.flow.Last, "%s → %s, SPI %#x: %s%s", m.flow.Key.Src, m.flow.Key.Dst, s.SPI, plural(m.came, "packet"), m.sinceWords()),
		Saw(p.Looked(), "%s", s),
		Saw(m.lostTo, "%s has risen by %d", m.counter, m.lost),
	}
	for _, q := range m.refusing[:min(len(m.refusing), maxBypasses)] {
		f.Evidence = append(f.Evidence, p.SawPolicy(q))
	}
	f.Remedies = p.runHere(mismatchRemedies(p, m))
	p.Report(f)
}

func (m *mismatch) sinceWords() string {
	if m.changed {
		return " since the policies changed"
	}
	return ""
}

// saProperties are those that a template asks for.
func saProperties(s *spd.SA) string {
	return fmt.Sprintf("%s mode, reqid %d", s.Mode, s.ReqID)
}

func directionsWords(h *analyze.Host, s *spd.SA) string {
	if forwards(h, s) {
		return "in or fwd"
	}
	return "in"
}

// mismatchWords says what a policy wants instead of s.
func mismatchWords(q *spd.Policy, s *spd.SA) string {
	t := &q.Templates[0]
	var wants []string
	for _, m := range t.Misfits(s) {
		switch m {
		case spd.MisfitProto:
			wants = append(wants, "protocol "+spd.ProtocolName(t.Proto)+", not "+spd.ProtocolName(s.Proto))
		case spd.MisfitMode:
			wants = append(wants, fmt.Sprintf("%s mode, not %s", t.Mode, s.Mode))
		case spd.MisfitReqID:
			wants = append(wants, fmt.Sprintf("reqid %d, not %d", t.ReqID, s.ReqID))
		case spd.MisfitSPI:
			wants = append(wants, fmt.Sprintf("SPI %#x, not %#x", t.SPI, s.SPI))
		case spd.MisfitEnds:
			wants = append(wants, fmt.Sprintf("the tunnel %s → %s, not %s → %s", t.Src, t.Dst, s.Src, s.Dst))
		}
	}
	return fmt.Sprintf("%s wants %s.", policyWords(q), strings.Join(wants, ", and "))
}

// mismatchRemedies have a manual policy ask for what the SA is.
func mismatchRemedies(p *Pass, m *mismatch) []remedy.Remedy {
	var out []remedy.Remedy
	if p.Host.DB.Negotiated()[spd.EndsOf(m.sa)] {
		out = append(out, remedy.Remedy{
			Action: "reconnect", Params: map[string]string{"host": p.Host.Origin.String()},
			Title:   "IKE seems to have made the SA: take its connection down and up, so that the daemon installs its policies anew",
			Command: reconnectCommand(p.Host),
		})
	}
	if len(m.refusing) == 0 {
		return out
	}
	c := *m.refusing[0]
	c.Templates = slices.Clone(c.Templates)
	t := &c.Templates[0]
	t.Proto, t.Mode, t.ReqID = m.sa.Proto, m.sa.Mode, m.sa.ReqID
	if t.Mode == spd.Tunnel {
		t.Src, t.Dst = m.sa.Src, m.sa.Dst
	}
	return append(out, policyRemedy(p.Host, "set-template", "let the policy ask for what the SA is, if the policy was made by hand", remedy.ReplacePolicy, &c))
}

// reconnectCommand takes a connection down and up, in the words of the daemon
// that listens.
func reconnectCommand(h *analyze.Host) string {
	if slices.ContainsFunc(h.Listeners, func(l analyze.Listener) bool { return l.Name == "pluto" }) {
		return "ipsec whack --name NAME --terminate\nipsec whack --name NAME --initiate"
	}
	return "swanctl --terminate --child NAME\nswanctl --initiate --child NAME"
}

// policyRemedy is a change of one policy of a host, as a command.
func policyRemedy(h *analyze.Host, action, title string, op remedy.Op, q *spd.Policy) remedy.Remedy {
	return remedy.Remedy{
		Action: action, Params: map[string]string{"host": h.Origin.String()}, Title: title,
		Command: remedy.Step{Op: op, Policy: q, Device: h.InterfaceName(q.Selector.IfIndex)}.Command(),
	}
}
