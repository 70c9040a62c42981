package ike

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors that a [ParseError] wraps, for errors.Is.
var (
	// ErrTruncated: the capture ended before the message did.
	ErrTruncated = errors.New("message cut short")
	// ErrMalformed: the message contradicts itself or its RFC.
	ErrMalformed = errors.New("malformed message")
	// ErrVersion: neither IKEv1 nor IKEv2; only the header was read.
	ErrVersion = errors.New("unsupported IKE version")
)

// ParseError tells where decoding stopped.
type ParseError struct {
	Struct string // structure, as the RFC names it: "Proposal"
	Field  string // field within it: "SPI"
	Offset int    // of the field, from the start of the ISAKMP header
	Need   int    // bytes that the field needs; 0 where length is not the trouble
	Left   int    // bytes that were left
	Detail string // what is wrong, where length is not the trouble
	Err    error  // ErrTruncated, ErrMalformed or ErrVersion
}

func (e *ParseError) Error() string {
	where := fmt.Sprintf("ike: %s: %s (offset %d)", e.Struct, e.Field, e.Offset)
	if e.Detail != "" {
		return fmt.Sprintf("%s: %s, %s left: %v", where, e.Detail, plural(e.Left, "byte"), e.Err)
	}
	return fmt.Sprintf("%s: needs %s, %d left: %v", where, plural(e.Need, "byte"), e.Left, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// A cursor walks one structure. Its first error sticks: after it every read
// yields zero, so a parser reads all its fields in order and looks once.
type cursor struct {
	b    []byte
	pos  int
	base int    // offset of b[0] in the message
	in   string // structure that is being read; see structure
	of   PayloadType
	cut  bool // b ends where the capture ended, not where the structure does
	err  *ParseError
}

// genericHeader is what a payload begins with (RFC 7296 section 3.2).
const genericHeader = "generic header of "

// structure names what is being read: where in says no more, the payload or its
// header. Names are put together only where there is an error to tell.
func (c *cursor) structure() string {
	switch {
	case c.in == genericHeader, c.in == "" && c.of != PayloadNone:
		return c.in + c.of.Name()
	}
	return c.in
}

func (c *cursor) left() int { return len(c.b) - c.pos }

func (c *cursor) offset() int { return c.base + c.pos }

// more tells whether a list goes on.
func (c *cursor) more() bool { return c.err == nil && c.left() > 0 }

func (c *cursor) short(field string, need int) {
	if c.err != nil {
		return
	}
	c.err = &ParseError{Struct: c.structure(), Field: field, Offset: c.offset(), Need: need, Left: c.left(), Err: ErrMalformed}
	if c.cut {
		c.err.Err = ErrTruncated
	}
}

func (c *cursor) fail(field, format string, args ...any) {
	if c.err != nil {
		return
	}
	c.err = &ParseError{Struct: c.structure(), Field: field, Offset: c.offset(), Left: c.left(),
		Detail: fmt.Sprintf(format, args...), Err: ErrMalformed}
}

// bytes takes n bytes, or none and an error.
func (c *cursor) bytes(field string, n int) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || c.left() < n {
		c.short(field, n)
		return nil
	}
	b := c.b[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return b
}

func (c *cursor) u8(field string) uint8 {
	if b := c.bytes(field, 1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16(field string) uint16 {
	if b := c.bytes(field, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32(field string) uint32 {
	if b := c.bytes(field, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64(field string) uint64 {
	if b := c.bytes(field, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// rest takes all that is left; where the capture was cut it says so.
func (c *cursor) rest(field string) []byte {
	if c.err != nil {
		return nil
	}
	b := c.bytes(field, c.left())
	if c.cut {
		c.short(field, 1)
	}
	return b
}

// sub opens a cursor on the next n bytes. Where fewer are left the error
// sticks to c, and the new cursor walks what there is.
func (c *cursor) sub(in, field string, n int) cursor {
	have := min(max(n, 0), c.left())
	s := cursor{in: in, of: c.of, base: c.offset(), b: c.b[c.pos : c.pos+have : c.pos+have]}
	if have < n {
		c.short(field, n)
		s.cut = c.cut
	}
	c.pos += have
	return s
}

// adopt makes the error of an inner structure that of the outer one.
func (c *cursor) adopt(inner *cursor) {
	if c.err == nil {
		c.err = inner.err
	}
}
