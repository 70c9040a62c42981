package text

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// nat says by which address one end knows what the other calls otherwise: a NAT
// between them makes the two names of one host differ (RFC 3948).
type nat map[netip.Addr]netip.Addr

// translation compares the SAs that both ends have under one SPI, encapsulated
// in UDP: where their addresses differ, a NAT lies between, and the peer's are
// to be read as the local end's. Two SPIs of 32 bits are not equal by chance.
func translation(local, peer *Result) nat {
	n := nat{}
	bySPI := map[uint32]*spd.SA{}
	for i := range peer.DB.SAs {
		if s := &peer.DB.SAs[i]; s.SPI != 0 && s.Encap != nil {
			bySPI[s.SPI] = s
		}
	}
	for i := range local.DB.SAs {
		s := &local.DB.SAs[i]
		if p := bySPI[s.SPI]; p != nil && s.Encap != nil && s.Proto == p.Proto {
			n.learn(p.Src, s.Src)
			n.learn(p.Dst, s.Dst)
		}
	}
	return n
}

func (n nat) learn(peers, local netip.Addr) {
	if peers != local && peers.IsValid() && local.IsValid() {
		n[peers] = local
	}
}

// addr is a in the local end's words.
func (n nat) addr(a netip.Addr) netip.Addr {
	if t, ok := n[a]; ok {
		return t
	}
	return a
}

// prefix is p in the local end's words, where it is a single host.
func (n nat) prefix(p netip.Prefix) netip.Prefix {
	if t, ok := n[p.Addr()]; ok && p.IsSingleIP() && t.BitLen() == p.Addr().BitLen() {
		return netip.PrefixFrom(t, t.BitLen())
	}
	return p
}

func (n nat) pair(a, b netip.Addr) pair { return pairOf(n.addr(a), n.addr(b)) }

// selector is s in the local end's words: of a transport mode policy; what goes
// through a tunnel no NAT translates.
func (n nat) selector(p *spd.Policy) spd.Selector {
	s := p.Selector
	for i := range p.Templates {
		if p.Templates[i].Mode == spd.Tunnel {
			return s
		}
	}
	s.Src, s.Dst = n.prefix(s.Src), n.prefix(s.Dst)
	return s
}
