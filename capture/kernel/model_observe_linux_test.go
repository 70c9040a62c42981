package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// packet is one packet of the test, and how it comes to be.
type packet struct {
	dir  spd.Direction
	flow spd.Flow
	how  origin
}

// origin is who makes a packet.
type origin uint8

const (
	bySocket    origin = iota // an application's socket
	byBound                   // a socket that is bound to tap0
	byDiscovery               // the kernel answers a neighbour solicitation
	byEcho                    // the kernel answers a ping
	fromTheWire               // it comes in by tap0
)

var origins = map[origin]string{
	bySocket: "by a socket", byBound: "by a socket bound to tap0", byDiscovery: "by the kernel's neighbour discovery",
	byEcho: "by the kernel's echo reply", fromTheWire: "in by tap0",
}

func (p packet) String() string {
	f := p.flow
	s := fmt.Sprintf("%s → %s proto %s", f.Src, f.Dst, spd.ProtocolName(f.Proto))
	if f.Proto != protoTest {
		s += fmt.Sprintf(" ports or type and code %d %d", f.SrcPort, f.DstPort)
	}
	return fmt.Sprintf("%s dev #%d mark %#x, dir %s, %s", s, f.IfIndex, f.Mark, p.dir, origins[p.how])
}

// observed is what became of a packet.
type observed struct {
	passed   bool     // it was there in the clear: on the wire, or at a socket
	spi      uint32   // of the ESP packet that was on the wire, 0: none
	rose     []string // counters, sorted
	acquired []uint32 // first reqids of the policies for which an ACQUIRE came, in order
	errno    error    // of the send
}

func (o observed) String() string {
	s := "lost"
	switch {
	case o.passed:
		s = "passed in the clear"
	case o.spi != 0:
		s = fmt.Sprintf("went under SPI %#x", o.spi)
	}
	if len(o.rose) > 0 {
		s += ", " + strings.Join(o.rose, " and ") + " rose"
	}
	if len(o.acquired) > 0 {
		s += fmt.Sprintf(", ACQUIRE for reqid %v", o.acquired)
	}
	if o.errno != nil {
		s += ", the sender got: " + o.errno.Error()
	}
	return s
}

// observe sends one packet and says what became of it.
func (w *wire) observe(p packet) (o observed, err error) {
	if err := w.forget(); err != nil {
		return o, err
	}
	before, err := w.counters()
	if err != nil {
		return o, err
	}
	w.cookies++
	o.errno = w.send(p, w.cookies)
	if p.dir == spd.In {
		err = w.delivered(p, &o)
	} else {
		err = w.sent(p, &o)
	}
	if err != nil {
		return o, err
	}
	err = w.acquires.drain(func(m message) {
		if a, err := decodeAcquire(m.data); m.kind == nl.XFRM_MSG_ACQUIRE && err == nil && len(a.Policy.Templates) > 0 {
			o.acquired = append(o.acquired, a.Policy.Templates[0].ReqID) // all of its policy's templates are there
		}
	})
	after, more := w.counters()
	for name := range after {
		if after[name] > before[name] {
			o.rose = append(o.rose, name)
		}
	}
	slices.Sort(o.rose)
	return o, errors.Join(err, more)
}

// sent looks for the packet on the wire.
func (w *wire) sent(p packet, o *observed) error {
	tap := w.taps[0]
	if p.dir == spd.Fwd {
		tap = w.taps[1]
	}
	return w.reads(tap, func(b []byte) {
		switch s, ok := parseFrame(b); {
		case !ok || s.dst != p.flow.Dst.WithZone("") || s.src != p.flow.Src.WithZone(""):
		case s.proto == spd.ProtoESP && len(s.payload) >= 8:
			o.spi = binary.BigEndian.Uint32(s.payload)
		case p.how == byDiscovery:
			o.passed = o.passed || s.proto == spd.ProtoICMPv6 && len(s.payload) > 0 && s.payload[0] == spd.NeighborAdvertisement
		default:
			o.passed = o.passed || s.proto == p.flow.Proto && s.cookie() == w.cookies
		}
	})
}

// delivered looks for the packet at the raw socket of its protocol.
func (w *wire) delivered(p packet, o *observed) error {
	return w.reads(w.raw[p.flow.Proto][p.flow.Dst.Is4()], func(b []byte) {
		o.passed = o.passed || (seen{payload: b}).cookie() == w.cookies
	})
}

// send makes the packet. What the kernel makes itself is asked for.
func (w *wire) send(p packet, cookie uint64) error {
	f := p.flow
	mac := tapMAC
	switch p.how {
	case byDiscovery:
		return w.inject(frame(mac, searchFor(f.Dst, f.Src)))
	case byEcho:
		ask := f
		ask.Src, ask.Dst, ask.SrcPort = f.Dst, f.Src, echoRequest(f.Dst.Is4())
		return w.inject(frame(mac, ipPacket(ask, 64, transportPayload(ask, cookie))))
	case fromTheWire:
		if f.Dst.IsMulticast() {
			d := f.Dst.As16()
			mac = [6]byte{0x33, 0x33, d[12], d[13], d[14], d[15]}
		}
		return w.inject(frame(mac, ipPacket(f, 64, transportPayload(f, cookie))))
	}
	return w.sendBySocket(p, cookie)
}

func echoRequest(ipv4 bool) uint16 {
	if ipv4 {
		return 8
	}
	return 128
}

func (w *wire) inject(b []byte) error {
	_, err := unix.Write(w.taps[0], b)
	return err
}

// sendBySocket sends by UDP's own socket, which has ports, or by a raw one. The
// thread is in the namespace.
func (w *wire) sendBySocket(p packet, cookie uint64) error {
	f := p.flow
	fd, err := socketFor(f)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if p.how == byBound {
		err = unix.BindToDevice(fd, "tap0")
	}
	if f.Dst.Is6() { // or this host would answer itself
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0))
	}
	err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(f.Mark)),
		unix.Bind(fd, w.sockaddr(f.Src, f.SrcPort, f.Proto)))
	if err != nil {
		return fmt.Errorf("prepare a socket: %w", err)
	}
	payload := transportPayload(f, cookie)
	if f.Proto == spd.ProtoUDP {
		payload = payload[8:]
	}
	return unix.Sendto(fd, payload, unix.MSG_DONTWAIT, w.sockaddr(f.Dst, f.DstPort, f.Proto))
}

func socketFor(f spd.Flow) (int, error) {
	if f.Proto != spd.ProtoUDP {
		return openRaw(f.Dst.Is4(), f.Proto)
	}
	family := unix.AF_INET6
	if f.Dst.Is4() {
		family = unix.AF_INET
	}
	return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
}

// sockaddr is an address for bind or sendto; raw sockets have no ports.
func (w *wire) sockaddr(a netip.Addr, port uint16, proto uint8) unix.Sockaddr {
	if proto != spd.ProtoUDP {
		port = 0
	}
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	sa := &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
	if a.IsLinkLocalUnicast() || a.IsMulticast() {
		sa.ZoneId = uint32(w.index[1])
	}
	return sa
}
