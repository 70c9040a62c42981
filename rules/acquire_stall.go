package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// AcquireStall finds traffic that waits for an SA that does not come.
var AcquireStall = &Rule{
	ID:        "acquire-stall",
	Severity:  Error,
	Title:     "traffic needs an SA and none comes",
	Doc:       acquireStallDoc,
	Check:     checkAcquireStall,
	CheckHost: checkStarved,
}

// Times after which waiting for an SA is a stall. strongSwan retransmits after
// 4.0, 11.2 and 24.2 s (retransmit_timeout 4.0, retransmit_base 1.8), libreswan
// after 0.5, 1.5, 3.5 s: a request that was sent three times over 5 s has lost
// more than a packet to bad luck. Daemons answer an ACQUIRE at once; 10 s allow
// for a host that is busy booting. An IKE SA that is half open for 30 s is given
// up by strongSwan (half_open_timeout).
const (
	stallNoListener = 3 * time.Second
	stallNoIKE      = 10 * time.Second
	stallNoReply    = 5 * time.Second
	stallRepeats    = 2
	stallFailing    = 30 * time.Second
)

// stallKind is how far the search for an SA has come.
type stallKind uint8

const (
	stallNone stallKind = iota
	stallUnheard
	stallQuiet
	stallUnanswered
	stallFails
)

func checkAcquireStall(p *Pass) {
	n := p.View.Need
	switch {
	case n == nil || !p.Host.KernelSeen:
		checkUnanswered(p)
	case n.Open():
		if kind, sa := judgeNeed(p, n); kind != stallNone {
			reportStall(p, n, kind, sa)
		}
	case checkUnanswered(p): // IKE that no ACQUIRE asked for
	case !n.Satisfied.IsZero():
		p.ResolvePair(n.Satisfied, "an SA is there that carries the traffic")
	default:
		p.ResolvePair(n.Withdrawn, "no policy wants an SA for this pair any more")
	}
}

// judgeNeed tells how far the search has come, and which IKE SA shows it.
func judgeNeed(p *Pass, n *analyze.Need) (stallKind, *analyze.IKESA) {
	if len(p.Host.Daemons()) == 0 {
		if p.Passed(n.Since, stallNoListener) {
			return stallUnheard, nil
		}
		return stallNone, nil
	}
	var last *analyze.IKESA
	for _, sa := range p.View.IKE {
		if sa.Last.Mono > n.Since.Mono-ikeWindow {
			last = sa
		}
	}
	switch {
	case last == nil && p.Passed(n.Since, stallNoIKE):
		return stallQuiet, nil
	case last == nil:
		return stallNone, nil
	case unanswered(p, last):
		return stallUnanswered, last
	case last.BothSpoke() && p.Passed(n.Since, stallFailing):
		return stallFails, last
	}
	return stallNone, nil
}

// ikeWindow is how long before a need an IKE message still belongs to it: the
// longest pause of strongSwan's retransmission (42 s).
const ikeWindow = 45 * time.Second

// unanswered reports whether one side of sa has asked often enough and long
// enough without an answer.
func unanswered(p *Pass, sa *analyze.IKESA) bool {
	sp, _, _ := sa.Waiting()
	return sp != nil && establishing(sp.Exchange) && sp.Repeats >= stallRepeats && p.Passed(sp.FirstSent, stallNoReply) &&
		p.View.ESPAfter(sp.FirstSent) == nil // else an SA came of it, and the answer is not seen here
}

// establishing reports whether an exchange serves to make an SA, as opposed to
// looking after one (INFORMATIONAL: dead peer detection, deletion).
func establishing(x ike.ExchangeType) bool {
	switch x {
	case ike.ExchangeInformational, ike.ExchangeInformationalV1:
		return false
	}
	return true
}

// checkUnanswered is the wire's view: a host asks for an IKE SA and nobody
// answers. That packets wait for it is likely, not seen. It returns whether it
// reported. IKE that is answered later, under another SPI too, ends it.
func checkUnanswered(p *Pass) bool {
	var waiting, answered *analyze.IKESA
	for _, sa := range p.View.IKE {
		switch {
		case unanswered(p, sa) && !p.Passed(sa.Last, ikeWindow):
			waiting = sa
		case sa.BothSpoke() && (answered == nil || answered.Last.Mono < sa.Last.Mono):
			answered = sa
		}
	}
	if waiting != nil && (answered == nil || answered.Last.Mono < waiting.Last.Mono) {
		reportUnanswered(p, waiting)
		return true
	}
	if answered != nil {
		p.ResolvePair(answered.Last, "IKE is answered now")
	}
	return false
}

func reportUnanswered(p *Pass, sa *analyze.IKESA) {
	_, from, to := sa.Waiting()
	f := p.Finding()
	f.Confidence = Likely
	f.Explanation = fmt.Sprintf("%s asks %s for an SA by IKE, and no answer was seen. Until one comes, packets that an IPsec policy of "+
		"%s wants protected are lost. Whether the answers are lost or never sent cannot be told from here.", from, to, from)
	f.Evidence = unansweredEvidence(sa)
	f.Remedies = []remedy.Remedy{watchOn(to)}
	p.Report(f)
}

func reportStall(p *Pass, n *analyze.Need, kind stallKind, sa *analyze.IKESA) {
	f := p.Finding()
	f.Confidence = Certain
	if kind == stallQuiet { // it may go out by an interface that is not watched
		f.Confidence = Likely
	}
	lost, _, lastLost := p.Host.Rise(analyze.XfrmOutNoStates, n.Since.Mono-time.Second)
	f.Explanation = fmt.Sprintf("For %s, traffic from %s to %s has needed an SA, and none has come: %s. %s",
		seconds(p.Since(n.Since)), n.Local, n.Peer, stallWords(p, n, kind, sa), applicationWords(p.Host, lost))
	f.Evidence = needEvidence(p.Host, n)
	if sa != nil {
		f.Evidence = append(f.Evidence, unansweredEvidence(sa)...)
	}
	if lost > 0 {
		f.Evidence = append(f.Evidence, Saw(lastLost, "XfrmOutNoStates has risen by %d", lost))
	}
	f.Remedies = stallRemedies(n.Peer, kind)
	p.Report(f)
}

// stallWords says which kind of stall it is.
func stallWords(p *Pass, n *analyze.Need, kind stallKind, sa *analyze.IKESA) string {
	switch kind {
	case stallUnheard:
		return "nobody listens for ACQUIREs, so that no IKE daemon knows of it"
	case stallQuiet:
		return fmt.Sprintf("%s listens for ACQUIREs, but no IKE message between the two was seen on the interfaces watched", daemonWords(p.Host))
	case stallUnanswered:
		sp, from, to := sa.Waiting()
		return fmt.Sprintf("%s sends %s to %s and gets no answer (sent again %s)", from, sp.Exchange, to, times(sp.Repeats))
	}
	words := "IKE messages go both ways, and still no SA comes of it"
	for i := range sa.Errors {
		words += fmt.Sprintf("; %s said %s", sa.Errors[i].From, sa.Errors[i].Name)
	}
	return words
}

func daemonWords(h *analyze.Host) string {
	var names []string
	for _, l := range h.Daemons() {
		names = append(names, listenerWords(l.Name, l.PID))
	}
	return strings.Join(names, ", ")
}

// applicationWords says what the applications on this host see, from
// net.core.xfrm_larval_drop (xfrm_lookup_with_ifid, xdst_queue_output).
func applicationWords(h *analyze.Host, lost uint64) string {
	if h.Sysctl(sysctlLarvalDrop, "1") == "0" {
		return "Applications on this host: up to 101 packets are queued for each policy and sent when the SA comes; then a send fails with " +
			"EAGAIN (Resource temporarily unavailable), even on a blocking socket; a TCP connect hangs " +
			"(net.core.xfrm_larval_drop = 0). The kernel does not tell how many are queued."
	}
	words := "Applications on this host see silence: their packets are dropped; a TCP connect hangs (net.core.xfrm_larval_drop = 1)."
	if lost > 0 {
		words += fmt.Sprintf(" XfrmOutNoStates has risen by %d on the whole host since; it may count one packet more than once.", lost)
	}
	return words
}

const sysctlLarvalDrop = "net.core.xfrm_larval_drop"

func needEvidence(h *analyze.Host, n *analyze.Need) []Evidence {
	var ev []Evidence
	for i, q := range n.Acquires {
		if i == 0 || i == len(n.Acquires)-1 {
			ev = append(ev, Saw(q.At, "ACQUIRE: the kernel asks for an SA %s → %s for %s", n.Local, n.Peer, selectorWords(h, q.Selector)))
		}
	}
	if n.Larval && len(ev) == 0 {
		ev = append(ev, Saw(n.Since, "a larval SA %s → %s stands", n.Local, n.Peer))
	}
	return ev
}

func unansweredEvidence(sa *analyze.IKESA) []Evidence {
	sp, from, to := sa.Waiting()
	if sp == nil {
		return []Evidence{Saw(sa.Last, "the last IKE message of SPI %s", sa.InitiatorSPI)}
	}
	ev := []Evidence{Saw(sp.FirstSent, "%s sends %s to %s (SPI %s)", from, sp.Exchange, to, sa.InitiatorSPI)}
	if sp.Repeats > 0 {
		ev = append(ev, Saw(sp.LastSent, "%s has sent it again %s, no answer", from, times(sp.Repeats)))
	}
	return ev
}

func watchOn(peer netip.Addr) remedy.Remedy {
	return remedy.Remedy{
		Action: "watch", Params: map[string]string{"host": peer.String()},
		Title:   fmt.Sprintf("see what arrives at %s; run this there", peer),
		Command: "ipsecdiag watch any",
	}
}

func stallRemedies(peer netip.Addr, kind stallKind) []remedy.Remedy {
	switch kind {
	case stallUnheard:
		return []remedy.Remedy{startDaemon()}
	case stallQuiet:
		return []remedy.Remedy{{
			Action: "daemon-log", Params: map[string]string{},
			Title:   "read why the IKE daemon does not start",
			Command: "journalctl --no-pager --since -10min -u strongswan -u ipsec",
		}}
	}
	return []remedy.Remedy{watchOn(peer)}
}

func startDaemon() remedy.Remedy {
	return remedy.Remedy{
		Action: "start-daemon", Params: map[string]string{},
		Title:   "start the IKE daemon that is to serve these policies (strongSwan; for libreswan the unit is ipsec)",
		Command: "systemctl start strongswan",
	}
}
