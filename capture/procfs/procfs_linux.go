// Package procfs reads files of /proc that are read each second. Package os asks
// the runtime's poller to watch each file that it opens, which those of /proc let
// it do: five system calls that are of no use, since a read of theirs never waits.
package procfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a file for reading. The error is a *fs.PathError, as of os.Open.
func Open(path string) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// usual is as long as most files are, bytes: the kernel then gives all at once.
const usual = 8 << 10

// Read returns a whole file.
func Read(path string) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var b bytes.Buffer
	b.Grow(usual)
	if _, err := b.ReadFrom(file); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
