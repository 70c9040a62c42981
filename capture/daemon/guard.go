package daemon

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// What vici's packets are (strongSwan, src/libcharon/plugins/vici/README.md,
// "Protocol"): a length of 32 bits, then the type, for events their name.
const (
	maxPacket   = 512 << 10 // VICI_MESSAGE_SIZE_MAX
	packetEvent = 7
	// maxUntaken bounds the events that govici has and we have not taken: it
	// keeps 128, and drops what is beyond.
	maxUntaken  = 64
	maxWithheld = 1024 // events that come while others are asked for
)

// guard stands between a vici socket and govici (0.8.0), which believes the
// length that a packet gives, ends a list at its answer even where events of it
// are still to be taken, drops those that we are slow to take, and locks up where
// an event comes while it subscribes to others. So packets that are too large end
// the connection, events of a list come as they are taken and its answer after
// the last, and while events are withheld they wait.
type guard struct {
	net.Conn

	mu       sync.Mutex
	room     *sync.Cond
	closed   bool
	withhold bool
	paced    bool // whether events wait until those before were taken
	untaken  int
	waiting  [][]byte // packets to hand on, each whole
	rest     []byte   // of the packet that is being handed on
}

// newGuard guards a connection: one on which events are subscribed to withholds
// them until release, one on which lists are asked for paces them.
func newGuard(c net.Conn, withhold, paced bool) *guard {
	g := &guard{Conn: c, withhold: withhold, paced: paced}
	g.room = sync.NewCond(&g.mu)
	return g
}

// Read satisfies io.Reader with whole packets, one after the other.
func (g *guard) Read(b []byte) (int, error) {
	for len(g.rest) == 0 {
		if p := g.next(); p != nil {
			g.rest = p
			break
		}
		p, err := g.packet()
		if err != nil {
			return 0, err
		}
		g.mu.Lock()
		if len(g.waiting) < maxWithheld {
			g.waiting = append(g.waiting, p)
		}
		g.mu.Unlock()
	}
	n := copy(b, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next takes the next packet that may be handed on, nil where there is none.
// Where events are paced it waits for room.
func (g *guard) next() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, p := range g.waiting {
		event := isEvent(p)
		if event && g.withhold {
			continue
		}
		for g.paced && !g.closed && (g.untaken >= maxUntaken || (!event && g.untaken > 0)) {
			g.room.Wait()
		}
		if event && g.paced {
			g.untaken++
		}
		g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
		return p
	}
	return nil
}

func isEvent(p []byte) bool { return p[4] == packetEvent }

// packet reads one packet with its length.
func (g *guard) packet() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(g.Conn, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxPacket {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	p := make([]byte, 4+n)
	copy(p, length[:])
	_, err := io.ReadFull(g.Conn, p[4:])
	return p, err
}

// release lets events through from now on. Those that were withheld come with
// the next packet.
func (g *guard) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.withhold = false
}

// took makes room for one more event.
func (g *guard) took() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.untaken--
	g.room.Signal()
}

// Close ends the connection and whoever waits for room.
func (g *guard) Close() error {
	g.mu.Lock()
	g.closed = true
	g.room.Broadcast()
	g.mu.Unlock()
	return g.Conn.Close()
}
