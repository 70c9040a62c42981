package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// stdinPath is the path that means standard input.
const stdinPath = "-"

// Memory that zstd may claim for one file, bytes. Its levels up to 19 need 8
// MiB.
const maxZstdWindow = 32 << 20

// First bytes of compressed files (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// opened is an input file, ready to be read.
type opened struct {
	path    string
	size    int64 // 0 where unknown
	raw     io.Reader
	info    os.FileInfo // nil for standard input
	file    chunkReader
	input   *input
	reader  recordReader
	closers []func() error
	// abandoned is set where somebody still waits for the file.
	abandoned bool
}

// open opens one path. Nothing of it is looked at before parse. Its errors are
// FileErrors.
func open(path string, stdin io.Reader) (*opened, error) {
	o := &opened{path: path}
	if err := o.open(stdin); err != nil {
		o.close()
		return nil, fileError(path, err)
	}
	return o, nil
}

// again returns the same file to be read once more from its beginning. It is
// good until the file is closed.
func (o *opened) again() (*opened, error) {
	f, ok := o.raw.(io.ReaderAt)
	if !ok || o.size == 0 {
		return nil, errUnseekable
	}
	return &opened{path: o.path, size: o.size, info: o.info, raw: io.NewSectionReader(f, 0, math.MaxInt64)}, nil
}

// recognize finds out what kind of file it is. Its errors are FileErrors.
func (o *opened) recognize(count func(int)) error {
	if err := o.recognizeKind(count); err != nil {
		return fileError(o.path, err)
	}
	return nil
}

func (o *opened) recognizeKind(count func(int)) (err error) {
	if o.file, err = o.chunks(o.raw, count); err != nil {
		return err
	}
	o.input = &input{}
	for c := newChunk(); ; {
		o.reader, err = newRecordReader(o.input)
		if err != errMore {
			break
		}
		o.input.release()
		readChunk(o.file, c)
		o.input.add(c)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("needs more than %d MiB of memory; decompress it first: %w", maxZstdWindow>>20, err)
	}
	return err
}

// chunks picks how the file is read.
func (o *opened) chunks(raw io.Reader, count func(int)) (chunkReader, error) {
	if f, ok := raw.(io.ReaderAt); ok && o.size > 0 {
		var magic [4]byte
		if n, err := f.ReadAt(magic[:], 0); err == nil && !compressed(magic[:n]) {
			return &plainFile{f: f, count: count}, nil
		}
	}
	r, err := o.decompress(&countingReader{r: raw, count: count})
	switch {
	case err != nil:
		return nil, err
	case o.size > 0:
		return &decompressed{r}, nil
	}
	return &pipe{r}, nil
}

// open opens the path itself.
func (o *opened) open(stdin io.Reader) error {
	if o.path == stdinPath {
		if o.raw = stdin; stdin == nil {
			o.raw = os.Stdin
		}
		return nil
	}
	f, err := OpenFile(o.path)
	if err != nil {
		return err
	}
	o.raw = f
	o.closers = append(o.closers, f.Close)
	o.info, err = f.Stat()
	switch {
	case err != nil:
		return err
	case o.info.IsDir():
		return ErrDirectory
	case o.info.Mode().IsRegular():
		o.size = o.info.Size()
	}
	return nil
}

func compressed(magic []byte) bool {
	return bytes.HasPrefix(magic, gzipMagic) || bytes.HasPrefix(magic, zstdMagic)
}

// decompress tells by the first bytes, not by the name, whether r is
// compressed.
func (o *opened) decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if _, ok := errors.AsType[*readError](err); ok {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		return gzip.NewReader(b)
	case bytes.HasPrefix(magic, zstdMagic):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, func() error { z.Close(); return nil })
		return z, nil
	}
	return b, nil
}

// close releases the file. It was only read, so there is nothing to report.
func (o *opened) close() {
	if o.abandoned {
		return
	}
	for _, f := range o.closers {
		_ = f()
	}
	o.closers = nil
}

// countingReader tells how much was read, and marks errors of the system as
// such: those of a decompressor mean a damaged file.
type countingReader struct {
	r     io.Reader
	count func(int)
}

// Read reads from the file.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.count(n)
	if err != nil && err != io.EOF {
		err = &readError{err}
	}
	return n, err
}

// readError is an error of the system while reading a file.
type readError struct{ err error }

func (e *readError) Error() string { return "read: " + e.err.Error() }

func (e *readError) Unwrap() error { return e.err }
