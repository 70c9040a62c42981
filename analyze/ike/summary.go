package ike

import (
	"fmt"
	"strings"
)

// maxSummary bounds how many payloads a summary names.
const maxSummary = 32

// Summary tells the message in one line, safe to print:
//
//	IKE_SA_INIT request, SPIs 01234567…/0, SA(2 proposals), KE(MODP_2048), Ni(32)
//
// with SPIs shortened to what tells them apart.
func (m *Message) Summary() string {
	if !m.Supported() {
		return fmt.Sprintf("ISAKMP version %d.%d (not decoded), exchange type %d, %s, %d bytes",
			m.Major, m.Minor, uint8(m.Exchange), m.spiText(), m.Length)
	}
	parts := append([]string{m.title(), m.spiText()}, m.payloadTexts()...)
	if m.Truncated {
		parts = append(parts, "cut short")
	}
	return strings.Join(parts, ", ")
}

func (m *Message) spiText() string {
	return "SPIs " + m.InitiatorSPI.Short() + "/" + m.ResponderSPI.Short()
}

// title names exchange, direction and message ID. IKEv1's message IDs are
// random and told in hexadecimal, IKEv2's count.
func (m *Message) title() string {
	name := m.Exchange.Short()
	switch {
	case m.Major == 1 && m.MessageID != 0:
		return fmt.Sprintf("%s (message ID %08x)", name, m.MessageID)
	case m.Major == 1:
		return name
	}
	if m.IsResponse() {
		name += " response"
	} else {
		name += " request"
	}
	if m.MessageID != 0 {
		name = fmt.Sprintf("%s %d", name, m.MessageID)
	}
	return name
}

func (m *Message) payloadTexts() []string {
	var out []string
	for i := range m.Payloads {
		if i == maxSummary {
			out = append(out, fmt.Sprintf("… %d more", len(m.Payloads)-i))
			break
		}
		out = append(out, m.payloadText(&m.Payloads[i]))
	}
	if m.Major == 1 && m.Flags&FlagEncryption != 0 && len(m.Payloads) == 0 {
		out = append(out, plural(m.EncryptedLen(), "encrypted byte"))
	}
	return out
}

// foreign tells whether a payload type is named in the other version's
// registry only.
func (m *Message) foreign(t PayloadType) bool {
	return m.Major == 1 && t >= PayloadSA && t < 128 || m.Major == 2 && (t < PayloadSA || t >= 128)
}

func (m *Message) payloadText(p *Payload) string {
	name := p.Type.String()
	if p.Type == PayloadNonce {
		name = "Ni"
		if m.IsResponse() {
			name = "Nr"
		}
	}
	if _, ok := p.Body.(*Opaque); ok && m.foreign(p.Type) {
		name = fmt.Sprintf("payload %d", uint8(p.Type))
	}
	text := p.Body.String()
	if sa, ok := p.Body.(*SA); ok && len(sa.Proposals) == 1 && len(sa.Proposals[0].Transforms) <= 6 {
		text = sa.Proposals[0].String()
	}
	s := name + "(" + text + ")"
	if p.Err != nil {
		s += " damaged"
	}
	return s
}
