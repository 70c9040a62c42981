package daemon

import (
	"context"
	"net"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/strongswan/govici/vici"
	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// FuzzVici has a daemon answer with whatever it likes when it is asked for its SAs
// and its connections: what govici and we read of it neither panics nor grows.
func FuzzVici(f *testing.F) {
	f.Add(section5("1", "ESTABLISHED"))
	f.Add(connection5())
	f.Add(sub("net", sub("child-sas", sub("a", kv("reqid", "99999999999999999999"), kv("spi-in", "\xff")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxPacket/2 {
			return
		}
		defer bounds.Hold(t, len(data), bounds.Memory{Fixed: 4 << 20, PerByte: 4 << 10})()
		askAll(t, data)
	})
}

// askAll asks a fake daemon for both lists; data is the body of its events.
func askAll(t *testing.T, data []byte) {
	ours, theirs := sockets(t)
	c := &charon{sas: [][]byte{packet(packetEvent, "list-sa", data)}, conn: data}
	served := make(chan struct{})
	go func() { c.serve(theirs); close(served) }()
	s := &viciSession{teller: &teller{ctx: t.Context()}, ctx: t.Context(), ends: map[string]ends{}}
	var err error
	s.commands, err = vici.NewSession(vici.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
		s.pace = newGuard(ours, false, true)
		return s.pace, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	conns, _ := s.connections()
	sas, _ := s.listSAs()
	s.commands.Close()
	theirs.Close()
	<-served
	if len(conns) > maxConnections || len(sas) > maxSAs {
		t.Errorf("%d connections and %d SAs of %d bytes", len(conns), len(sas), len(data))
	}
	checkSAs(t, sas)
}

// sockets returns two connected ends. What is written waits for its reader, unlike
// with net.Pipe: govici reads no more after a packet that it cannot read.
func sockets(t *testing.T) (a, b net.Conn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "vici")
		ends[i], err = net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

func checkSAs(t *testing.T, sas []analyze.DaemonSA) {
	for _, sa := range sas {
		if len(sa.ID) > 3*maxText || !utf8.ValidString(sa.ID) || !utf8.ValidString(sa.Connection) || len(sa.Children) > maxChildren {
			t.Errorf("got %+v", sa)
		}
	}
}
