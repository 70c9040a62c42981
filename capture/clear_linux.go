package capture

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/beat"
	"ipsecdiag/capture/confine"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/capture/netns"
)

// What looking for packets in the clear may cost. The socket receives only while
// there is something to look for, and wakes nobody while it holds nothing; it has
// room for some hundred packets, and they are read with pauses, so many at a time:
// beyond that the kernel drops them unread, and what is told is "some". ESP never
// gets past the socket's filter.
const (
	clearPause  = 100 * time.Millisecond
	clearBudget = 200 // packets between two pauses
	clearBuffer = 256 << 10
)

// LiveClear yields, each second, a Clear for each kind of packet in the clear
// that a guard means, not sequenced. It ends without an error with the context.
// The socket, which needs CAP_NET_RAW, is opened at once; where it cannot be had
// it warns when there is something to look for, and yields nothing.
func LiveClear(ctx context.Context, opt ClearOptions) iter.Seq2[analyze.Event, error] {
	l := &liveClear{opt: opt, fd: -1}
	l.meter.origin = l.originOf
	l.nat.read = l.translations
	l.failed = netns.Do(opt.Netns, l.open)
	return func(yield func(analyze.Event, error) bool) {
		defer l.close()
		for l.step(ctx) {
			if now := time.Now(); !now.Before(l.due) {
				l.due = beat.Next(now, liveInterval)
				l.follow()
				told, unsure := l.meter.flush(now.UnixNano())
				for _, c := range slices.Concat(told, l.nat.changed(unsure, now)) {
					if !yield(c, nil) {
						return
					}
				}
			}
		}
	}
}

// translations returns what packets were before NAT changed them.
func (l *liveClear) translations(keys []analyze.ClearKey) (map[analyze.ClearKey]analyze.ClearKey, error) {
	open := l.opt.Tracked
	if open == nil {
		open = func() (*os.File, error) { return kernel.OpenTracked(l.opt.Netns) }
	}
	table, err := open()
	if err != nil {
		return nil, err
	}
	defer table.Close()
	return kernel.Translations(table, keys), nil
}

// liveClear is the state of one stream.
type liveClear struct {
	opt     ClearOptions
	fd      int           // -1: none
	armed   bool          // the socket receives
	file    *os.File      // fd, for the runtime's poller
	ready   chan struct{} // closed when fd is to be read; nil: nobody waits for that
	rest    time.Time     // when the pause after reading ends
	devices *devices
	named   map[string]int // indexes of the interfaces by the names that were asked for, -1 where gone; nil: all
	guards  []analyze.Guard
	meter   clearMeter
	nat     translator
	due     time.Time
	failed  error // why nothing is looked for
	warned  bool
}

// step waits for the first of: packets, other guards, and the time to look after
// things; without guards it waits for those alone. It returns false where the stream
// ends.
func (l *liveClear) step(ctx context.Context) bool {
	var ready <-chan struct{}
	var over <-chan time.Time
	if l.armed {
		until := l.due
		if now := time.Now(); now.Before(l.rest) && l.rest.Before(until) {
			until = l.rest
		} else if !now.Before(l.rest) {
			ready = l.awaitPackets()
		}
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		over = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-l.opt.Guards.changed:
		l.look(l.opt.Guards.get())
	case <-ready:
		l.ready, l.rest = nil, time.Now().Add(clearPause)
		l.read()
	case <-over:
	}
	return true
}

// awaitPackets returns a channel that is closed when the socket holds a packet or
// has an error, or is closed.
func (l *liveClear) awaitPackets() <-chan struct{} {
	if l.ready != nil {
		return l.ready
	}
	ready := make(chan struct{})
	conn, err := l.file.SyscallConn()
	if err != nil {
		return nil // it is closed
	}
	l.ready = ready
	go func() {
		defer close(ready)
		_ = conn.Read(func(fd uintptr) bool {
			_, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN)
		})
	}()
	return ready
}

// look begins to look for other packets.
func (l *liveClear) look(guards []analyze.Guard) {
	l.guards = guards
	if l.failed == nil {
		l.failed = l.arm()
	}
	if l.failed == nil {
		return
	}
	l.close()
	if l.opt.Warn != nil && !l.warned && len(guards) > 0 {
		l.warned = true
		l.opt.Warn(fmt.Sprintf("packets in the clear are not looked for: %v", l.failed))
	}
}

// arm gives the socket the filter for the guards; without any it receives nothing.
func (l *liveClear) arm() error {
	if len(l.guards) == 0 {
		return l.disarm()
	}
	filter, err := newClearFilter(l.guards)
	if err != nil {
		return err
	}
	s := packetSocket{fd: l.fd}
	if err := s.attachClassic(filter); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if l.armed {
		return nil
	}
	l.armed = true
	if l.named != nil {
		l.find()
	}
	return l.bind()
}

// disarm has the socket cost nothing, and keeps it: there may be no right to open
// another one. It is bound to a protocol that nobody speaks, and lets nothing in.
func (l *liveClear) disarm() error {
	if !l.armed {
		return nil
	}
	l.armed = false
	s := packetSocket{fd: l.fd}
	if err := s.deafen(); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	err := unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_LOOP)})
	l.read()
	return err
}

// bind has packets received of the only interface, of all where there are
// several. While the only one is gone, nothing is received.
func (l *liveClear) bind() error {
	index := 0
	for _, i := range l.named {
		if len(l.named) == 1 {
			index = i
		}
	}
	s := packetSocket{fd: l.fd}
	if index < 0 || s.boundTo() == index && index > 0 {
		return nil
	}
	return s.bind(index)
}

// open opens the socket in the thread's namespace, and finds the interfaces. It
// receives nothing before it is bound.
func (l *liveClear) open() (err error) {
	if l.devices, err = openDevices(); err != nil {
		return err
	}
	l.named = nil
	if !slices.Contains(l.opt.Interfaces, Any) {
		l.find()
	}
	if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	if l.fd, err = confine.ReceiveOnly(l.fd); err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	l.file = os.NewFile(uintptr(l.fd), "packet socket")
	return unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, clearBuffer)
}

// find looks the interfaces up, and those that are gone again: another one may
// have taken their place.
func (l *liveClear) find() {
	if l.named == nil {
		l.named = map[string]int{}
	}
	for _, name := range l.opt.Interfaces {
		if _, there := l.devices.lookup(l.named[name]); there {
			continue // also when it is called otherwise now
		}
		index, err := l.devices.index(name)
		if err != nil {
			index = -1
		}
		l.named[name] = index
	}
}

// follow has packets received of an interface that has taken the place of one
// that is gone.
func (l *liveClear) follow() {
	if !l.armed || l.named == nil {
		return
	}
	l.find()
	if len(l.named) == 1 {
		_ = l.bind() // where that fails, it is gone: the next look finds that out
	}
}

// read takes what the socket holds, up to the budget.
func (l *liveClear) read() {
	if l.fd < 0 {
		return
	}
	var b [clearSnap]byte
	for range clearBudget {
		n, from, err := unix.Recvfrom(l.fd, b[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // nothing there; an interface that went down comes again
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok {
			l.frame(b[:min(n, len(b))], at)
		}
	}
	l.meter.some = true
}

func (l *liveClear) frame(data []byte, at *unix.SockaddrLinklayer) {
	if l.named != nil && !l.watches(at.Ifindex) {
		return
	}
	dir := analyze.DirIn
	if at.Pkttype == packetOutgoing {
		dir = analyze.DirOut
	}
	l.meter.take(l.guards, data, dir, at.Ifindex, time.Now().UnixNano())
}

func (l *liveClear) watches(index int) bool {
	for _, i := range l.named {
		if i == index {
			return true
		}
	}
	return false
}

func (l *liveClear) originOf(index int) analyze.Origin {
	name, ok := l.devices.lookup(index)
	if !ok {
		name = fmt.Sprint("if", index)
	}
	return analyze.Origin{Host: l.opt.Host, Netns: l.opt.Netns, Interface: name}
}

func (l *liveClear) close() {
	if l.fd >= 0 {
		l.file.Close()
		l.fd, l.file, l.ready = -1, nil, nil
	}
	if l.devices != nil {
		l.devices.close()
		l.devices = nil
	}
}
