package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
)

// Errors that Files wraps in a FileError.
var (
	// ErrDirectory is returned for a directory.
	ErrDirectory = errors.New("is a directory")
	// ErrEmpty is returned for a file of no bytes.
	ErrEmpty = errors.New("is empty")
	// ErrNotCapture is returned for a file that is neither pcap nor pcapng.
	ErrNotCapture = errors.New("is not a capture file (neither pcap nor pcapng)")
	// ErrNewer is returned for a recording in a format that this program does
	// not know yet.
	ErrNewer = errors.New("was recorded by a newer version of ipsecdiag")
)

// FileError is an error about one input file. It renders in one line.
type FileError struct {
	Path string // as it was given; "-" is standard input
	Err  error
}

// Error names the file and what is wrong with it.
func (e *FileError) Error() string { return displayName(e.Path) + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FileError) Unwrap() error { return e.Err }

// fileError wraps an error about a file once; the operation and the path that
// package os adds are dropped.
func fileError(path string, err error) error {
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &FileError{Path: path, Err: err}
}

// LinkTypeError is returned for a capture of a link type that cannot be decoded.
type LinkTypeError struct {
	Link analyze.LinkType
}

// Error gives the link type's number and, where it is known, its name.
func (e *LinkTypeError) Error() string {
	if name := linkTypeNames[e.Link]; name != "" {
		return fmt.Sprintf("link type %d (%s) is not supported", e.Link, name)
	}
	return fmt.Sprintf("link type %d is not supported", e.Link)
}

// malformed is an error about the structure of a capture file.
type malformed struct {
	offset int64 // of the block or record in the decompressed file, bytes
	what   string
}

func (e *malformed) Error() string { return fmt.Sprintf("%s at byte %d", e.what, e.offset) }

// displayName returns a path as it can be shown: control characters quoted.
func displayName(path string) string {
	if path == stdinPath {
		return "standard input"
	}
	if strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(path)
	}
	return path
}
