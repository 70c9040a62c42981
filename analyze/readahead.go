package analyze

import (
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// ahead is what is known of a frame before it is folded; nothing mostly.
type ahead struct {
	message parsed
	flow    bool // it is a packet of a flow, whole
}

// ReadAhead finds out what it can of a frame, so that State.Apply need not: for those
// who have a processor to spare. p are its headers, or those of a longer copy of it.
// The frame's bytes must stay as they are.
func (f *Frame) ReadAhead(p *Packet) {
	if p.Fragment {
		return
	}
	if _, _, ok := p.Flow(); ok {
		f.ahead.flow = true
	} else if p.Proto == spd.ProtoUDP && p.Decode(f.Link, f.Data) == nil {
		f.ahead.message = parseIKE(p, p.Payload)
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
