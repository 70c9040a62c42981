package analyze

import (
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// ReadAhead parses the IKE message that a frame holds, if it does, so that
// State.Apply need not: for those who have a processor to spare. p is for its use.
// The frame's bytes must stay as they are.
func (f *Frame) ReadAhead(p *Packet) {
	if p.Decode(f.Link, f.Data) == nil && p.Proto == spd.ProtoUDP && !p.Fragment {
		f.ahead = parseIKE(p, p.Payload)
	}
}

// parsed is an IKE message, nil for none, and its bytes.
type parsed struct {
	*ike.Message
	raw []byte
}

// parseIKE parses the IKE message that a UDP datagram holds.
func parseIKE(p *Packet, payload []byte) parsed {
	kind, raw := ike.Demux(p.SrcPort, p.DstPort, payload)
	if kind != ike.UDPIKE {
		return parsed{}
	}
	m, _ := ike.Parse(raw)
	return parsed{m, raw}
}
