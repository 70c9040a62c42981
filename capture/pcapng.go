package capture

import (
	"fmt"
	"io"

	"ipsecdiag/analyze"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng section 11.1).
const (
	blockInterface = 0x00000001
	blockPacket    = 0x00000002 // obsolete
	blockSimple    = 0x00000003
	blockEnhanced  = 0x00000006
	blockJournal   = 0x00000009 // systemd journal export
	blockSection   = 0x0a0d0d0a // a palindrome, the same in both byte orders
)

// byteOrderMagic of a section header block, in the section's byte order.
const byteOrderMagic = 0x1a2b3c4d

// blockOverhead is what every block has: type (4), total length (4), and the
// total length again at its end (4).
const blockOverhead = 12

// maxFaces bounds the interfaces of one section.
const maxFaces = 65536

// pcapngReader reads pcapng.
type pcapngReader struct {
	in     *input
	big    bigEndian
	faces  []*face // of this section, by interface ID
	number uint64
	last   int64 // time of the last frame, for those that have none
}

func newPcapngReader(in *input) (*pcapngReader, error) {
	p := &pcapngReader{in: in}
	if err := p.section(); err != nil {
		return nil, headerError(err)
	}
	return p, nil
}

// next reads blocks up to the next frame, journal entry or section.
func (p *pcapngReader) next(r *record) error {
	for {
		h, err := p.in.peek(8)
		if err != nil {
			return err
		}
		typ := p.big.u32(h)
		if typ == blockSection {
			*r = record{kind: sectionRecord}
			return p.section()
		}
		length := p.big.u32(h[4:])
		if length < blockOverhead || length%4 != 0 {
			return p.malformed("block claims %d bytes", length)
		}
		found, err := p.block(r, typ, length)
		if err != nil || found {
			return err
		}
	}
}

// block reads one block; found is set where it gave a record. What is not
// needed is skipped without looking at it.
func (p *pcapngReader) block(r *record, typ, length uint32) (found bool, err error) {
	switch typ {
	case blockInterface, blockPacket, blockSimple, blockEnhanced, blockJournal:
	default:
		p.in.discard(int64(length))
		return false, nil
	}
	if length > maxWindow {
		return false, p.malformed("block of type %d claims %d bytes", typ, length)
	}
	b, err := p.in.peek(int(length))
	if err != nil {
		return false, err
	}
	if again := p.big.u32(b[length-4:]); again != length {
		return false, p.malformed("block gives its length as %d and as %d", length, again)
	}
	body := b[8 : length-4]
	switch typ {
	case blockEnhanced:
		err = p.enhanced(r, body)
	case blockPacket:
		err = p.packet(r, body)
	case blockSimple:
		err = p.simple(r, body)
	case blockJournal:
		p.number++
		*r = record{kind: journalRecord, number: p.number, data: body}
	case blockInterface:
		err = p.describe(body)
	}
	if err != nil {
		return false, err
	}
	p.in.skip(int(length))
	return typ != blockInterface, nil
}

func (p *pcapngReader) malformed(format string, args ...any) error {
	return &malformed{p.in.offset, fmt.Sprintf(format, args...)}
}

// section reads a section header block (draft section 4.1):
//
//	| byte-order magic (4) | major (2) | minor (2) | section length (8) | options |
func (p *pcapngReader) section() error {
	h, err := p.in.peek(28)
	if err != nil {
		return notEOF(err)
	}
	switch {
	case bigEndian(true).u32(h[8:]) == byteOrderMagic:
		p.big = true
	case bigEndian(false).u32(h[8:]) == byteOrderMagic:
		p.big = false
	default:
		return p.malformed("section header without byte-order magic")
	}
	length := p.big.u32(h[4:])
	if length < 28 || length%4 != 0 {
		return p.malformed("section header claims %d bytes", length)
	}
	if major := p.big.u16(h[12:]); major != 1 {
		return p.malformed("pcapng version %d is not supported", major)
	}
	if h, err = p.in.peek(int(length)); err != nil {
		return notEOF(err)
	}
	p.faces = nil
	p.in.skip(len(h))
	return nil
}

// notEOF turns an end between two records into one inside a record.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// enhanced reads an enhanced packet block (draft section 4.3):
//
//	| interface (4) | time high (4) | time low (4) | captured (4) |
//	| on the wire (4) | data, padded to 4 | options |
func (p *pcapngReader) enhanced(r *record, b []byte) error {
	if len(b) < 20 {
		return p.malformed("packet block of %d bytes", len(b))
	}
	return p.timed(r, b, p.big.u32(b))
}

// packet reads the obsolete packet block (draft appendix A), which differs in
// its first four bytes: interface (2), drops (2).
func (p *pcapngReader) packet(r *record, b []byte) error {
	if len(b) < 20 {
		return p.malformed("packet block of %d bytes", len(b))
	}
	return p.timed(r, b, uint32(p.big.u16(b)))
}

func (p *pcapngReader) timed(r *record, b []byte, id uint32) error {
	captured := p.big.u32(b[12:])
	if captured > maxCaptured || int(captured) > len(b)-20 {
		return p.malformed("frame %d claims %d captured bytes", p.number+1, captured)
	}
	if uint64(id) >= uint64(len(p.faces)) {
		return p.malformed("frame %d names interface %d of %d", p.number+1, id, len(p.faces))
	}
	f := p.faces[id]
	p.number++
	p.last = f.scale.nanoseconds(uint64(p.big.u32(b[4:]))<<32 | uint64(p.big.u32(b[8:])))
	*r = record{
		number: p.number, at: p.last, face: f,
		length: max(int(p.big.u32(b[16:])), int(captured)),
		data:   b[20 : 20+captured],
	}
	if options := (int(captured) + 3) &^ 3; 20+options < len(b) {
		r.direction = p.direction(b[20+options:])
	}
	return nil
}

// optionFlags is epb_flags and pack_flags; bits 0 and 1 give the direction.
const optionFlags = 2

func (p *pcapngReader) direction(options []byte) analyze.Direction {
	for len(options) > 0 {
		code, value, rest := p.option(options)
		if code == optionFlags && len(value) == 4 {
			return analyze.Direction(p.big.u32(value)&3) % 3 // 3 is reserved
		}
		options = rest
	}
	return analyze.DirUnknown
}

// simple reads a simple packet block (draft section 4.4): length on the wire
// (4), data. It is of the first interface and has no time of its own.
func (p *pcapngReader) simple(r *record, b []byte) error {
	if len(b) < 4 || len(p.faces) == 0 {
		return p.malformed("simple packet block without length or interface")
	}
	f, length := p.faces[0], p.big.u32(b)
	captured := min(length, uint32(len(b)-4))
	if f.snap > 0 {
		captured = min(captured, f.snap)
	}
	if captured > maxCaptured {
		return p.malformed("frame %d claims %d captured bytes", p.number+1, captured)
	}
	p.number++
	*r = record{number: p.number, at: p.last, face: f, length: int(length), data: b[4 : 4+captured]}
	return nil
}
