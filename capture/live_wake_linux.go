package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waker ends a poll when a context ends, by an eventfd that is polled too.
type waker struct {
	stop func() bool

	mu sync.Mutex // wake runs in a goroutine of its own and must not hit a reused fd
	fd int        // -1 once closed
}

func newWaker(ctx context.Context) (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	w := &waker{fd: fd}
	w.stop = context.AfterFunc(ctx, w.wake)
	return w, nil
}

func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Write(w.fd, []byte{1, 1, 1, 1, 1, 1, 1, 1}) // any count but 0 and the largest
	}
}

func (w *waker) close() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}

// wait returns when fd is ready, its context has ended or the timeout is over,
// and what poll says about fd.
func (w *waker) wait(fd int, timeout time.Duration) (int16, error) {
	fds := [...]unix.PollFd{
		{Fd: int32(fd), Events: unix.POLLIN},
		{Fd: int32(w.fd), Events: unix.POLLIN},
	}
	ts := unix.NsecToTimespec(int64(max(timeout, 0)))
	_, err := unix.Ppoll(fds[:], &ts, nil)
	if err != nil && !errors.Is(err, unix.EINTR) { // the Go runtime's signals interrupt it
		return 0, os.NewSyscallError("ppoll", err)
	}
	return fds[0].Revents, nil
}
