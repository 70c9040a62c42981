package capture

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the links of one path, as the kernel does (path_resolution(7)).
const maxLinks = 40

// openFile opens a file as os.OpenFile does, but for links that somebody else
// may have put there: in a directory that others may write to, a link is followed
// only if it is root's or this user's. So nobody who shares /tmp can choose what
// is read or overwritten, whatever fs.protected_symlinks says. The same goes for
// a plain file to be written to that stands there already.
func openFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	w := walk{path: path, rest: strings.Split(path, "/")}
	fd, err := w.open(flag|unix.O_CLOEXEC, uint32(mode.Perm()))
	if w.dir >= 0 {
		unix.Close(w.dir)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// walk follows a path, part by part.
type walk struct {
	path  string
	rest  []string // parts that are still to be followed
	dir   int      // where they are looked up, -1: not opened yet
	links int
}

// open returns the file at the path's end.
func (w *walk) open(flag int, mode uint32) (int, error) {
	w.dir = -1
	if w.path == "" {
		return -1, unix.ENOENT
	}
	start := "."
	if filepath.IsAbs(w.path) {
		start = "/"
	}
	if err := w.enter(unix.Open(start, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)); err != nil {
		return -1, err
	}
	for {
		w.rest = slices.DeleteFunc(w.rest, func(part string) bool { return part == "" || part == "." })
		switch len(w.rest) {
		case 0:
			return unix.Openat(w.dir, ".", flag, mode)
		case 1:
			if fd, err := w.last(flag, mode); !errors.Is(err, errLink) {
				return fd, err
			}
		default:
			if err := w.next(); err != nil {
				return -1, err
			}
		}
	}
}

// enter goes on in another directory.
func (w *walk) enter(fd int, err error) error {
	if err != nil {
		return err
	}
	if w.dir >= 0 {
		unix.Close(w.dir)
	}
	w.dir = fd
	return nil
}

// next enters the first of the parts.
func (w *walk) next() error {
	part := w.rest[0]
	fd, err := unix.Openat(w.dir, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		w.rest = w.rest[1:]
		return w.enter(fd, err)
	}
	unix.Close(fd)
	magic, err := w.link(part)
	if magic {
		w.rest = w.rest[1:]
		return w.enter(unix.Openat(w.dir, part, unix.O_PATH|unix.O_CLOEXEC, 0))
	}
	return err
}

// errLink says that the last part was a link, which the parts now lead through.
var errLink = errors.New("a link")

// last opens the last part.
func (w *walk) last(flag int, mode uint32) (int, error) {
	part := w.rest[0]
	if part == ".." {
		return unix.Openat(w.dir, part, flag, mode)
	}
	fd, err := unix.Openat(w.dir, part, flag|unix.O_NOFOLLOW, mode)
	if err == nil {
		return fd, w.own(fd, flag)
	}
	if !errors.Is(err, unix.ELOOP) || flag&unix.O_NOFOLLOW != 0 {
		return -1, err
	}
	magic, err := w.link(part)
	switch {
	case err != nil:
		return -1, err
	case magic:
		return unix.Openat(w.dir, part, flag, mode)
	}
	return -1, errLink
}

// link replaces the first of the parts by where the link of that name leads.
// One of /proc is magic: its text is no path, and the kernel must follow it.
func (w *walk) link(part string) (magic bool, err error) {
	if w.links++; w.links > maxLinks {
		return false, unix.ELOOP
	}
	var st unix.Stat_t
	if err := unix.Fstatat(w.dir, part, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, err
	}
	if w.shared() && !trusted(st.Uid) {
		return false, ErrUnsafeFile
	}
	var where unix.Statfs_t
	if err := unix.Fstatfs(w.dir, &where); err == nil && where.Type == unix.PROC_SUPER_MAGIC {
		return true, nil
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(w.dir, part, target)
	if err != nil {
		return false, err
	}
	to := string(target[:n])
	w.rest = append(strings.Split(to, "/"), w.rest[1:]...)
	if filepath.IsAbs(to) {
		return false, w.enter(unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	}
	return false, nil
}

// own refuses to write to a plain file of somebody else in a shared directory.
func (w *walk) own(fd, flag int) error {
	if flag&unix.O_ACCMODE == unix.O_RDONLY {
		return nil
	}
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && !trusted(st.Uid) && w.shared() {
		err = ErrUnsafeFile
	}
	if err != nil {
		unix.Close(fd)
	}
	return err
}

// shared reports whether others may put files into the present directory.
func (w *walk) shared() bool {
	var st unix.Stat_t
	return unix.Fstat(w.dir, &st) != nil || st.Mode&(unix.S_IWGRP|unix.S_IWOTH) != 0
}

// trusted reports whether what a user has put there may be believed.
func trusted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }
