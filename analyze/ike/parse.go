package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// HeaderLen is the length of the ISAKMP header.
const HeaderLen = 28

// Bounds on what one message may hold. They are far above what any daemon
// sends, and keep a hostile message from costing more than its size.
const (
	maxPayloads   = 512
	maxProposals  = 256
	maxTransforms = 256 // in one proposal: their count has one byte
	maxAttributes = 128 // in one transform
	maxErrors     = 8   // kept of one message
)

// Parse decodes the message that starts at b[0], the first byte of the ISAKMP
// header. It goes as far as it can: the message is nil only where the header
// itself is not whole; otherwise an error tells what could not be read, and
// the message holds all the rest. The error wraps [ErrTruncated],
// [ErrMalformed] or [ErrVersion]; where several things are wrong it joins
// them.
//
// RFC 2408 section 3.1, RFC 7296 section 3.1:
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Initiator's SPI (cookie)                   |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Responder's SPI (cookie)                   |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Message ID                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                            Length                             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func Parse(b []byte) (*Message, error) {
	c := &cursor{b: b, in: "ISAKMP header", cut: true}
	m := parseHeader(c)
	if c.err != nil {
		return nil, c.err
	}
	end := HeaderLen
	switch {
	case m.Length < HeaderLen:
		c.fail("Length", "%d is less than the header's own %d", m.Length, HeaderLen)
	case uint64(m.Length) > uint64(len(b)):
		m.Truncated = true
		end = len(b)
	default:
		end = int(m.Length)
	}
	m.Trailing = len(b) - end
	if !m.Supported() && c.err == nil {
		c.err = &ParseError{Struct: c.in, Field: "Version", Offset: 17, Left: end - HeaderLen,
			Detail: "only IKEv1 and IKEv2 are decoded", Err: ErrVersion}
	}
	if c.err != nil {
		return m, c.err
	}
	p := &parser{m: m}
	p.chain(&cursor{b: bytes.Clone(b[HeaderLen:end]), base: HeaderLen, in: "payload chain", cut: m.Truncated})
	return m, errors.Join(p.errs...)
}

func parseHeader(c *cursor) *Message {
	m := &Message{
		InitiatorSPI: SPI(c.u64("Initiator SPI")),
		ResponderSPI: SPI(c.u64("Responder SPI")),
		NextPayload:  PayloadType(c.u8("Next Payload")),
	}
	version := c.u8("Version")
	m.Major, m.Minor = version>>4, version&0xf
	m.Exchange = ExchangeType(c.u8("Exchange Type"))
	m.Flags = c.u8("Flags")
	m.MessageID = c.u32("Message ID")
	m.Length = c.u32("Length")
	return m
}

type parser struct {
	m    *Message
	errs []error
}

func (p *parser) note(err *ParseError) {
	if err != nil && len(p.errs) < maxErrors {
		p.errs = append(p.errs, err)
	}
}

// chain walks the payloads. A fault inside one payload does not end it, since
// the payload's own length still says where the next one starts.
func (p *parser) chain(c *cursor) {
	m := p.m
	// A vendor fragment stands outside the encryption: it carries a piece of
	// a whole message, whatever its E flag says.
	if m.Major == 1 && m.Flags&FlagEncryption != 0 && m.NextPayload != PayloadFragmentV1 {
		m.EncryptedBody = c.rest("encrypted body")
		p.note(c.err)
		return
	}
	next := m.NextPayload
	m.Payloads = make([]Payload, 0, countPayloads(next, c.b))
	for next != PayloadNone && c.err == nil {
		if len(m.Payloads) == maxPayloads {
			c.fail("Next Payload", "more than %d payloads", maxPayloads)
			break
		}
		payload, err, ok := p.payload(c, next)
		if !ok {
			break
		}
		m.Payloads = append(m.Payloads, payload)
		p.note(err)
		if isLast(payload.Type, m.Major) {
			next = PayloadNone // what it names as next is inside it
		} else {
			next = payload.Next
		}
	}
	if c.err == nil && c.left() > 0 {
		c.fail("Next Payload", "bytes after the last payload")
	}
	p.note(c.err)
}

// countPayloads tells about how many payloads a chain has, for which room is made
// at once.
func countPayloads(next PayloadType, b []byte) (n int) {
	for next != PayloadNone && len(b) >= 4 && n < maxPayloads {
		next = PayloadType(b[0])
		b = b[min(max(int(binary.BigEndian.Uint16(b[2:])), 4), len(b)):]
		n++
	}
	return n
}

// isLast tells whether the chain ends with this payload, whatever it says
// comes next: RFC 7296 section 3.14, RFC 7383 section 2.5.
func isLast(t PayloadType, major uint8) bool {
	return major == 2 && (t == PayloadEncrypted || t == PayloadEncryptedFrag)
}

// payload reads the generic header and the body. ok is false where the header
// itself is damaged; then, and where the body was clipped, the error is
// c's and ends the chain.
//
// RFC 2408 section 3.2, RFC 7296 section 3.2:
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Next Payload  |C|  RESERVED   |         Payload Length        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func (p *parser) payload(c *cursor, t PayloadType) (out Payload, err *ParseError, ok bool) {
	c.in, c.of = genericHeader, t
	out.Type, out.Offset = t, c.offset()
	out.Next = PayloadType(c.u8("Next Payload"))
	out.Critical = c.u8("RESERVED")&0x80 != 0 && p.m.Major == 2
	out.Length = int(c.u16("Payload Length"))
	if c.err == nil && out.Length < 4 {
		c.fail("Payload Length", "%d is less than the header's own 4", out.Length)
	}
	if c.err != nil {
		return out, nil, false
	}
	body := c.sub("", "body", out.Length-4)
	out.Raw = body.b
	out.Body = p.body(t, &out, &body)
	switch {
	case c.err != nil: // the body was clipped; whatever else is wrong comes of it
		out.Err = c.err
		return out, nil, true
	case body.err == nil && body.left() > 0:
		body.fail("end", "bytes after the last field")
	}
	if body.err != nil {
		out.Err = body.err
	}
	return out, body.err, true
}
