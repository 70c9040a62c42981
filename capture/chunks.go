package capture

import "io"

// chunks reads a file ahead of who parses it, in a goroutine of its own: a
// decompressor keeps one processor busy while another one looks at the frames.
type chunks struct {
	full chan chunk
	free chan []byte
	stop chan struct{}
}

// chunk is what one read gave, behind chunkHeadroom bytes for what was left of
// the one before.
type chunk struct {
	buf []byte
	n   int
	err error
}

const (
	aheadChunks   = 4
	chunkHeadroom = 16 << 10 // above the longest frame of most networks
)

// readChunks begins to read; close ends it.
func readChunks(r io.Reader) *chunks {
	c := &chunks{full: make(chan chunk, aheadChunks), free: make(chan []byte, aheadChunks), stop: make(chan struct{})}
	for range aheadChunks {
		c.free <- make([]byte, chunkHeadroom+windowSize)
	}
	go c.read(r)
	return c
}

func (c *chunks) read(r io.Reader) {
	defer close(c.full)
	for {
		var buf []byte
		select {
		case buf = <-c.free:
		case <-c.stop:
			return
		}
		n, err := r.Read(buf[chunkHeadroom:])
		c.full <- chunk{buf, n, err} // there is room for all buffers
		if err != nil {
			return
		}
	}
}

// close returns when the file is not read any more.
func (c *chunks) close() error {
	close(c.stop)
	for range c.full {
	}
	return nil
}

// take puts the next chunk behind what is left of the window. Where that is too
// long for the headroom, a long block is being read: the window grows by and by,
// as append does it, and is not of the chunks any more.
func (in *input) take() {
	next := <-in.ahead.full
	in.err = next.err
	left, old, lent := in.buf[in.pos:in.end], in.buf, in.lent
	if len(left) <= chunkHeadroom {
		in.buf, in.lent = next.buf, true
		in.pos, in.end = chunkHeadroom-len(left), chunkHeadroom+next.n
		copy(next.buf[in.pos:], left)
	} else {
		if lent {
			left = left[:len(left):len(left)] // grow elsewhere
		}
		in.buf, in.lent = append(left, next.buf[chunkHeadroom:chunkHeadroom+next.n]...), false
		in.pos, in.end = 0, len(in.buf)
		in.ahead.free <- next.buf
	}
	if lent {
		in.ahead.free <- old
	}
}
