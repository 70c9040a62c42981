package capture

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// What the runners parse is what is there, in order, however long the pieces
// are that are asked for: some are longer than a chunk, most lie in two.
func TestRelay(t *testing.T) {
	data := make([]byte, 12<<20+17)
	rand.NewChaCha8([32]byte{}).Read(data)
	halves := func() io.Reader { return iotest.HalfReader(bytes.NewReader(data)) }
	for name, file := range map[string]chunkReader{
		"plain":             &plainFile{f: bytes.NewReader(data), count: func(int) {}},
		"decompressed":      &decompressed{halves()},
		"pipe":              &pipe{halves()},
		"error with data":   &decompressed{iotest.DataErrReader(bytes.NewReader(data))},
		"pipe, byte by bit": &pipe{iotest.DataErrReader(halves())},
	} {
		t.Run(name, func(t *testing.T) {
			p := pieces{t: t, data: data, random: rand.New(rand.NewPCG(1, 2))}
			r := relay{file: file, parse: p.parse}
			r.run()
			if p.end != io.EOF && p.end != io.ErrUnexpectedEOF || p.at+len(p.rest) != len(data) {
				t.Errorf("%d and %d of %d bytes, then %v", p.at, len(p.rest), len(data), p.end)
			}
		})
	}
}

// pieces parses a file in random pieces and compares it with what it is.
type pieces struct {
	t      *testing.T
	data   []byte
	random *rand.Rand
	in     input
	at     int
	n      int // of the next piece
	rest   []byte
	end    error
}

func (p *pieces) parse(c *chunk) bool {
	p.in.add(c)
	defer p.in.release()
	for {
		if p.n == 0 {
			if p.n = 1 + p.random.IntN(2000); p.random.IntN(50) == 0 {
				p.n = p.random.IntN(2 << 20)
			}
		}
		b, err := p.in.peek(p.n)
		if err == errMore {
			return true
		}
		if !bytes.Equal(b, p.data[p.at:p.at+len(b)]) || p.in.offset != int64(p.at) {
			p.t.Fatalf("%d bytes at %d differ, or are taken to be at %d", p.n, p.at, p.in.offset)
		}
		if err != nil {
			p.rest, p.end = b, err
			return false
		}
		if p.random.IntN(2) == 0 {
			p.in.skip(p.n)
		} else {
			p.n += p.random.IntN(3000) // some of which is still to come
			p.n = min(p.n, len(p.data)-p.at)
			p.in.discard(int64(p.n))
		}
		p.at, p.n = p.at+p.n, 0
	}
}

// What is skipped beyond the end of a file is missing.
func TestDiscardBeyondTheEnd(t *testing.T) {
	in := input{err: io.EOF}
	in.discard(1)
	if _, err := in.peek(1); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
}

// The relay ends when no more is wanted, in the middle of a file that never
// does.
func TestRelayEnds(t *testing.T) {
	n := 0
	parse := func(*chunk) bool { n++; return n < 5 }
	r := relay{file: &decompressed{rand.NewChaCha8([32]byte{})}, parse: parse}
	r.run()
	if n != 5 {
		t.Errorf("%d chunks were parsed", n)
	}
}

// growing is a file to which somebody writes while it is read.
type growing struct{}

func (growing) ReadAt(b []byte, at int64) (int, error) {
	if at == 0 {
		return len(b) / 2, io.EOF
	}
	return len(b), nil
}

// Where a file ends, it has ended: what is written to it afterwards is not taken
// for what follows.
func TestRelayOfAGrowingFile(t *testing.T) {
	total := 0
	parse := func(c *chunk) bool { total += c.n; return c.err == nil }
	r := relay{file: &plainFile{f: growing{}, count: func(int) {}}, parse: parse}
	r.run()
	if total != chunkSize/2 {
		t.Errorf("%d bytes were parsed", total)
	}
}

// An error of the system is told of a plain file too.
func TestPlainFileReadError(t *testing.T) {
	broken := errors.New("input/output error")
	c := newChunk()
	readChunk(&plainFile{f: failingReaderAt{broken}, count: func(int) {}}, c)
	if _, ok := errors.AsType[*readError](c.err); !ok || !errors.Is(c.err, broken) {
		t.Errorf("got %v", c.err)
	}
}

type failingReaderAt struct{ err error }

func (f failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }
