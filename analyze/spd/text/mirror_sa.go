package text

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// flow is the direction of an SA: packets of a protocol from one host to
// another.
type flow struct {
	src, dst netip.Addr
	proto    uint8
}

func (n nat) flow(s *spd.SA) flow { return flow{n.addr(s.Src), n.addr(s.Dst), s.Proto} }

func (f flow) String() string {
	return fmt.Sprintf("%s SA from %s to %s", name(f.proto), f.src, f.dst)
}

// sas compares the SAs of the common pairs: those of one SPI with each other,
// and a single remaining one with a single remaining one.
func (m *mirror) sas() {
	local, order := m.group(m.local, nil)
	peer, peerOrder := m.group(m.peer, m.nat)
	for _, f := range order {
		m.flow(f, local[f], peer[f])
	}
	for _, f := range peerOrder {
		if len(local[f]) == 0 {
			m.flow(f, nil, peer[f])
		}
	}
}

// group sorts the SAs of the common pairs by direction. Larval ones, and SPIs that
// IKE has reserved and not keyed yet, are not anybody's configuration, nor are those of
// IP in IP that the kernel makes for tunnels with IPComp (ipcomp_tunnel_create).
func (m *mirror) group(r *Result, n nat) (map[flow][]*spd.SA, []flow) {
	out := map[flow][]*spd.SA{}
	var order []flow
	for i := range r.DB.SAs {
		s := &r.DB.SAs[i]
		if s.SPI == 0 || s.Reserved() || !configured(s.Proto) || !m.common[n.pair(s.Src, s.Dst)] {
			continue
		}
		f := n.flow(s)
		if out[f] == nil {
			order = append(order, f)
		}
		out[f] = append(out[f], s)
	}
	return out, order
}

func configured(proto uint8) bool {
	return proto == spd.ProtoESP || proto == spd.ProtoAH || proto == spd.ProtoIPComp
}

func (m *mirror) flow(f flow, local, peer []*spd.SA) {
	local, peer = m.sameSPI(f, local, peer)
	local, peer = m.due(local, m.local, m.peer), m.due(peer, m.peer, m.local)
	if len(local) == 1 && len(peer) == 1 {
		l, p := m.local.SAAt(local[0]), m.peer.SAAt(peer[0])
		m.add(l, p, "the %s has SPI %#x at %s and %#x at %s", f, local[0].SPI, l, peer[0].SPI, p)
		m.compare(f, local[0], peer[0])
		return
	}
	for _, s := range local {
		l, p := m.local.SAAt(s), m.peer.whole()
		m.add(l, p, "the %s with SPI %#x at %s is missing in %s", f, s.SPI, l, p)
	}
	for _, s := range peer {
		l, p := m.local.whole(), m.peer.SAAt(s)
		m.add(l, p, "the %s with SPI %#x at %s is missing in %s", f, s.SPI, p, l)
	}
}

// sameSPI compares the SAs that both have and returns the others.
func (m *mirror) sameSPI(f flow, local, peer []*spd.SA) (restLocal, restPeer []*spd.SA) {
	bySPI := map[uint32]*spd.SA{}
	for _, s := range peer {
		bySPI[s.SPI] = s
	}
	for _, s := range local {
		if p, ok := bySPI[s.SPI]; ok {
			m.compare(f, s, p)
			delete(bySPI, s.SPI)
		} else {
			restLocal = append(restLocal, s)
		}
	}
	for _, s := range peer {
		if bySPI[s.SPI] == s {
			restPeer = append(restPeer, s)
		}
	}
	return restLocal, restPeer
}

// compare compares what must be equal in both copies of an SA.
func (m *mirror) compare(f flow, a, b *spd.SA) {
	l, p := m.local.SAAt(a), m.peer.SAAt(b)
	if a.Mode != b.Mode {
		m.add(l, p, "the %s is in %s mode at %s and in %s mode at %s", f, a.Mode, l, b.Mode, p)
	}
	ka, kb := m.local.Keys[a.Key()], m.peer.Keys[b.Key()]
	m.algorithm(f, l, p, "encryption", a.Enc, b.Enc, ka.Enc, kb.Enc)
	m.algorithm(f, l, p, "authentication", a.Auth, b.Auth, ka.Auth, kb.Auth)
	m.algorithm(f, l, p, "combined mode", a.AEAD, b.AEAD, ka.AEAD, kb.AEAD)
	m.algorithm(f, l, p, "compression", a.Comp, b.Comp, Secret{}, Secret{})
	if (a.Encap == nil) != (b.Encap == nil) {
		m.add(l, p, "the %s is %s at %s and %s at %s", f, encapsulated(a), l, encapsulated(b), p)
	}
	if a.Replay.ESN != b.Replay.ESN {
		m.add(l, p, "the %s has %s at %s and %s at %s", f, sequence(a), l, sequence(b), p)
	}
}

func encapsulated(s *spd.SA) string {
	if s.Encap != nil {
		return "encapsulated in UDP"
	}
	return "not encapsulated in UDP"
}

func sequence(s *spd.SA) string {
	if s.Replay.ESN {
		return "extended sequence numbers"
	}
	return "32 bit sequence numbers"
}

// algorithm compares one algorithm of an SA, its ICV, its key length and key.
func (m *mirror) algorithm(f flow, l, p Pos, what string, a, b *spd.Algorithm, ka, kb Secret) {
	switch {
	case a == nil && b == nil:
	case a == nil || b == nil || a.Name != b.Name:
		m.add(l, p, "the %s of the %s is %s at %s and %s at %s", what, f, algorithmName(a), l, algorithmName(b), p)
	case a.ICVBits != b.ICVBits:
		m.add(l, p, "the authenticator of the %s (%s) is cut to %d bits at %s and to %d bits at %s", f, a.Name, a.ICVBits, l, b.ICVBits, p)
		fallthrough
	default:
		m.key(f, l, p, what, ka, kb)
	}
}

func algorithmName(a *spd.Algorithm) string {
	if a == nil {
		return "none"
	}
	return a.Name
}

// key compares keys where both texts hold them.
func (m *mirror) key(f flow, l, p Pos, what string, a, b Secret) {
	switch {
	case !a.Known() || !b.Known() || a.Equal(b):
	case a.Len() != b.Len():
		m.add(l, p, "the %s key of the %s has %d bits at %s and %d bits at %s", what, f, a.Len(), l, b.Len(), p)
	default:
		m.add(l, p, "the %s keys of the %s at %s and at %s differ", what, f, l, p)
	}
}
