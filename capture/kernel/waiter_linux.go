package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waiter waits for file descriptors on the calling thread, which may be locked
// to a namespace, and is woken by the end of its context.
type waiter struct {
	ctx  context.Context
	stop func() bool
	// socket is what requests of one protocol go through, nil: one for each.
	socket *socket

	mu sync.Mutex // wake runs in a goroutine of its own and must not hit a reused fd
	fd int        // eventfd, -1 once closed
}

func newWaiter(ctx context.Context) (*waiter, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	w := &waiter{ctx: ctx, fd: fd}
	w.stop = context.AfterFunc(ctx, w.wake)
	return w, nil
}

func (w *waiter) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Write(w.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (w *waiter) close() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}

// wait returns those of fds that are ready to be read, none once timeout is
// over; the context's error once that has ended.
func (w *waiter) wait(fds []int, timeout time.Duration) ([]int, error) {
	polled := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	for _, fd := range fds {
		polled = append(polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	deadline := time.Now().Add(timeout)
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		left := max(time.Until(deadline), 0)
		_, err := unix.Poll(polled, int((left+time.Millisecond-1)/time.Millisecond))
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) { // the Go runtime's own signals interrupt poll
			return nil, os.NewSyscallError("poll", err)
		}
	}
	var ready []int
	for _, p := range polled[1:] {
		if p.Revents != 0 {
			ready = append(ready, int(p.Fd))
		}
	}
	return ready, w.ctx.Err()
}
