//go:build unix

package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// noFollow makes opening a link an error.
const noFollow = syscall.O_NOFOLLOW

// errNotOwn says that something is not a plain file of this user alone.
var errNotOwn = errors.New("is not a plain file that belongs to this user alone")

// checkDir holds that dir is a directory of this user that nobody else may look
// into, and no link.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case !ok || int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s does not belong to this user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %04o): chmod 700 it, or give another directory", dir, info.Mode().Perm())
	}
	return nil
}

// openOwn opens a plain file of this user that nobody else may read.
func openOwn(name string, flag int) (*os.File, error) {
	f, err := os.OpenFile(name, flag|noFollow|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s %w", name, errNotOwn)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !plainOwn(info) {
		err = fmt.Errorf("%s %w", name, errNotOwn)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func plainOwn(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(st.Uid) == os.Geteuid() && st.Nlink == 1 && info.Mode().Perm()&0o077 == 0
}

// readOwn reads such a file.
func readOwn(name string, limit int64) ([]byte, error) {
	f, err := openOwn(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// lockWait is how often a lock that somebody holds is tried again.
const lockWait = 50 * time.Millisecond

// lock keeps other processes from the journal until unlock is called. It waits
// for one that is at work until ctx ends.
func (j *Journal) lock(ctx context.Context) (unlock func(), err error) {
	if err := j.prepare(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(j.dir, "lock"), os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock journal: %w", err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("another ipsecdiag fix is at work: %w", ctx.Err())
		case <-time.After(lockWait):
		}
	}
}
