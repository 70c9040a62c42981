package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"ipsecdiag/capture/confine"
)

// packetSocket is an AF_PACKET socket with a filter and a ring. There is one
// for a stream, however many interfaces it watches: bound to the interface
// where there is one, else to none, with a filter on the interface's index.
// One ring keeps the order in which related devices showed a packet, and costs
// the same memory for one interface and for a hundred.
//
// It is not promiscuous: what is not meant for this host has no part in its
// IPsec, and a diagnosis must not change what it looks at.
type packetSocket struct {
	fd   int
	ring *ring
}

// openPacketSocket opens a socket in the thread's namespace that receives
// frames of the listed interfaces, of all if the list is empty. Where there is
// a counter, its program is the filter.
func openPacketSocket(interfaces []int, c *counter) (*packetSocket, error) {
	// Protocol 0: nothing is received before bind, so the filter sees all.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("open packet socket: CAP_NET_RAW is missing: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if fd, err = confine.ReceiveOnly(fd); err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	s := &packetSocket{fd: fd}
	if err := s.setUp(interfaces, c); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *packetSocket) setUp(interfaces []int, c *counter) (err error) {
	index := 0
	if len(interfaces) == 1 {
		index, interfaces = interfaces[0], nil
	}
	if c != nil {
		err = c.attach(s.fd)
	} else {
		err = s.attachFilter(interfaces)
	}
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if s.ring, err = mapRing(s.fd); err != nil {
		return err
	}
	return s.bind(index)
}

// bind has frames of one interface received, of all where the index is 0.
func (s *packetSocket) bind(index int) error {
	addr := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}
	if err := unix.Bind(s.fd, addr); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

// boundTo returns the index of the interface that frames are received from, -1
// once that is gone (packet_notifier).
func (s *packetSocket) boundTo() int {
	addr, err := unix.Getsockname(s.fd)
	if at, ok := addr.(*unix.SockaddrLinklayer); err == nil && ok {
		return at.Ifindex
	}
	return -1
}

// attachFilter gives the socket the classic filter.
func (s *packetSocket) attachFilter(interfaces []int) error {
	filter, err := newFilter(interfaces)
	if err != nil {
		return err
	}
	return s.attachClassic(filter)
}

// attachClassic gives the socket a program of classic BPF, in place of what it
// has.
func (s *packetSocket) attachClassic(filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		code[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	prog := &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog)
}

// networkOrder returns v such that its bytes in memory are in network order.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// drops returns how many frames found no room in the ring since the last call
// (struct tpacket_stats_v3, which the kernel resets as it is read).
func (s *packetSocket) drops() (uint64, error) {
	stats, err := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("read packet statistics: %w", err)
	}
	return uint64(stats.Drops), nil
}

// deafen lets no further frame in.
func (s *packetSocket) deafen() error {
	return s.attachClassic([]bpf.Instruction{bpf.RetConstant{Val: 0}})
}

// poll reports whether a block is ready before the time is over.
func (s *packetSocket) poll(timeout time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	ts := unix.NsecToTimespec(int64(timeout))
	n, err := unix.Ppoll(fds, &ts, nil)
	if errors.Is(err, unix.EINTR) {
		return true, nil
	}
	return n > 0 && fds[0].Revents&unix.POLLIN != 0, os.NewSyscallError("ppoll", err)
}

// clearError takes the error off the socket that makes poll return at once:
// ENETDOWN after its interface went down (packet_notifier).
func (s *packetSocket) clearError() {
	_, _ = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
}

func (s *packetSocket) close() {
	if s.ring != nil {
		s.ring.close()
	}
	unix.Close(s.fd)
}
