package capture

import (
	"math/bits"
	"time"

	"ipsecdiag/analyze"
)

// Options of an interface description block (draft section 4.2).
const (
	optionIfName     = 2
	optionIfTsresol  = 9
	optionIfTsoffset = 14
)

// maxIfName bounds an interface's name, bytes. Linux allows 15, Windows' names
// are GUIDs.
const maxIfName = 128

// describe reads an interface description block:
//
//	| link type (2) | reserved (2) | snap length (4) | options |
func (p *pcapngReader) describe(b []byte) error {
	if len(b) < 8 {
		return p.malformed("interface description of %d bytes", len(b))
	}
	if len(p.faces) >= maxFaces {
		return p.malformed("more than %d interfaces", maxFaces)
	}
	f := &face{id: len(p.faces), link: analyze.LinkType(p.big.u16(b)), snap: p.big.u32(b[4:]), scale: microseconds}
	for options := b[8:]; len(options) > 0; {
		code, value, rest := p.option(options)
		if !p.ifOption(f, code, value) {
			return p.malformed("interface %d has a time resolution out of range", f.id)
		}
		options = rest
	}
	p.faces = append(p.faces, f)
	return nil
}

func (p *pcapngReader) ifOption(f *face, code uint16, value []byte) (ok bool) {
	switch {
	case code == optionIfName:
		f.name = string(value[:min(len(value), maxIfName)])
	case code == optionIfTsresol && len(value) >= 1:
		f.scale.units, ok = resolution(value[0])
		return ok
	case code == optionIfTsoffset && len(value) >= 8:
		f.scale.offset = int64(p.big.u64(value))
	}
	return true
}

// option takes the first option off (draft section 3.5): code (2), length (2),
// value padded to 4. A damaged one ends the list.
func (p *pcapngReader) option(b []byte) (code uint16, value, rest []byte) {
	if len(b) < 4 {
		return 0, nil, nil
	}
	code, length := p.big.u16(b), int(p.big.u16(b[2:]))
	b = b[4:]
	if code == 0 || length > len(b) {
		return 0, nil, nil
	}
	return code, b[:length], b[min((length+3)&^3, len(b)):]
}

// timescale turns an interface's timestamps into time.
type timescale struct {
	units  uint64 // per second
	offset int64  // seconds to add (if_tsoffset)
}

// maxSeconds is maxTime in whole seconds.
const maxSeconds = maxTime / int64(time.Second)

// microseconds is the scale of an interface that does not give its own.
var microseconds = timescale{units: 1e6}

// resolution reads if_tsresol: a negative power of ten, or of two where the
// upper bit is set. What does not fit 64 bits is refused.
func resolution(v byte) (units uint64, ok bool) {
	if v&0x80 != 0 {
		v &= 0x7f
		return 1 << v, v < 64
	}
	units = 1
	for range min(v, 19) {
		units *= 10
	}
	return units, v <= 19
}

// nanoseconds returns a timestamp as nanoseconds since 1970, within 0 and
// maxTime.
func (t timescale) nanoseconds(raw uint64) int64 {
	if t.offset == 0 && t.units == 1e9 && raw <= maxTime {
		return int64(raw)
	}
	seconds, rest := raw/t.units, raw%t.units
	if seconds > uint64(maxSeconds) || t.offset > maxSeconds {
		return maxTime
	}
	whole := int64(seconds) + max(t.offset, -maxSeconds)
	if whole < 0 {
		return 0
	}
	hi, lo := bits.Mul64(rest, uint64(time.Second))
	fraction, _ := bits.Div64(hi, lo, t.units) // rest < units, so it fits
	return min(whole*1e9+int64(fraction), maxTime)
}
