package capture

import (
	"io"
	"sync"
)

// maxRunners is how many goroutines share in the reading of a file.
const maxRunners = 2

// relay has a file read and parsed by several goroutines, its runners, with the
// result that one alone would give: in turn each takes the next chunk of the
// file, reads it, and when the runner before has parsed up to there and hands
// over the baton, parses it.
//
// Copying a file out of the kernel costs three times as much as looking at its
// frames. So the runners copy side by side, and the frames that each looks at
// lie in the cache of its own processor.
type relay struct {
	file    chunkReader
	parse   func(*chunk) (more bool) // called for chunk after chunk, by one runner at a time
	runners []runner
	over    chan struct{} // closed when no more is to be parsed
}

// runner is given two batons in turn: of who reads next, and of who parses next.
type runner struct{ read, parse chan struct{} }

// chunkReader reads a file, chunk after chunk.
type chunkReader interface {
	// claim decides which part of the file c is to have. Claims are made one at
	// a time, in the order in which the chunks will be parsed, and none after
	// one that ended in an error.
	claim(c *chunk)
	// fetch reads that part, side by side with others. Of what can only be read
	// in order, claim has read it.
	fetch(c *chunk)
	// runners is how many runners it is good for.
	runners() int
}

// readChunk reads the next chunk of a file that nobody else reads.
func readChunk(file chunkReader, c *chunk) {
	if file.claim(c); c.err == nil {
		file.fetch(c)
	}
}

// run returns when all of the file was parsed, or parse wanted no more.
func (r *relay) run() {
	r.over = make(chan struct{})
	for range r.file.runners() {
		r.runners = append(r.runners, runner{make(chan struct{}, 1), make(chan struct{}, 1)})
	}
	r.runners[0].read <- struct{}{}
	r.runners[0].parse <- struct{}{}
	var all sync.WaitGroup
	for i := range r.runners {
		all.Go(func() { r.work(&r.runners[i], &r.runners[(i+1)%len(r.runners)]) })
	}
	all.Wait()
}

// work is what one runner does until the file is over.
func (r *relay) work(me, next *runner) {
	c := newChunk()
	for r.await(me.read) {
		if r.file.claim(c); c.err == nil {
			next.read <- struct{}{}
		}
		r.file.fetch(c)
		if !r.await(me.parse) {
			return
		}
		if !r.parse(c) {
			close(r.over)
			return
		}
		next.parse <- struct{}{}
	}
}

// await takes a baton; it reports false where there is nothing more to be done.
func (r *relay) await(baton <-chan struct{}) bool {
	select {
	case <-baton:
		return true
	case <-r.over:
		return false
	}
}

// plainFile is a regular file that is not compressed.
type plainFile struct {
	f     io.ReaderAt
	at    int64 // where the next chunk begins
	count func(int)
}

func (p *plainFile) runners() int { return maxRunners }

func (p *plainFile) claim(c *chunk) {
	c.at, c.err = p.at, nil
	p.at += chunkSize
}

func (p *plainFile) fetch(c *chunk) {
	c.n, c.err = p.f.ReadAt(c.buf[chunkHeadroom:], c.at)
	p.count(c.n)
	if c.err != nil && c.err != io.EOF {
		c.err = &readError{c.err}
	}
}

// decompressed is what a decompressor makes of a regular file. It can only be read in
// order, and what it has in the cache of one processor, its window and the frames that
// it has just written there, is dearer to fetch from another one than to look at.
type decompressed struct{ r io.Reader }

func (d *decompressed) runners() int { return 1 }

func (d *decompressed) claim(c *chunk) {
	for c.n, c.err = 0, nil; c.n < chunkSize && c.err == nil; {
		var n int
		n, c.err = d.r.Read(c.buf[chunkHeadroom+c.n:])
		c.n += n
	}
}

func (d *decompressed) fetch(*chunk) {}

// pipe is what may be silent for hours: what it has brought is parsed before
// more is waited for.
type pipe struct{ r io.Reader }

func (p *pipe) runners() int { return 1 }

func (p *pipe) claim(c *chunk) { c.n, c.err = p.r.Read(c.buf[chunkHeadroom:]) }

func (p *pipe) fetch(*chunk) {}
