package kernel

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// socket is a netlink socket, not blocking. Package nl's own is not used since
// it keeps copies of what it receives, keys included, and since closing it does
// not wake a thread in recv.
type socket struct {
	fd    int
	inode uint64
	buf   *[maxMessage]byte
}

// maxMessage bounds one recv: the kernel's dumps come in pieces of at most 32 KiB
// (netlink_dump), its notifications are smaller.
const maxMessage = 64 << 10

// buffers are for recv; they hold zeroes.
var buffers = sync.Pool{New: func() any { return new([maxMessage]byte) }}

// receiveBuffer is asked for so that a burst of notifications (10,000 SAs being
// deleted) fits while the reader is busy. A test makes it small.
var receiveBuffer = 16 << 20

// openFD makes a socket. A test makes it fail as some kernels do.
var openFD = unix.Socket

// ours holds the inodes of the sockets that this process has in groups, so that we do not take ourselves for an IKE daemon.
var ours sync.Map // uint64 → struct{}

// errOverrun says that the kernel dropped messages for lack of room.
var errOverrun = errors.New("netlink overrun")

// openSocket opens a netlink socket in the thread's namespace and joins it to
// multicast groups.
func openSocket(protocol int, groups ...int) (*socket, error) {
	fd, err := openFD(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	s := &socket{fd: fd, buf: buffers.Get().(*[maxMessage]byte)}
	if err := s.setUp(groups); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) setUp(groups []int) error {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		// Without CAP_NET_ADMIN: as much as net.core.rmem_max allows.
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		return fmt.Errorf("stat netlink socket: %w", err)
	}
	s.inode = st.Ino
	if len(groups) > 0 {
		ours.Store(s.inode, struct{}{})
	}
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("bind netlink socket: %w", err)
	}
	for _, g := range groups {
		if err := s.member(g, true); err != nil {
			return err
		}
	}
	return nil
}

// member joins a multicast group, or leaves it.
func (s *socket) member(group int, join bool) error {
	option, verb := unix.NETLINK_ADD_MEMBERSHIP, "join"
	if !join {
		option, verb = unix.NETLINK_DROP_MEMBERSHIP, "leave"
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, option, group); err != nil {
		return fmt.Errorf("%s netlink group %d: %w", verb, group, err)
	}
	return nil
}

func (s *socket) close() {
	unix.Close(s.fd)
	buffers.Put(s.buf)
	ours.Delete(s.inode)
}

func (s *socket) send(b []byte) error {
	if err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send netlink request: %w", err)
	}
	return nil
}

// receive hands what one recv returns to f and zeroes it afterwards, since it
// may hold keys. The error is unix.EAGAIN where there is nothing to be read,
// errOverrun where something is missing before the next message.
func (s *socket) receive(f func(message)) error {
	n, from, err := unix.Recvfrom(s.fd, s.buf[:], unix.MSG_TRUNC)
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return errOverrun
	case err != nil:
		return err
	}
	got := s.buf[:min(n, len(s.buf))]
	defer clear(got)
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil // not from the kernel
	}
	msgs, err := messages(got)
	for _, m := range msgs {
		f(m)
	}
	if err != nil || n > len(s.buf) {
		return errOverrun
	}
	return nil
}

// maxDrain bounds what is read in one go, so that a flood of notifications does
// not keep the watcher from everything else.
const maxDrain = 4096

// drain hands what waits in the socket to f.
func (s *socket) drain(f func(message)) error {
	for range maxDrain {
		err := s.receive(f)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		}
	}
	return nil
}
