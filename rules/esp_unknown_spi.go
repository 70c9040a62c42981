package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ESPUnknownSPI finds ESP for an SA that its receiver does not have.
var ESPUnknownSPI = &Rule{
	ID:       "esp-unknown-spi",
	Severity: Error,
	Title:    "ESP comes for an SA that the receiver does not have",
	Doc: Doc{
		Symptom: "It worked, and suddenly nothing goes through in one direction or in both, while IKE seems well. It may mend itself after " +
			"minutes or hours, when the next rekeying comes.",
		Cause: "One end still has the SAs and sends under them, the other has lost its own: it has restarted, its SAs were flushed (ip xfrm " +
			"state flush) or they expired there first. What comes under an unknown SPI is dropped without an answer. Without dead peer " +
			"detection the sender never learns of it. SAs made by hand with different SPIs look the same.",
		Recognised: "Certain on the receiver's side: ESP or AH arrives for an SPI of which the host's SAD has no entry, for longer than a " +
			"rekeying takes (12 s: strongSwan sends a lost deletion again after 4 s and 7 s), and XfrmInNoStates rises with it. Likely " +
			"from the wire alone, where the receiver says INVALID_SPI in the clear; most daemons never say it.",
		Remedy: "Have the sender make its SAs anew: end the connection there, or delete the SA that only it still has. So that it does not " +
			"come again, switch on dead peer detection at both ends (strongSwan: dpd_delay = 30s; libreswan: dpddelay=30).",
		Sources: []string{
			"RFC 4303 section 3.4.2 (no SA: discard), RFC 7296 section 1.5 (INVALID_SPI), section 2.4 (INITIAL_CONTACT, dead peers)",
			"Linux net/xfrm/xfrm_input.c: xfrm_input (XfrmInNoStates)",
			"strongswan.conf(5): charon.retransmit_timeout, charon.delete_rekeyed_delay; swanctl.conf(5): dpd_delay",
		},
	},
	Check: checkUnknownSPI,
}

// unknownAfter is how long an SPI must stay unknown: strongSwan, whose deletion of
// the old SA was lost, sends it again after 4.0 s and 7.2 s more; the peer may use
// the old SA until then.
const unknownAfter = 12 * time.Second

func checkUnknownSPI(p *Pass) {
	if toldInvalidSPI(p) || !p.dropping(analyze.XfrmInNoStates) {
		return
	}
	var known *analyze.FlowTotal
	for f := range p.inbound() {
		switch {
		case f.sa != nil:
			known = f.FlowTotal
		case reportUnknownSPI(p, f.FlowTotal):
			return
		}
	}
	if known != nil && p.found && !p.Passed(known.Last, espNow/2) {
		p.ResolvePair(known.Last, "%s comes to %s, which has an SA for it", flowWords(known.Key), known.Key.Dst)
	}
}

// reportUnknownSPI reports a flow without an SA, and whether it did.
func reportUnknownSPI(p *Pass, f *analyze.FlowTotal) bool {
	since := f.First
	left, was := p.Host.LeftSA(f.Key.Dst, f.Key.Proto, f.Key.SPI)
	if was && since.Before(left.At) {
		since = left.At
	}
	lost, last := p.Host.RiseBetween(analyze.XfrmInNoStates, since.Mono, f.Last.Mono+counterPoll)
	if f.Last.Mono-since.Mono < unknownAfter || lost < fewESP {
		return false
	}
	r := p.Finding()
	r.Confidence = Certain
	r.Explanation = fmt.Sprintf("%s has sent to %s under %s for %s, and %s has no SA with that SPI: it drops every packet. %s %s",
		f.Key.Src, f.Key.Dst, flowWords(f.Key), seconds(f.Last.Mono-since.Mono), f.Key.Dst, leftWords(f, left, was), insteadWords(p, f))
	r.Evidence = flowEvidence(f)
	if was {
		r.Evidence = append(r.Evidence, Saw(left.At, "the SA %s → %s SPI %#x is gone: %s", left.SA.Src, left.SA.Dst, left.SA.SPI, left.How))
	}
	r.Evidence = append(r.Evidence, Saw(last, "XfrmInNoStates has risen by %d since", lost))
	r.Remedies = []remedy.Remedy{forgetSA(f.Key)}
	p.Report(r)
	return true
}

// leftWords says what became of the SA.
func leftWords(f *analyze.FlowTotal, left analyze.SALeft, was bool) string {
	if was {
		return fmt.Sprintf("It had one until %s UTC, when %s, and %s does not know that it is gone.",
			left.At.Time.UTC().Format("15:04:05"), left.How, f.Key.Src)
	}
	return "It has had none since the recording began: it may have restarted and lost it, or the SPI was never agreed on."
}

// insteadWords names the SAs that would take what the peer sends.
func insteadWords(p *Pass, f *analyze.FlowTotal) string {
	n := uint64(0)
	var first uint32
	for i := range p.Host.DB.SAs {
		if s := &p.Host.DB.SAs[i]; s.Dst == f.Key.Dst.WithZone("") && s.Src == f.Key.Src.WithZone("") && s.Proto == f.Key.Proto && s.Usable() {
			if n++; n == 1 {
				first = s.SPI
			}
		}
	}
	switch n {
	case 0:
		return "It has no other SA for what comes from there."
	case 1:
		return fmt.Sprintf("For what comes from there it has an SA with the SPI %#x.", first)
	}
	return fmt.Sprintf("For what comes from there it has %s, one with the SPI %#x.", plural(n, "other SA"), first)
}

// toldInvalidSPI reports that a receiver said so itself, in the clear, and whether it
// did (RFC 7296 section 1.5). Anybody could have sent that: it is likely.
func toldInvalidSPI(p *Pass) bool {
	for _, n := range p.View.InvalidSPIs {
		for _, f := range p.View.Flows {
			if f.Packets == 0 || f.Key.Dst != n.From || (n.SPI != 0 && f.Key.SPI != n.SPI) || p.Exceeded(n.Last, 3*espNow) || f.Last.Before(n.First) {
				continue
			}
			r := p.Finding()
			r.Confidence = Likely
			r.Explanation = fmt.Sprintf("%s says that it does not know the SPI under which %s sends (INVALID_SPI, %s, not protected), and %s sends on "+
				"under %s. It may have restarted, or its SA has expired.", n.From, f.Key.Src, times(n.Count), f.Key.Src, flowWords(f.Key))
			r.Evidence = append(flowEvidence(f), Saw(n.First, "%s → %s: INVALID_SPI", n.From, f.Key.Src), Saw(n.Last, "INVALID_SPI, the latest"))
			r.Remedies = []remedy.Remedy{forgetSA(f.Key)}
			p.Report(r)
			return true
		}
	}
	return false
}

// forgetSA is the remedy for an SA that only its sender still has.
func forgetSA(k analyze.FlowKey) remedy.Remedy {
	return remedy.Remedy{
		Action: "forget-sa", Params: map[string]string{"host": k.Src.String(), "spi": fmt.Sprintf("%#x", k.SPI)},
		Title: fmt.Sprintf("have %s make its SAs anew: end the connection there (strongSwan: swanctl --terminate; libreswan: ipsec auto --down), "+
			"or delete the SA, so that its kernel asks for another; run this there", k.Src),
		Command: fmt.Sprintf("ip xfrm state delete src %s dst %s proto %s spi %#x", k.Src, k.Dst, spd.ProtocolName(k.Proto), k.SPI),
	}
}
