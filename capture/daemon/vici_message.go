package daemon

import (
	"strconv"

	"github.com/strongswan/govici/vici"

	"ipsecdiag/analyze"
)

// text reads a value of a vici message, "" where there is none.
func text(m *vici.Message, key string) string {
	s, _ := m.Get(key).(string)
	return cut(s, maxText)
}

func list(m *vici.Message, key string) []string {
	l, _ := m.Get(key).([]string)
	return cutAll(l)
}

// sections calls f with each section of a message, until it returns false.
func sections(m *vici.Message, f func(name string, s *vici.Message) bool) {
	if m == nil {
		return
	}
	for _, key := range m.Keys() {
		if s, ok := m.Get(key).(*vici.Message); ok && !f(cut(key, maxText), s) {
			return
		}
	}
}

func section(m *vici.Message, key string) *vici.Message {
	s, _ := m.Get(key).(*vici.Message)
	return s
}

// readConnection reads a section of list-conn (vici README, "list-conn"). That
// tells how an end is authenticated and with which identity, and no secret.
func readConnection(name string, m *vici.Message) analyze.Connection {
	c := analyze.Connection{Name: name, IKE: text(m, "version"), LocalAddrs: list(m, "local_addrs"), RemoteAddrs: list(m, "remote_addrs")}
	if s := section(m, "local-1"); s != nil {
		c.LocalID, c.LocalAuth = text(s, "id"), text(s, "class")
	}
	if s := section(m, "remote-1"); s != nil {
		c.RemoteID, c.RemoteAuth = text(s, "id"), text(s, "class")
	}
	sections(section(m, "children"), func(child string, s *vici.Message) bool {
		c.Children = append(c.Children, analyze.Child{
			Name: child, Mode: text(s, "mode"), LocalTS: list(s, "local-ts"), RemoteTS: list(s, "remote-ts"),
		})
		return len(c.Children) < maxChildren
	})
	return c
}

// unnamed is what strongSwan calls an IKE SA for which it has chosen no
// connection yet (ike_sa.c: get_name).
const unnamed = "(unnamed)"

func named(connection string) string {
	if connection == unnamed {
		return ""
	}
	return connection
}

// readSA reads a section of list-sa or ike-updown (vici README, "list-sa").
func readSA(name string, m *vici.Message) analyze.DaemonSA {
	sa := analyze.DaemonSA{
		ID: text(m, "uniqueid"), Connection: named(name), State: text(m, "state"), Initiator: text(m, "initiator") == "yes",
		Local:   endpoint(text(m, "local-host"), text(m, "local-port")),
		Remote:  endpoint(text(m, "remote-host"), text(m, "remote-port")),
		LocalID: text(m, "local-id"), RemoteID: text(m, "remote-id"),
		InitiatorSPI: hexSPI(text(m, "initiator-spi")), ResponderSPI: hexSPI(text(m, "responder-spi")),
	}
	major, _ := strconv.ParseUint(text(m, "version"), 10, 8)
	sa.Major = uint8(major)
	sections(section(m, "child-sas"), func(_ string, s *vici.Message) bool {
		sa.Children = append(sa.Children, analyze.DaemonChild{
			ID: text(s, "uniqueid"), Name: text(s, "name"), State: text(s, "state"), Mode: text(s, "mode"),
			ReqID: decimal(text(s, "reqid")), SPIIn: hex32(text(s, "spi-in")), SPIOut: hex32(text(s, "spi-out")),
			LocalTS: list(s, "local-ts"), RemoteTS: list(s, "remote-ts"),
		})
		return len(sa.Children) < maxChildren
	})
	return sa
}
