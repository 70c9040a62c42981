package rules

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// espNow is how long ago the last packet of a flow may be and the flow still be
// judged as going on: ten intervals of counting.
const espNow = 10 * time.Second

// fewESP is the least number of packets that a fault of ESP must have cost: fewer
// are lost to a rekeying, a stray packet or bad luck.
const fewESP = 3

// inboundFlow is a flow that this host receives, and the SA it is for.
type inboundFlow struct {
	*analyze.FlowTotal
	sa *spd.SA // nil where the SAD has none
}

// inbound returns the flows of the pair that this host receives and that go on, none
// where the SAs are not known.
func (p *Pass) inbound() iter.Seq[inboundFlow] {
	return func(yield func(inboundFlow) bool) {
		if !p.receives() {
			return
		}
		for _, f := range p.View.Flows {
			if f.Packets > 0 && p.View.Inbound(f) && !p.Exceeded(f.Last, espNow) &&
				!yield(inboundFlow{f, p.Host.DB.FindSA(f.Key.Dst, f.Key.Proto, f.Key.SPI)}) {
				return
			}
		}
	}
}

// receives reports whether the observer is one of the pair and its SAs are known.
func (p *Pass) receives() bool { return p.Host.KernelSeen && p.View.Local.IsValid() }

// dropping reports whether a counter of packets dropped on their way in has risen of
// late, or the rule's finding has to be seen to. Mostly neither is so, and there is
// nothing to look for.
func (p *Pass) dropping(counter string) bool {
	n, _, _ := p.Host.Rise(counter, p.Now-3*espNow)
	return n > 0 || p.found
}

// flowWords names a flow's protocol and SPI: "ESP SPI 0xc0ffee01", "ESP in UDP, SPI
// 0xc0ffee01".
func flowWords(k analyze.FlowKey) string {
	name := strings.ToUpper(spd.ProtocolName(k.Proto))
	if k.SrcPort != 0 || k.DstPort != 0 {
		return fmt.Sprintf("%s in UDP, SPI %#x", name, k.SPI)
	}
	return fmt.Sprintf("%s SPI %#x", name, k.SPI)
}

// flowEvidence tells of a flow's first and last packet.
func flowEvidence(f *analyze.FlowTotal) []Evidence {
	return []Evidence{
		Saw(f.First, "%s → %s, %s: the first packet seen", f.Key.Src, f.Key.Dst, flowWords(f.Key)),
		Saw(f.Last, "%s → %s, %s: %s so far", f.Key.Src, f.Key.Dst, flowWords(f.Key), plural(f.Packets, "packet")),
	}
}

// byHand reports whether nobody speaks IKE for the pair: its SAs were made by hand.
func (p *Pass) byHand() bool { return len(p.View.IKE) == 0 && len(p.Host.Daemons()) == 0 }

// senderSA returns the SA under which a flow was sent, where the sender's kernel was
// seen too, across NAT as well.
func (p *Pass) senderSA(k analyze.FlowKey) *spd.SA {
	for _, v := range p.State.Counterparts(p.View) {
		if !v.Host.KernelSeen || !joined(p.State, p.Host, v.Host) {
			continue
		}
		for _, f := range v.Flows {
			if f.Key.SPI == k.SPI && f.Key.Proto == k.Proto && !v.Inbound(f) {
				return v.Host.DB.FindSA(f.Key.Dst, k.Proto, k.SPI)
			}
		}
	}
	return nil
}
