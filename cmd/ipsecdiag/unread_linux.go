package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// unread reports whether w is a pipe or socket that nobody reads any more: a write
// would fail. It does not wait.
func unread(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}

// ignoreFileSize makes a file that reaches the limit of its size (setrlimit(2),
// RLIMIT_FSIZE) an error of the write, as a full disk is.
func ignoreFileSize() { signal.Ignore(syscall.SIGXFSZ) }
