package ike

// Message is one ISAKMP message, decoded as far as it is in the clear. It
// shares no memory with the bytes it was parsed from.
type Message struct {
	InitiatorSPI, ResponderSPI SPI
	NextPayload                PayloadType
	Major, Minor               uint8
	Exchange                   ExchangeType
	Flags                      uint8
	MessageID                  uint32
	Length                     uint32 // as the header says, header included

	// Payloads in the order of the chain. Empty for an encrypted IKEv1 body
	// and for unknown major versions. In IKEv2 the last one is often the
	// encrypted payload, with body *Encrypted or *EncryptedFragment.
	Payloads []Payload

	// EncryptedBody is everything after the header of an IKEv1 message with
	// the E flag, as far as it was captured.
	EncryptedBody []byte

	// Truncated: there were fewer bytes than Length says. From a capture
	// that means the snap length cut it (or fragments are missing).
	Truncated bool
	// Trailing counts bytes after Length; they are not decoded.
	Trailing int
}

// Payload is one payload of the chain.
type Payload struct {
	Type     PayloadType
	Next     PayloadType // as its header says
	Critical bool        // IKEv2: RFC 7296 section 2.5
	Offset   int         // of its header, from the start of the ISAKMP header
	Length   int         // as its header says, the four bytes of the header included
	Raw      []byte      // what follows the header, as far as it was captured
	Body     Body        // never nil; *Opaque where the type has no decoder
	Err      error       // why Body is not complete, or nil
}

// Body is the decoded content of a payload: one of the concrete types of this
// package, such as *SA, *KeyExchange, *Notify. String gives what a line of
// text says about it, safe to print.
type Body interface {
	String() string
	body()
}

// Opaque is the body of a payload that has no decoder.
type Opaque struct{ Data []byte }

func (o *Opaque) String() string { return plural(len(o.Data), "byte") }
func (*Opaque) body()            {}

// IsResponse tells whether the message answers a request. In IKEv2 that is
// the R flag. IKEv1 has no such thing: its header does not tell the second
// message of an exchange from the third, so the answer is false, and who
// follows the exchange must count.
func (m *Message) IsResponse() bool { return m.Major == 2 && m.Flags&FlagResponse != 0 }

// FromInitiator tells whether the original initiator of the IKE SA sent the
// message. In IKEv2 that is the I flag. In IKEv1 only the first message gives
// it away, by the responder cookie that is still zero; for all others the
// answer is false, and addresses must tell.
func (m *Message) FromInitiator() bool {
	if m.Major == 1 {
		return m.ResponderSPI == 0
	}
	return m.Flags&FlagInitiator != 0
}

// Supported tells whether the payloads could be decoded at all: IKEv1, IKEv2.
func (m *Message) Supported() bool { return m.Major == 1 || m.Major == 2 }

// Encrypted tells whether any of the message is encrypted: in IKEv1 the E
// flag, in IKEv2 a payload SK or SKF.
func (m *Message) Encrypted() bool {
	if m.Major == 1 {
		return m.Flags&FlagEncryption != 0
	}
	return m.EncryptedLen() > 0
}

// EncryptedLen is the length of what is encrypted as the headers say it,
// whether captured or not: the body of an IKEv1 message with the E flag, the
// content of SK or SKF with its IV, padding and checksum.
func (m *Message) EncryptedLen() int {
	if m.Major == 1 && m.Flags&FlagEncryption != 0 {
		return max(int(m.Length)-HeaderLen, 0)
	}
	for i := range m.Payloads {
		switch b := m.Payloads[i].Body.(type) {
		case *Encrypted:
			return b.Length
		case *EncryptedFragment:
			return b.Length
		}
	}
	return 0
}

// Inner gives the type of the first payload inside IKEv2's encrypted one, which its
// header names; ok is false where there is none, and in a later fragment.
func (m *Message) Inner() (inner PayloadType, ok bool) {
	for i := range m.Payloads {
		switch b := m.Payloads[i].Body.(type) {
		case *Encrypted:
			return b.Inner, true
		case *EncryptedFragment:
			return b.Inner, b.Number == 1
		}
	}
	return 0, false
}

// bodies gives the bodies of one type, in order.
func bodies[T Body](m *Message) []T {
	var out []T
	for i := range m.Payloads {
		if b, ok := m.Payloads[i].Body.(T); ok {
			out = append(out, b)
		}
	}
	return out
}

func first[T Body](m *Message) (body T, ok bool) {
	for i := range m.Payloads {
		if b, ok := m.Payloads[i].Body.(T); ok {
			return b, true
		}
	}
	return body, false
}

// Chain lists the payload types in order.
func (m *Message) Chain() []PayloadType {
	chain := make([]PayloadType, len(m.Payloads))
	for i := range m.Payloads {
		chain[i] = m.Payloads[i].Type
	}
	return chain
}

// Notifies lists the notifications that are in the clear.
func (m *Message) Notifies() []*Notify { return bodies[*Notify](m) }

// Notify gives the first notification of a type, or nil.
func (m *Message) Notify(t NotifyType) *Notify {
	for _, n := range m.Notifies() {
		if n.Type == t {
			return n
		}
	}
	return nil
}

// ErrorNotify gives the first notification that reports an error (types below
// 16384 in both versions), or nil.
func (m *Message) ErrorNotify() *Notify {
	for _, n := range m.Notifies() {
		if n.Type.IsError() {
			return n
		}
	}
	return nil
}

// Proposals lists the proposals of all SA payloads, in order of preference.
func (m *Message) Proposals() []Proposal {
	var out []Proposal
	for _, sa := range bodies[*SA](m) {
		out = append(out, sa.Proposals...)
	}
	return out
}

// KeyExchange gives the KE payload, or nil.
func (m *Message) KeyExchange() *KeyExchange {
	ke, _ := first[*KeyExchange](m)
	return ke
}

// KEGroup gives the group of the KE payload. An IKEv1 KE does not name one.
func (m *Message) KEGroup() (group DHGroup, ok bool) {
	if ke := m.KeyExchange(); ke != nil && m.Major == 2 {
		return ke.Group, true
	}
	return 0, false
}

// Nonce gives the nonce, or nil.
func (m *Message) Nonce() *Nonce {
	n, _ := first[*Nonce](m)
	return n
}

// VendorIDs lists the vendor IDs.
func (m *Message) VendorIDs() []*VendorID { return bodies[*VendorID](m) }

// HasVendor tells whether a vendor ID of that name was sent, as [VendorID.Name]
// gives it without its version.
func (m *Message) HasVendor(name string) bool {
	for _, v := range m.VendorIDs() {
		if known, ok := v.lookup(); ok && known.name == name {
			return true
		}
	}
	return false
}

// Deletes lists the deletions that are in the clear.
func (m *Message) Deletes() []*Delete { return bodies[*Delete](m) }

// Identities lists the identities that are in the clear (IKEv1 Aggressive
// Mode, mostly).
func (m *Message) Identities() []*Identification { return bodies[*Identification](m) }

// Fragment tells which part of a fragmented message this is: RFC 7383 and
// IKEv1's vendor kind. total is 0 where it is not known yet (IKEv1).
func (m *Message) Fragment() (number, total int, ok bool) {
	if f, ok := first[*EncryptedFragment](m); ok {
		return int(f.Number), int(f.Total), true
	}
	if f, ok := first[*FragmentV1](m); ok {
		if f.Last {
			total = int(f.Number)
		}
		return int(f.Number), total, true
	}
	return 0, 0, false
}
