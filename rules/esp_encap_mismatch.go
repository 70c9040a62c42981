package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ESPEncapMismatch finds ESP that comes in UDP for an SA without encapsulation, or
// the reverse.
var ESPEncapMismatch = &Rule{
	ID:       "esp-encap-mismatch",
	Severity: Error,
	Title:    "one end puts ESP into UDP, the other does not",
	Doc: Doc{
		Symptom: "IKE is up, on UDP 4500 mostly, and nothing goes through in one direction or in both.",
		Cause: "Behind NAT, ESP travels in UDP (RFC 3948), and the SAs of both ends must say so. Where one does not, because it was made by hand, by " +
			"a script, or by a daemon that saw the NAT and the other did not, the receiver drops every packet: plain ESP for an SA with " +
			"encapsulation, or ESP in UDP for an SA without.",
		Recognised: "Certain on the receiver's side: the SA for the SPI that comes says one thing, the wire another, and XfrmInStateMismatch rises " +
			"for 5 s or more. Likely from the wire alone, where IKE has found NAT and moved to UDP 4500, and ESP goes plain between the same hosts.",
		Remedy: "Have both ends make the SAs anew from one negotiation. With manual SAs give both the same \"encap espinudp 4500 4500\", or neither; " +
			"where a NAT lies between, both (strongSwan: encap = yes at one end; libreswan: encapsulation=yes).",
		Sources: []string{
			"RFC 3948 section 2 (formats), RFC 7296 section 2.23 (NAT traversal)",
			"Linux net/xfrm/xfrm_input.c: xfrm_input (XfrmInStateMismatch, encap_type)",
			"ip-xfrm(8): encap; swanctl.conf(5): encap",
		},
	},
	Check: checkEncapMismatch,
}

// encapLasts is how long a mismatch must last: MOBIKE and a new NAT mapping change
// both ends' SAs within a round trip, and a lost message is sent again after 4 s.
const encapLasts = 5 * time.Second

func checkEncapMismatch(p *Pass) {
	var fits *analyze.FlowTotal
	for f := range p.inbound() {
		switch {
		case f.sa == nil || f.Key.Proto != spd.ProtoESP:
		case inUDP(f.Key) == (f.sa.Encap != nil):
			fits = f.FlowTotal
		case p.dropping(analyze.XfrmInStateMismatch) && reportEncapMismatch(p, f):
			return
		}
	}
	if !plainBehindNAT(p) && fits != nil && p.found {
		p.ResolvePair(fits.Last, "%s comes, and the SA of %s says so", flowWords(fits.Key), fits.Key.Dst)
	}
}

func inUDP(k analyze.FlowKey) bool { return k.SrcPort != 0 || k.DstPort != 0 }

func reportEncapMismatch(p *Pass, f inboundFlow) bool {
	from := max(f.First.Mono, p.Now-3*espNow) - time.Second
	lost, first, last := p.Host.Rise(analyze.XfrmInStateMismatch, from)
	if lost < fewESP || last.Mono-first.Mono < encapLasts || p.Exceeded(last, espNow) {
		return false
	}
	r := p.Finding()
	r.Confidence = Certain
	comes, wants := "plain", "wants it in UDP"
	if inUDP(f.Key) {
		comes, wants = "in UDP", "has no UDP encapsulation"
	}
	r.Explanation = fmt.Sprintf("ESP from %s comes to %s %s, and the SA there for SPI %#x %s: every packet is dropped.", f.Key.Src, f.Key.Dst, comes,
		f.Key.SPI, wants)
	r.Evidence = append(flowEvidence(f.FlowTotal), Saw(first, "the SA of %s: %s, %s", f.Key.Dst, f.sa, encapWords(f.sa)),
		Saw(last, "XfrmInStateMismatch has risen by %d", lost))
	r.Remedies = []remedy.Remedy{sameEncap(f.Key)}
	p.Report(r)
	return true
}

func encapWords(s *spd.SA) string {
	if s.Encap == nil {
		return "no encapsulation"
	}
	return fmt.Sprintf("encapsulation in UDP, ports %d and %d", s.Encap.SrcPort, s.Encap.DstPort)
}

// plainBehindNAT is the wire's view: IKE has found NAT, and ESP goes plain. It
// reports whether it reported.
func plainBehindNAT(p *Pass) bool {
	var nat *analyze.IKESA
	for _, sa := range p.View.IKE {
		if sa.BothSpoke() && (sa.FromInitiator.NAT >= analyze.NATBehind || sa.FromResponder.NAT >= analyze.NATBehind) {
			nat = sa
		}
	}
	if nat == nil {
		return false
	}
	for _, f := range p.View.Flows {
		if f.Key.Proto != spd.ProtoESP || inUDP(f.Key) || f.Packets < fewESP || f.Last.Mono-f.First.Mono < encapLasts ||
			f.First.Before(nat.First) || p.alsoInUDP(f) || p.receives() && p.View.Inbound(f) || p.Exceeded(f.Last, espNow) {
			continue
		}
		r := p.Finding()
		r.Confidence = Likely
		r.Explanation = fmt.Sprintf("IKE has found that %s, so that both must put ESP into UDP; %s sends it plain to %s. The SA at the other end "+
			"will want UDP and drop it, if the NAT passes it at all.", behindNATWords(nat), f.Key.Src, f.Key.Dst)
		r.Evidence = append(flowEvidence(f), Saw(nat.First, "IKE between %s and %s: %s", nat.Initiator, nat.Responder, behindNATWords(nat)))
		r.Remedies = []remedy.Remedy{sameEncap(f.Key)}
		p.Report(r)
		return true
	}
	return false
}

// behindNATWords says who is behind NAT.
func behindNATWords(sa *analyze.IKESA) string {
	var words string
	for _, side := range []struct {
		addr string
		nat  analyze.NATSide
	}{{sa.Initiator.String(), sa.FromInitiator.NAT}, {sa.Responder.String(), sa.FromResponder.NAT}} {
		if side.nat < analyze.NATBehind {
			continue
		}
		if words != "" {
			words += " and "
		}
		if words += side.addr + " is behind NAT"; side.nat == analyze.NATPretended {
			words += " (or has ESP put into UDP as if it were)"
		}
	}
	return words
}

// alsoInUDP reports whether the same sender has put ESP into UDP since that flow
// began: there are several SAs then, and each may be right.
func (p *Pass) alsoInUDP(f *analyze.FlowTotal) bool {
	for _, o := range p.View.Flows {
		if inUDP(o.Key) && o.Key.Src == f.Key.Src && f.First.Before(o.Last) {
			return true
		}
	}
	return false
}

// sameEncap is the remedy for SAs that differ in their encapsulation.
func sameEncap(k analyze.FlowKey) remedy.Remedy {
	return remedy.Remedy{
		Action: "same-encap", Params: map[string]string{"local": k.Dst.String(), "peer": k.Src.String()},
		Title: "see on both hosts which SAs have \"encap type espinudp\": all four lines must agree; then have the SAs made anew at both ends, and " +
			"behind NAT with encapsulation (strongSwan: encap = yes in the connection)",
		Command: "ip xfrm state list nokeys",
	}
}
