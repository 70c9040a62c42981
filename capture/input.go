package capture

import (
	"errors"
	"io"
)

// Sizes of an input's window, in bytes.
const (
	// chunkSize is what one read asks for. It is about what the second-level cache
	// holds, where the bytes still are when they are looked at, and so much that the
	// runners of a relay seldom have to wake each other.
	chunkSize = 1 << 20
	// chunkHeadroom is kept free before a chunk for what was left of the one
	// before: it is above the longest frame of most networks.
	chunkHeadroom = 16 << 10
	// maxWindow bounds what peek can be asked for, and so the longest block
	// that is taken whole.
	maxWindow = 16 << 20
)

var (
	// errMore is returned by peek where the next chunk is needed.
	errMore = errors.New("more of the file is needed")
	// errTooLong is returned by peek for more than maxWindow.
	errTooLong = errors.New("longer than 16 MiB")
)

// chunk is what one read of a file gave: n bytes behind chunkHeadroom in buf.
type chunk struct {
	buf []byte
	at  int64 // in the file, where it can be read out of order
	n   int
	err error // what the read ended with; io.EOF at the end of the file
}

func newChunk() *chunk { return &chunk{buf: make([]byte, chunkHeadroom+chunkSize)} }

// input is the window through which a file is parsed, forward. It waits for
// nothing: who parses is told by errMore that the next chunk is to be added, and
// begins again at the record that was not whole. The window grows only as bytes
// really arrive, whatever length the file claims. Files are read, never mapped:
// a mapped file that somebody truncates kills its reader with SIGBUS, and one
// that somebody writes to changes between check and use.
type input struct {
	buf    []byte
	pos    int    // of the next byte in buf
	end    int    // of the bytes in buf
	offset int64  // of buf[pos] in the file
	err    error  // what follows buf[:end]; nil: more of the file
	owed   int64  // bytes of what follows that are to be skipped
	own    []byte // what was left of one chunk, and where that is long, the window
	owned  bool   // buf is own
}

// peek returns the next n bytes without consuming them; they are valid until
// the next chunk is added. At the end of the file it returns what is left with
// io.EOF, or io.ErrUnexpectedEOF where that is some but not enough.
func (in *input) peek(n int) ([]byte, error) {
	if in.end-in.pos >= n {
		return in.buf[in.pos : in.pos+n], nil
	}
	return in.short(n)
}

// short says why there are no n bytes.
func (in *input) short(n int) ([]byte, error) {
	left := in.buf[in.pos:in.end]
	switch {
	case n > maxWindow:
		return nil, errTooLong
	case in.err == nil:
		return nil, errMore
	case in.err == io.EOF && (len(left) > 0 || in.owed > 0):
		return left, io.ErrUnexpectedEOF
	}
	return left, in.err
}

// skip consumes n bytes that peek returned.
func (in *input) skip(n int) {
	in.pos += n
	in.offset += int64(n)
}

// discard consumes n bytes, those that are still to come included.
func (in *input) discard(n int64) {
	here := min(n, int64(in.end-in.pos))
	in.skip(int(here))
	in.owed += n - here
}

// add puts a chunk behind what is left in the window. Where that is too long for
// the headroom, a long block is being read: the window grows by and by.
func (in *input) add(c *chunk) {
	in.err = c.err
	if len(in.own) <= chunkHeadroom {
		in.buf, in.owned = c.buf, false
		in.pos, in.end = chunkHeadroom-len(in.own), chunkHeadroom+c.n
		copy(c.buf[in.pos:], in.own)
	} else {
		in.own = append(in.own, c.buf[chunkHeadroom:chunkHeadroom+c.n]...)
		in.buf, in.owned = in.own, true
		in.pos, in.end = 0, len(in.own)
	}
	owed := in.owed
	in.owed = 0
	in.discard(owed)
}

// release takes what is left out of the chunk that was added last, which may
// then be read into again.
func (in *input) release() {
	left := in.buf[in.pos:in.end]
	if in.owned && in.pos == 0 {
		return // own holds it, and just that
	}
	in.own = append(in.own[:0], left...)
	in.buf, in.pos, in.end = nil, 0, 0
}
