package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"

	"golang.org/x/sys/unix"
)

// icmp6Filter is ICMPV6_FILTER, which package unix has the struct for only.
const icmp6Filter = 1

// OpenProbes opens the raw sockets of Solicit and Echo, which need CAP_NET_RAW
// then no more. They stay open as long as the process.
func (h *Handle) OpenProbes() error {
	h.probes = map[int]int{}
	return h.do(context.Background(), "open raw sockets", func(*waiter) error {
		for _, protocol := range []int{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
			fd, err := rawSocket(protocol)
			if err != nil {
				return explain(err)
			}
			h.probes[protocol] = fd
		}
		return nil
	})
}

func rawSocket(protocol int) (int, error) {
	family := unix.AF_INET
	if protocol == unix.IPPROTO_ICMPV6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	return fd, os.NewSyscallError("open raw socket", err)
}

// probe calls f with a raw socket that nothing waits in.
func (h *Handle) probe(protocol int, f func(fd int) (bool, error)) (bool, error) {
	fd, open := h.probes[protocol]
	if !open {
		var err error
		if fd, err = rawSocket(protocol); err != nil {
			return false, err
		}
		defer unix.Close(fd)
	}
	var b [1]byte
	for range maxDrain {
		if _, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT); err != nil {
			break
		}
	}
	return f(fd)
}

// Solicit asks peer's link-layer address once, by a neighbour solicitation from
// src to peer's solicited-node group (RFC 4861 section 7.2.2), and has the
// kernel ask on its own account if it does not know the address. It reports
// whether an advertisement came in time and passed the inbound policies: both
// messages go through the kernel's own IPv6, so the same policies are asked for
// them as for the kernel's. It needs CAP_NET_RAW.
func (h *Handle) Solicit(ctx context.Context, src, peer netip.Addr, ifindex int, within time.Duration) (answered bool, err error) {
	err = h.do(ctx, "solicit "+peer.String(), func(w *waiter) error {
		answered, err = h.probe(unix.IPPROTO_ICMPV6, func(fd int) (bool, error) {
			return solicit(w, fd, src, peer, ifindex, within)
		})
		return explain(err)
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EAGAIN) {
		return false, nil // a policy has stopped it on the way out, which counters tell
	}
	return answered, err
}

func solicit(w *waiter, fd int, src, peer netip.Addr, ifindex int, within time.Duration) (bool, error) {
	if err := forAdvertisements(fd, src, ifindex); err != nil {
		return false, err
	}
	mac, err := linkAddressOf(w, ifindex)
	if err != nil {
		return false, err
	}
	to := unix.SockaddrInet6{Addr: solicitedNode(peer), ZoneId: uint32(ifindex)}
	if err := unix.Sendto(fd, solicitation(peer, mac), 0, &to); err != nil {
		return false, os.NewSyscallError("send", err)
	}
	return awaitPacket(w, fd, within, func(b []byte, _ unix.Sockaddr) bool {
		// type, code, checksum, flags, target (RFC 4861 section 4.4)
		return len(b) >= 24 && b[0] == spd.NeighborAdvertisement && [16]byte(b[8:24]) == peer.As16()
	})
}

// forAdvertisements has a raw socket send with hop limit 255, as neighbour
// discovery must, and receive advertisements only. The kernel fills in ICMPv6
// checksums.
func forAdvertisements(fd int, src netip.Addr, ifindex int) error {
	return errors.Join(
		receiveOnly(fd, spd.NeighborAdvertisement),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifindex),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255),
		unix.Bind(fd, &unix.SockaddrInet6{Addr: src.As16(), ZoneId: zoneOf(src, ifindex)}),
	)
}

// receiveOnly has a raw socket receive one type of ICMPv6.
func receiveOnly(fd int, kind uint8) error {
	var filter unix.ICMPv6Filter // a bit that is set blocks its type
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0)
	}
	filter.Data[kind/32] &^= 1 << (kind % 32)
	return unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, icmp6Filter, &filter)
}

func zoneOf(a netip.Addr, ifindex int) uint32 {
	if a.IsLinkLocalUnicast() {
		return uint32(ifindex)
	}
	return 0
}

// solicitedNode returns the group in which a's owner is asked for (RFC 4291
// section 2.7.1).
func solicitedNode(a netip.Addr) [16]byte {
	b := a.As16()
	return [16]byte{0xff, 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]}
}

// solicitation builds the message with its option source link-layer address
// (RFC 4861 section 4.3). Links without such addresses have no option.
func solicitation(target netip.Addr, mac []byte) []byte {
	b := make([]byte, 8, 32)
	b[0] = spd.NeighborSolicitation
	t := target.As16()
	b = append(b, t[:]...)
	if len(mac) == 6 {
		b = append(append(b, 1, 1), mac...)
	}
	return b
}

func linkAddressOf(w *waiter, ifindex int) ([]byte, error) {
	links, err := dumpLinks(w)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Index == ifindex {
			mac, _ := net.ParseMAC(l.LinkAddr) // none on links without addresses
			return mac, nil
		}
	}
	return nil, fmt.Errorf("no interface %d", ifindex)
}

// awaitPacket receives until one packet fits, or time is up.
func awaitPacket(w *waiter, fd int, within time.Duration, fits func([]byte, unix.Sockaddr) bool) (bool, error) {
	buf := make([]byte, 2048)
	for deadline := time.Now().Add(within); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		ready, err := w.Wait(left, fd)
		if err != nil {
			return false, err
		}
		if len(ready) == 0 {
			return false, nil
		}
		n, from, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			return false, os.NewSyscallError("receive", err)
		case fits(buf[:n], from):
			return true, nil
		}
	}
}

// ProbeNeighbor has the kernel find out an address that it does not know, and
// does nothing where it does (NTF_USE; neigh_event_send).
func (h *Handle) ProbeNeighbor(ctx context.Context, n analyze.Neighbor) error {
	n.State, n.LinkAddr = "NONE", ""
	what := describeNeighbor(n)
	data, err := encodeNeighbor(n)
	if err != nil {
		return fmt.Errorf("probe %s: %w", what, err)
	}
	data[10] |= unix.NTF_USE
	return h.change(ctx, "probe", what, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_NEWNEIGH, data: data, flags: unix.NLM_F_CREATE,
	})
}

// Echo sends one echo request from src to dst and reports whether the reply came
// in time (RFC 4443 section 4, RFC 792). It needs CAP_NET_RAW. That a policy
// stops it is no error.
func (h *Handle) Echo(ctx context.Context, src, dst netip.Addr, within time.Duration) (answered bool, err error) {
	err = h.do(ctx, "echo "+dst.String(), func(w *waiter) error {
		protocol := unix.IPPROTO_ICMP
		if dst.Is6() {
			protocol = unix.IPPROTO_ICMPV6
		}
		answered, err = h.probe(protocol, func(fd int) (bool, error) { return echo(w, fd, src, dst, within) })
		return explain(err)
	})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		return false, nil
	}
	return answered, err
}

// Types of the echo messages.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

func echo(w *waiter, fd int, src, dst netip.Addr, within time.Duration) (bool, error) {
	request, reply := byte(echoRequest4), byte(echoReply4)
	err := unix.Bind(fd, sockaddr(src))
	if dst.Is6() {
		request, reply = echoRequest6, echoReply6
		err = errors.Join(err, receiveOnly(fd, echoReply6))
	}
	if err != nil {
		return false, err
	}
	id := uint16(os.Getpid())
	if err := unix.Sendto(fd, echoMessage(request, id, dst.Is4()), 0, sockaddr(dst)); err != nil {
		return false, os.NewSyscallError("send", err)
	}
	return awaitPacket(w, fd, within, func(b []byte, from unix.Sockaddr) bool {
		if addressOf(from) != dst.WithZone("") {
			return false
		}
		if dst.Is4() && len(b) > 0 { // raw IPv4 sockets deliver the header
			b = b[min(int(b[0]&0xf)*4, len(b)):]
		}
		return len(b) >= 8 && b[0] == reply && binary.BigEndian.Uint16(b[4:]) == id
	})
}

// addressOf is sockaddr's inverse.
func addressOf(a unix.Sockaddr) netip.Addr {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr)
	}
	return netip.Addr{}
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

// echoMessage builds an echo request. The kernel fills in the checksum of
// ICMPv6, not that of ICMP.
func echoMessage(typ byte, id uint16, sum bool) []byte {
	b := append([]byte{typ, 0, 0, 0, 0, 0, 0, 1}, "ipsecdiag fix --verify"...)
	binary.BigEndian.PutUint16(b[4:], id)
	if sum {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var s uint32
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// Snapshot reads the kernel's state; see Snapshot.
func (h *Handle) Snapshot(ctx context.Context) (*analyze.Snapshot, error) { return Snapshot(ctx, h.o) }
