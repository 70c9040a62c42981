package remedy

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// params are the arguments, without keys.
func (o ManualOptions) params() map[string]string {
	m := map[string]string{"local": o.Local.String(), "peer": o.Peer.String(), "mode": o.Mode.String()}
	for name, v := range map[string]string{"enc": o.Enc, "auth": o.Auth} {
		if v != "" {
			m[name] = v
		}
	}
	for name, v := range map[string]bool{"ah": o.AH, "legacy": o.Legacy} {
		if v {
			m[name] = "true"
		}
	}
	for name, v := range map[string]uint32{"spi-in": o.SPIIn, "spi-out": o.SPIOut} {
		if v != 0 {
			m[name] = fmt.Sprintf("%#x", v)
		}
	}
	for name, v := range map[string]netip.Prefix{"local-net": o.LocalNet, "peer-net": o.PeerNet} {
		if v.IsValid() {
			m[name] = v.String()
		}
	}
	return m
}

// addresses refuses pairs that cannot be.
func (m *manual) addresses() error {
	local, peer := m.o.Local, m.o.Peer
	switch {
	case !local.IsValid() || !peer.IsValid():
		return refuse(BadAddress, "the addresses of both ends are needed")
	case local.Is4() != peer.Is4():
		return refuse(Families, "%s and %s are of different families", local, peer)
	case peer.IsMulticast():
		return refuse(Multicast, "the peer %s is a group, not a host", peer)
	case peer.IsUnspecified() || peer.IsLoopback() || peer == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return refuse(BadAddress, "the peer %s is not the address of another host", peer)
	case m.owns(peer):
		return refuse(PeerIsLocal, "the peer %s is this host itself", peer)
	case !m.owns(local):
		return refuse(NotLocal, "the local address %s is not on this host", local)
	}
	return nil
}

// networks refuses what can be no tunnel.
func (m *manual) networks() error {
	if m.o.Mode != spd.Transport && m.o.Mode != spd.Tunnel {
		return refuse(BadValue, "mode %s: transport or tunnel", m.o.Mode)
	}
	for _, n := range []netip.Prefix{m.o.LocalNet, m.o.PeerNet} {
		switch {
		case !n.IsValid():
		case m.o.Mode != spd.Tunnel:
			return refuse(BadValue, "networks behind the ends need tunnel mode")
		case n.Addr().Is4() != m.o.LocalNet.Addr().Is4() && m.o.LocalNet.IsValid():
			return refuse(Families, "%s and %s are of different families", m.o.LocalNet, n)
		case n.Addr().Is4() != m.o.Local.Is4():
			return refuse(Families, "the network %s and the end %s are of different families", n, m.o.Local)
		case n != n.Masked():
			return refuse(BadValue, "%s has bits behind its prefix: %s is the network", n, n.Masked())
		}
	}
	return nil
}

// algorithms chooses the algorithms and refuses SPIs that are reserved.
func (m *manual) algorithms() error {
	auth := m.o.Auth
	if auth == "" && !m.o.Legacy && cutsSHA256(m.o.Formats) {
		auth = "sha512"
		m.note("sha512 instead of sha256: setkey and ifcfg files cannot say that HMAC-SHA-256 is cut to 128 bits, and the kernel then cuts it to 96")
	}
	var err error
	if m.enc, err = choose(encryption, m.o.Enc, m.o.Legacy, m.given(spd.ProtoESP, "enc")); err != nil {
		return err
	}
	if m.auth, err = choose(authentication, auth, m.o.Legacy, 0); err != nil {
		return err
	}
	for name, spi := range map[string]uint32{"inbound": m.o.SPIIn, "outbound": m.o.SPIOut} {
		if spi != 0 && spi < 0x100 {
			return refuse(BadSPI, "the %s SPI %#x is reserved: 0x100 is the first (RFC 4303 section 2.1)", name, spi)
		}
	}
	return nil
}

// daemon refuses a pair that a running IKE daemon serves: it would meet SAs and
// policies that it did not make.
func (m *manual) daemon() error {
	if len(m.daemons()) == 0 {
		return nil
	}
	for i := range m.db.Policies {
		p := &m.db.Policies[i]
		if kind := m.owner(p); kind != noDaemon && m.concerns(p) {
			return m.served(kind, p.String())
		}
	}
	for i := range m.db.SAs {
		s := &m.db.SAs[i]
		if m.pair(s.Src, s.Dst) && (s.Reserved() || s.Larval() || s.Limits.HardAdd != 0) {
			return m.served(kindOf(m.daemons()[0]), s.String())
		}
	}
	return nil
}

func (m *manual) served(kind daemonKind, what string) error {
	r := refuse(DaemonOwns, "%s runs and serves %s and %s (%s): manual SAs would be in its way", kind, m.o.Local, m.o.Peer, what)
	r.Instead = map[daemonKind]string{
		strongSwan: "# take the connection out of swanctl.conf first: swanctl --load-conns; swanctl --terminate --ike NAME",
		libreswan:  "# take the connection away first: ipsec auto --delete NAME",
	}[kind]
	return r
}

func (m *manual) pair(a, b netip.Addr) bool {
	return (a == m.o.Local && b == m.o.Peer) || (a == m.o.Peer && b == m.o.Local)
}

// concerns reports whether a policy of a daemon is about the pair: its hosts or
// the ends of its tunnel.
func (m *manual) concerns(p *spd.Policy) bool {
	for _, t := range p.Templates {
		if t.Mode == spd.Tunnel {
			return m.pair(t.Src, t.Dst)
		}
	}
	if len(p.Templates) == 0 {
		return false
	}
	for _, s := range m.sides() {
		sel := m.selector(s)
		if p.Direction == s.dir && overlap(&p.Selector, &sel) {
			return true
		}
	}
	return false
}
