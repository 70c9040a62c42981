package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// FirstPacketLost tells of packets that were lost before their SA came up.
var FirstPacketLost = &Rule{
	ID:       "first-packet-lost",
	Severity: Info,
	Title:    "the packets before the SA were lost",
	Doc: Doc{
		Symptom: "The first ping, query or connect to a peer is lost or slow, later ones are well.",
		Cause: "A packet that needs an SA is not held while IKE makes one: with net.core.xfrm_larval_drop = 1, the default, the kernel drops " +
			"it and counts XfrmOutNoStates. TCP sends again by itself; UDP and ping do not.",
		Recognised: "An ACQUIRE, then XfrmOutNoStates rising, then an SA that carries the traffic.",
		Remedy: "Nothing, where it does not hurt. Else bring the SA up before the traffic (strongSwan: start_action = start; libreswan: " +
			"auto=start), or set net.core.xfrm_larval_drop = 0: then up to 101 packets for each policy are queued.",
		Sources: []string{
			"Linux net/xfrm/xfrm_policy.c: xfrm_lookup_with_ifid",
			"Linux Documentation/networking/xfrm_proc.rst (XfrmOutNoStates)",
		},
	},
	Check: checkFirstPacketLost,
}

// counterPoll is how late a rise of a counter may be seen: it is polled each
// second.
const counterPoll = 1500 * time.Millisecond

func checkFirstPacketLost(p *Pass) {
	n := p.View.Need
	if n == nil || n.Satisfied.IsZero() || !p.Passed(n.Satisfied, counterPoll) {
		return
	}
	lost, last := p.Host.RiseBetween(analyze.XfrmOutNoStates, n.Since.Mono-time.Second, n.Satisfied.Mono+counterPoll)
	if lost == 0 {
		return
	}
	took := n.Satisfied.Mono - n.Since.Mono
	f := p.Finding()
	f.Confidence, f.State = Certain, Resolved
	f.Explanation = fmt.Sprintf("It took %s from the first packet from %s to %s until an SA could carry it. Until then packets of this "+
		"host died for lack of an SA, %d at most (XfrmOutNoStates may count one packet more than once). It is over now.",
		seconds(took), n.Local, n.Peer, lost)
	f.Evidence = append(needEvidence(p.Host, n), Saw(last, "XfrmOutNoStates has risen by %d", lost),
		Saw(n.Satisfied, "an SA is there that carries the traffic"))
	f.Remedies = []remedy.Remedy{{
		Action: "larval-drop", Params: map[string]string{"value": "0"},
		Title:   "if that hurts, let the kernel queue such packets (up to 101 for each policy)",
		Command: "sysctl -w net.core.xfrm_larval_drop=0",
	}}
	p.Report(f)
}
