package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// otherRoot is the root directory of a daemon that has a file system of its own,
// as in a container, held open. To open it takes CAP_SYS_PTRACE; to use it later
// takes nothing, also where the daemon has been started anew in it. It is held
// no longer than the container runs: its file system could not be unmounted.
type otherRoot struct {
	mu        sync.Mutex
	dir       *os.File // nil: there is none
	container int      // pidfd of the container's first process
}

// rootOf looks for the process that listens at a place, and returns its root
// where the socket's path leads to another file there than here, or to none here.
func (k kind) rootOf(o *Options) *otherRoot {
	r := &otherRoot{}
	p, err := k.find(o, "")
	if err != nil {
		return r
	}
	pid := holder(p.inode)
	dir, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return r
	}
	r.dir = dir
	if r.container, err = unix.PidfdOpen(firstLike(pid), 0); err != nil {
		r.dir = nil
		dir.Close()
		return r
	}
	there, err := r.open(p)
	if err == nil {
		defer there.file.Close()
	}
	if err != nil || there.sameAs(p.path) {
		r.close()
	}
	return r
}

// holder returns a process that has a socket open, 0 where none is found.
func holder(inode uint64) (pid int) {
	held := fmt.Sprintf("socket:[%d]", inode)
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == held {
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(fd))))
			return pid
		}
	}
	return 0
}

// firstLike returns the eldest of a process's forebears that shares its mount
// namespace: a container's first process.
func firstLike(pid int) int {
	for {
		own, err := os.Stat(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		parent := parentOf(pid)
		theirs, err2 := os.Stat(fmt.Sprintf("/proc/%d/ns/mnt", parent))
		if errors.Join(err, err2) != nil || !os.SameFile(own, theirs) {
			return pid
		}
		pid = parent
	}
}

// parentOf returns a process's parent, 0 where it has none.
func parentOf(pid int) (parent int) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before may hold anything
	if len(fields) > 1 {
		parent, _ = strconv.Atoi(string(fields[1]))
	}
	return parent
}

// open returns the place as it is below that root, with its file open. Links in
// the path lead to nothing outside. The error is fs.ErrNotExist where there is no
// such root any more, or no socket.
func (r *otherRoot) open(p place) (place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dir != nil && r.ended() {
		r.close()
	}
	if r.dir == nil || p.given {
		return p, fs.ErrNotExist
	}
	fd, err := unix.Openat2(int(r.dir.Fd()), p.path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return p, &fs.PathError{Op: "open in the daemon's root", Path: p.path, Err: err}
	}
	p.file = os.NewFile(uintptr(fd), p.path)
	return p, nil
}

// ended reports whether the container has.
func (r *otherRoot) ended() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(r.container), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

func (r *otherRoot) close() {
	r.dir.Close()
	unix.Close(r.container)
	r.dir = nil
}

// sameAs reports whether a path leads from here to the place's file.
func (p place) sameAs(path string) bool {
	here, err := os.Stat(path)
	there, err2 := p.file.Stat()
	return errors.Join(err, err2) == nil && os.SameFile(here, there)
}

// address is what is connected to.
func (p place) address() string {
	if p.file == nil {
		return p.path
	}
	return fmt.Sprintf("/proc/self/fd/%d", p.file.Fd())
}
