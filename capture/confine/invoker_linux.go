package confine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Files run functions that use files.
type Files struct {
	calls chan func() // nil: where the caller is
}

// FilesIn returns Files for directories that are to be written to once all
// capabilities that override permissions are gone. Where root may write there by
// its own right, that is all. Where a directory belongs to who called sudo, the
// files are used as that user, by a thread of its own; what it makes is theirs.
// Any other directory is an error.
func FilesIn(dirs ...string) (Files, error) {
	invoker := -1
	for _, dir := range dirs {
		if writable(dir) {
			continue
		}
		uid, ok := calledSudo(dir)
		if !ok {
			return Files{}, fmt.Errorf("write to %s: it does not belong to root, and root without CAP_DAC_OVERRIDE may not; name another directory", dir)
		}
		invoker = uid
	}
	if invoker < 0 {
		return Files{}, nil
	}
	f := Files{calls: make(chan func())}
	ready := make(chan error)
	go f.serve(invoker, ready)
	return f, <-ready
}

// Do runs f and returns its error.
func (f Files) Do(do func() error) error {
	if f.calls == nil {
		return do()
	}
	done := make(chan error)
	f.calls <- func() { done <- do() }
	return <-done
}

// serve runs functions on a thread that uses files as a user. It is never given
// back.
func (f Files) serve(uid int, ready chan<- error) {
	runtime.LockOSThread()
	gid, err := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err == nil {
		_, err = unix.SetfsgidRetGid(gid)
	}
	if err == nil {
		_, err = unix.SetfsuidRetUid(uid)
	}
	if err == nil {
		if now, _ := unix.SetfsuidRetUid(-1); now != uid { // it tells no errors
			err = unix.EPERM
		}
	}
	if err != nil {
		err = fmt.Errorf("use files as user %d: %w", uid, err)
	}
	ready <- err
	for do := range f.calls {
		do()
	}
}

// calledSudo returns the user who called sudo, if a directory is theirs.
func calledSudo(dir string) (uid int, ok bool) {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	var st unix.Stat_t
	if err != nil || unix.Stat(dir, &st) != nil {
		return 0, false
	}
	return uid, int(st.Uid) == uid
}

// writable reports whether files may be made in a directory without any
// capability. One that is not there is not the matter here.
func writable(dir string) bool {
	err := WithoutCapabilities(func() error { return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS) })
	return err != unix.EACCES && err != unix.EPERM
}

// WithoutCapabilities runs f on a thread that has no capability in effect, to see
// what will be possible once the process has none. The thread has them again
// afterwards: one that had not would fail where Process calls on all threads, and
// that ends the process.
func WithoutCapabilities(f func() error) error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("read capabilities: %w", err)
	}
	none := had
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&header, &none[0]); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("put capabilities out of effect: %w", err)
	}
	answer := f()
	if err := unix.Capset(&header, &had[0]); err != nil {
		return fmt.Errorf("put capabilities into effect again: %w", err) // the thread stays locked
	}
	runtime.UnlockOSThread()
	return answer
}
