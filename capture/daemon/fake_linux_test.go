package daemon

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// The packets of vici, written anew from its README for the fake daemon, so
// that the tests do not rest on the library that they test.
const (
	opRequest    = 0
	opResponse   = 1
	opRegister   = 3
	opUnregister = 4
	opConfirm    = 5
	opUnknown    = 6
	elSection    = 1
	elSectionEnd = 2
	elKeyValue   = 3
	elList       = 4
	elListItem   = 5
	elListEnd    = 6
)

func key(name string) []byte { return append([]byte{byte(len(name))}, name...) }

func value(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func kv(name, s string) []byte { return slices.Concat([]byte{elKeyValue}, key(name), value(s)) }

func items(name string, all ...string) []byte {
	b := slices.Concat([]byte{elList}, key(name))
	for _, s := range all {
		b = slices.Concat(b, []byte{elListItem}, value(s))
	}
	return append(b, elListEnd)
}

func sub(name string, elements ...[]byte) []byte {
	return slices.Concat([]byte{elSection}, key(name), bytes.Join(elements, nil), []byte{elSectionEnd})
}

// packet is one packet with its length; events have a name.
func packet(op byte, name string, elements ...[]byte) []byte {
	body := []byte{op}
	if op == packetEvent {
		body = append(body, key(name)...)
	}
	body = append(body, bytes.Join(elements, nil)...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// charon is a fake of strongSwan's vici.
type charon struct {
	t    *testing.T
	path string
	l    net.Listener

	mu     sync.Mutex
	conns  []net.Conn
	heard  []string // commands and registrations, in their order
	events net.Conn // the connection that registered for the log
	chatty bool     // sends an event before each confirmation
	mute   bool     // never answers
	sas    [][]byte
	conn   []byte        // what a list-conn holds; nil: one connection
	ready  chan struct{} // one value for each connection that listens to the log
}

func startCharon(t *testing.T, path string) *charon {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "charon.vici")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := &charon{t: t, path: path, l: l, ready: make(chan struct{}, 16)}
	t.Cleanup(c.stop)
	go c.accept()
	return c
}

func (c *charon) accept() {
	for {
		conn, err := c.l.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
		go c.serve(conn)
	}
}

func (c *charon) stop() {
	c.l.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func (c *charon) serve(conn net.Conn) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		c.answer(conn, b[0], string(b[2:2+int(b[1])]), b[2+int(b[1]):])
	}
}

func (c *charon) answer(conn net.Conn, op byte, name string, rest []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, name)
	switch {
	case c.mute:
	case op == opRegister && name == "child-rekey": // as an old version
		conn.Write(packet(opUnknown, ""))
	case op == opRegister:
		if c.chatty && slices.Contains(viciEvents, name) {
			conn.Write(logLine("1", "net", "retransmit 1 of request with message ID 0"))
		}
		conn.Write(packet(opConfirm, ""))
		if name == "log" {
			c.events = conn
			c.ready <- struct{}{}
		}
	case op == opUnregister:
		conn.Write(packet(opConfirm, ""))
	case name == "version":
		conn.Write(packet(opResponse, "", kv("daemon", "charon-systemd"), kv("version", "5.9.8")))
	case name == "list-conns":
		configured := c.conn
		if configured == nil {
			configured = connection5()
		}
		conn.Write(packet(packetEvent, "list-conn", configured))
		conn.Write(packet(opResponse, ""))
	case name == "list-sas":
		if c.t != nil && !bytes.Contains(rest, []byte("noblock")) {
			c.t.Error("list-sas would wait for SAs that the daemon is at work on")
		}
		for _, sa := range c.sas {
			conn.Write(sa)
		}
		conn.Write(packet(opResponse, ""))
	}
}

// send sends a packet to who listens to the log.
func (c *charon) send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events != nil {
		c.events.Write(b)
	}
}

func logLine(id, name, msg string) []byte {
	return leveled("1", id, name, msg)
}

func leveled(level, id, name, msg string) []byte {
	elements := [][]byte{kv("group", "IKE"), kv("level", level), kv("thread", "1")}
	if id != "" {
		elements = append(elements, kv("ikesa-name", name), kv("ikesa-uniqueid", id))
	}
	return packet(packetEvent, "log", append(elements, kv("msg", msg))...)
}

// connection5 is a connection as list-conn tells it.
func connection5() []byte {
	return sub("net", kv("version", "IKEv2"),
		items("local_addrs", "fd00::1"), items("remote_addrs", "fd00::2"),
		sub("local-1", kv("class", "pre-shared key"), kv("id", "glass")),
		sub("remote-1", kv("class", "pre-shared key"), kv("id", "teapot")),
		sub("children", sub("all", kv("mode", "TRANSPORT"), items("local-ts", "dynamic"), items("remote-ts", "dynamic"))))
}

// listed is an IKE SA as list-sa tells it.
func listed(id, state string) []byte {
	return packet(packetEvent, "list-sa", section5(id, state))
}

func section5(id, state string) []byte {
	return sub("net", kv("uniqueid", id), kv("version", "2"), kv("state", state), kv("initiator", "yes"),
		kv("local-host", "fd00::1"), kv("local-port", "500"), kv("local-id", "glass"),
		kv("remote-host", "fd00::2"), kv("remote-port", "500"), kv("remote-id", "teapot"),
		kv("initiator-spi", "00000000000000a1"), kv("responder-spi", "00000000000000b1"),
		sub("child-sas", sub("all-1", kv("name", "all"), kv("uniqueid", "1"), kv("reqid", "1"), kv("state", "INSTALLED"),
			kv("mode", "TRANSPORT"), kv("spi-in", "c0ffee01"), kv("spi-out", "c0ffee02"),
			items("local-ts", "fd00::1/128"), items("remote-ts", "fd00::2/128"))))
}
