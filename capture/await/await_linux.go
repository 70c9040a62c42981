// Package await waits for file descriptors through the runtime's poller.
//
// poll(2) would hold one of the runtime's processors for as long as it waits, and
// the runtime, which takes it away at some time, looks every 20 µs whether that has
// come (sysmon in runtime/proc.go): a fifth of what a watch cost on a host where
// nothing happened. A goroutine that the poller wakes costs nothing meanwhile; one
// that is locked to a thread, in a namespace, stays there.
package await

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits for descriptors until its context ends. It is for one goroutine at a
// time.
type Poller struct {
	ctx  context.Context
	stop func() bool
	file *os.File // of epoll(7), which the runtime's poller watches
	raw  syscall.RawConn
	fds  []int // of the last wait

	mu sync.Mutex // the context's end and a wait set the deadline
}

// Ready is a descriptor for which somebody waited, and why it is ready: bits of
// poll(2), such as unix.POLLIN and unix.POLLERR.
type Ready struct {
	FD     int
	Events uint32
}

// New returns a poller. It holds one descriptor.
func New(ctx context.Context) (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else os.NewFile takes it for a file that is always ready
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{ctx: ctx, file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // the error says whether the poller watches it
	}
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("wait by the runtime's poller: %w", err)
	}
	p.stop = context.AfterFunc(ctx, p.wake)
	return p, nil
}

// wake ends a wait.
func (p *Poller) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.file.SetReadDeadline(time.Unix(1, 0))
}

// Close ends the poller.
func (p *Poller) Close() {
	p.stop()
	p.file.Close()
}

// most is how many descriptors one wait reports; the others are ready at the next.
const most = 16

// Wait returns those of the descriptors that can be read or have an error, none once
// the timeout is over; the context's error once that has ended. They may be others
// than those of the last call, which may be closed by now.
func (p *Poller) Wait(timeout time.Duration, fds ...int) ([]Ready, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.change(fds); err != nil {
		return nil, err
	}
	var events [most]unix.EpollEvent
	n, err := p.take(&events)
	if n == 0 && err == nil && timeout > 0 {
		n, err = p.sleep(timeout, &events)
	}
	if err != nil {
		return nil, fmt.Errorf("wait for a descriptor: %w", err)
	}
	ready := make([]Ready, n)
	for i, e := range events[:n] {
		ready[i] = Ready{FD: int(e.Fd), Events: e.Events}
	}
	return ready, p.ctx.Err()
}

// change has these descriptors waited for and no others. Those of the last wait are
// added again: a closed one has left by itself, and its number may be another's now.
// One of which there is a copy (dup(2)) does not leave: such are not waited for.
func (p *Poller) change(fds []int) (err error) {
	e := p.raw.Control(func(epoll uintptr) {
		for _, fd := range p.fds {
			if !slices.Contains(fds, fd) {
				_ = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_DEL, fd, nil) // it may be closed
			}
		}
		p.fds = append(p.fds[:0], fds...)
		for _, fd := range fds {
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
			if e := unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, fd, &event); e != nil && !errors.Is(e, unix.EEXIST) {
				err = os.NewSyscallError("epoll_ctl", e)
			}
		}
	})
	return errors.Join(err, e)
}

// take takes what is ready now.
func (p *Poller) take(events *[most]unix.EpollEvent) (n int, err error) {
	if e := p.raw.Control(func(epoll uintptr) { n, err = wait(epoll, events) }); e != nil {
		return 0, e
	}
	return n, err
}

func wait(epoll uintptr, events *[most]unix.EpollEvent) (n int, err error) {
	for {
		n, err = unix.EpollWait(int(epoll), events[:], 0)
		if !errors.Is(err, unix.EINTR) { // the Go runtime's signals interrupt it
			return max(n, 0), os.NewSyscallError("epoll_wait", err)
		}
	}
}

// sleep waits until something is ready, the timeout is over or the context ends.
func (p *Poller) sleep(timeout time.Duration, events *[most]unix.EpollEvent) (n int, err error) {
	if err := p.until(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	e := p.raw.Read(func(epoll uintptr) bool {
		n, err = wait(epoll, events)
		return n > 0 || err != nil
	})
	if errors.Is(e, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return n, errors.Join(err, e)
}

// until sets when a wait ends, unless the context has ended: that has set it.
func (p *Poller) until(deadline time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil
	}
	return p.file.SetReadDeadline(deadline)
}
