package capture

import (
	"encoding/binary"
	"fmt"
	"io"

	"ipsecdiag/analyze"
)

// Magic numbers of pcap as the writing host's byte order gives them
// (draft-ietf-opsawg-pcap section 4).
const (
	pcapMagicMicro = 0xa1b2c3d4
	pcapMagicNano  = 0xa1b23c4d
)

// Lengths of pcap's headers, bytes.
const (
	pcapFileHeader   = 24
	pcapRecordHeader = 16
)

// pcapReader reads pcap.
type pcapReader struct {
	in     *input
	big    bigEndian
	unit   int64 // nanoseconds
	face   face
	number uint64
}

// pcapFormat tells from the first four bytes whether a file is pcap.
func pcapFormat(b []byte) (big bigEndian, unit int64, ok bool) {
	for _, big := range []bigEndian{false, true} {
		switch big.u32(b) {
		case pcapMagicMicro:
			return big, 1000, true
		case pcapMagicNano:
			return big, 1, true
		}
	}
	return false, 0, false
}

// newPcapReader reads the file header:
//
//	| magic (4) | major (2) | minor (2) | reserved (4) | reserved (4) |
//	| snap length (4) | FCS bits (4 bits), reserved (12), link type (16) |
func newPcapReader(in *input) (*pcapReader, error) {
	h, err := in.peek(pcapFileHeader)
	if err != nil {
		return nil, headerError(err)
	}
	p := &pcapReader{in: in}
	p.big, p.unit, _ = pcapFormat(h)
	if major := p.big.u16(h[4:]); major != 2 {
		return nil, fmt.Errorf("pcap version %d is not supported", major)
	}
	p.face.link = analyze.LinkType(p.big.u32(h[20:])) // the upper bits tell of the FCS
	in.skip(pcapFileHeader)
	if !supported(p.face.link) {
		return nil, &LinkTypeError{Link: p.face.link}
	}
	return p, nil
}

// headerError is the error for a file that ends inside its header.
func headerError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("ends inside its file header: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// next reads one record:
//
//	| seconds (4) | micro- or nanoseconds (4) | captured (4) | on the wire (4) |
func (p *pcapReader) next(r *record) error {
	h, err := p.in.peek(pcapRecordHeader)
	if err != nil {
		return err
	}
	captured := p.big.u32(h[8:])
	if captured > maxCaptured {
		return &malformed{p.in.offset, fmt.Sprintf("frame %d claims %d captured bytes", p.number+1, captured)}
	}
	b, err := p.in.peek(pcapRecordHeader + int(captured))
	if err != nil {
		return err
	}
	p.number++
	*r = record{
		number: p.number,
		at:     int64(p.big.u32(b))*1e9 + int64(p.big.u32(b[4:]))*p.unit,
		face:   &p.face,
		length: max(int(p.big.u32(b[12:])), int(captured)),
		data:   b[pcapRecordHeader:],
	}
	p.in.skip(len(b))
	return nil
}

// newRecordReader tells a capture file's format by its first bytes.
func newRecordReader(in *input) (recordReader, error) {
	magic, err := in.peek(4)
	switch {
	case err == io.EOF:
		return nil, ErrEmpty
	case err == io.ErrUnexpectedEOF && len(magic) > 0:
		return nil, ErrNotCapture
	case err != nil:
		return nil, headerError(err)
	}
	if _, _, ok := pcapFormat(magic); ok {
		return newPcapReader(in)
	}
	if binary.BigEndian.Uint32(magic) == blockSection {
		return newPcapngReader(in)
	}
	return nil, ErrNotCapture
}
