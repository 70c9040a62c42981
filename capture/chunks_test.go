package capture

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// What is read ahead is what is there, however long the pieces are that are
// asked for: some are longer than a chunk, most are left over between two.
func TestChunks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 12<<20)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(data), "half": iotest.HalfReader(bytes.NewReader(data)),
		"error with data": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		c := readChunks(r)
		in, at := &input{ahead: c}, 0
		for {
			n := 1 + random.IntN(2000)
			if random.IntN(50) == 0 {
				n = random.IntN(2 << 20)
			}
			b, err := in.peek(n)
			if !bytes.Equal(b, data[at:at+len(b)]) {
				t.Fatalf("%s: %d bytes at %d differ", name, n, at)
			}
			if err != nil {
				if at += len(b); at != len(data) || err != io.ErrUnexpectedEOF && err != io.EOF {
					t.Errorf("%s: %v at %d of %d", name, err, at, len(data))
				}
				break
			}
			in.skip(n)
			at += n
		}
		c.close()
	}
}

// Reading ahead ends when it is told to, in the middle of a file.
func TestChunksEnd(t *testing.T) {
	c := readChunks(iotest.HalfReader(rand.NewChaCha8([32]byte{})))
	in := &input{ahead: c}
	if _, err := in.peek(1 << 20); err != nil {
		t.Fatal(err)
	}
	c.close()
}
