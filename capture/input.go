package capture

import (
	"errors"
	"io"
)

// Sizes of an input's window, in bytes.
const (
	// windowSize is what one read asks for. It fits the second-level cache,
	// where the bytes still are when they are looked at.
	windowSize = 256 << 10
	// maxWindow bounds what peek can be asked for, and so the longest block
	// that is taken whole.
	maxWindow = 16 << 20
)

// errTooLong is returned by peek for more than maxWindow.
var errTooLong = errors.New("longer than 16 MiB")

// input reads a file forward through a window. The window grows only as bytes
// really arrive, whatever length the file claims. Files are read, never mapped:
// a mapped file that somebody truncates kills its reader with SIGBUS.
type input struct {
	r      io.Reader
	buf    []byte
	pos    int   // of the next byte in buf
	end    int   // of the bytes in buf
	offset int64 // of buf[pos] in the file
	err    error // of the last read; sticky

	beforeRead func() // called before each read, which may wait; may be nil

	ahead *chunks // who reads instead of r; nil where nobody does
	lent  bool    // buf is a chunk's
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, windowSize)} }

// peek returns the next n bytes without consuming them; they are valid until
// the next call. At the end of the file it returns what is left with io.EOF, or
// io.ErrUnexpectedEOF where that is some but not enough.
func (in *input) peek(n int) ([]byte, error) {
	if in.end-in.pos >= n {
		return in.buf[in.pos : in.pos+n], nil
	}
	return in.fill(n)
}

func (in *input) fill(n int) ([]byte, error) {
	if n > maxWindow {
		return nil, errTooLong
	}
	for in.end-in.pos < n {
		if in.err != nil {
			return in.buf[in.pos:in.end], in.shortage()
		}
		if in.beforeRead != nil {
			in.beforeRead()
		}
		if in.ahead != nil {
			in.take()
			continue
		}
		in.makeRoom()
		m, err := in.r.Read(in.buf[in.end:])
		in.end += m
		in.err = err
	}
	return in.buf[in.pos : in.pos+n], nil
}

// makeRoom moves what is left to the front of the window, and doubles the
// window where it is full.
func (in *input) makeRoom() {
	if in.pos > 0 {
		copy(in.buf, in.buf[in.pos:in.end])
		in.pos, in.end = 0, in.end-in.pos
	}
	if in.end == len(in.buf) {
		bigger := make([]byte, 2*len(in.buf))
		copy(bigger, in.buf)
		in.buf = bigger
	}
}

// shortage is the error for an end that came too early.
func (in *input) shortage() error {
	if in.err == io.EOF && in.end > in.pos {
		return io.ErrUnexpectedEOF
	}
	return in.err
}

// skip consumes n bytes that peek returned.
func (in *input) skip(n int) {
	in.pos += n
	in.offset += int64(n)
}

// discard consumes n bytes without keeping them.
func (in *input) discard(n int64) error {
	for n > 0 {
		if in.pos == in.end {
			if _, err := in.fill(1); err != nil {
				if err == io.EOF {
					return io.ErrUnexpectedEOF
				}
				return err
			}
		}
		m := int(min(n, int64(in.end-in.pos)))
		in.skip(m)
		n -= int64(m)
	}
	return nil
}
