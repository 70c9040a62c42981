//go:build unix

package capture

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openExisting opens a file for writing without following a link and without
// waiting for the reader of a pipe.
func openExisting(path string) (*os.File, error) {
	f, err := openFile(path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) { // a link; a pipe without a reader
		return nil, ErrUnsafeFile
	}
	return f, err
}

// ownAlone reports whether the file belongs to this user and has one name.
func ownAlone(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && st.Nlink == 1
}
