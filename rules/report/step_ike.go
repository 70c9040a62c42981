package report

import (
	"fmt"

	"ipsecdiag/analyze/ike"
)

// Bounds on what is shown of one message.
const (
	maxPayloads   = 64
	maxProposals  = 32
	maxTransforms = 64
)

// message writes an IKE message payload by payload, as far as it is in the
// clear.
func (p *page) message(m *ike.Message) {
	p.heading(fmt.Sprintf("The IKE message (IKEv%d.%d, %d bytes)", m.Major, m.Minor, m.Length))
	p.field("exchange", fmt.Sprintf("%s (%d)", m.Exchange, uint8(m.Exchange)))
	p.field("initiator SPI", m.InitiatorSPI.String())
	p.field("responder SPI", m.ResponderSPI.String())
	p.field("message ID", fmt.Sprintf("%d (%#08x)", m.MessageID, m.MessageID))
	p.field("flags", ikeFlags(m))
	if m.Truncated {
		p.field("cut short", "the capture does not hold all of it")
	}
	for i := range m.Payloads {
		if i == maxPayloads {
			p.para(4, plain, fmt.Sprintf("… and %d payloads more", len(m.Payloads)-i))
			return
		}
		p.payload(m, &m.Payloads[i])
	}
	if m.Major == 1 && m.Encrypted() {
		p.para(4, plain, fmt.Sprintf("%d bytes are encrypted", m.EncryptedLen()))
	}
}

// field writes one field of a header.
func (p *page) field(name, value string) {
	p.hang(fmt.Sprintf("    %-15s", name), faint, plain, value)
}

func ikeFlags(m *ike.Message) string {
	text := fmt.Sprintf("%#02x", m.Flags)
	if m.Major == 2 {
		who, what := "responder", "request"
		if m.FromInitiator() {
			who = "initiator"
		}
		if m.IsResponse() {
			what = "response"
		}
		return fmt.Sprintf("%s: %s, sent by the original %s", text, what, who)
	}
	if m.Encrypted() {
		text += ": encrypted"
	}
	return text
}

func (p *page) payload(m *ike.Message, l *ike.Payload) {
	title := fmt.Sprintf("%s (%s), %d bytes", l.Type.Name(), l.Type, l.Length)
	if l.Type.Name() == l.Type.String() {
		title = fmt.Sprintf("%s, %d bytes", l.Type.Name(), l.Length)
	}
	if l.Critical {
		title += ", critical"
	}
	p.para(4, bold, title)
	if l.Err != nil {
		p.para(6, red, "damaged: "+l.Err.Error())
	}
	switch b := l.Body.(type) {
	case *ike.SA:
		p.proposals(b)
	case *ike.TrafficSelectors:
		for _, s := range b.Selectors {
			p.para(6, plain, s.String())
		}
	case *ike.Configuration:
		p.para(6, plain, b.Type.String())
		for _, a := range b.Attributes {
			p.para(6, plain, a.String())
		}
	case *ike.Encrypted:
		p.para(6, plain, fmt.Sprintf("%d bytes are encrypted; the first payload inside is %s", b.Length, b.Inner.Name()))
	case *ike.Nonce:
		p.para(6, plain, count(uint64(len(b.Data)), "byte")+" of randomness")
	default:
		p.para(6, plain, b.String())
	}
}

// proposals writes what is offered or chosen, one proposal after the other.
func (p *page) proposals(sa *ike.SA) {
	for i := range sa.Proposals {
		if i == maxProposals {
			p.para(6, plain, fmt.Sprintf("… and %d proposals more", len(sa.Proposals)-i))
			return
		}
		o := &sa.Proposals[i]
		text := fmt.Sprintf("proposal %d for %s", o.Number, o.Protocol.Name(o.Major))
		if len(o.SPI) > 0 {
			text += fmt.Sprintf(", SPI %x", o.SPI)
		}
		p.para(6, plain, text)
		for j, t := range o.Transforms {
			if j == maxTransforms {
				p.para(8, plain, fmt.Sprintf("… and %d transforms more", len(o.Transforms)-j))
				break
			}
			p.para(8, plain, t.String())
		}
	}
}
