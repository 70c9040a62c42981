package scrub

import (
	"crypto/aes"
	"crypto/cipher"
	"net/netip"
)

// kept are the prefixes that mean something to every kernel, or to every
// reader: an address in one of them stays in it, and no other comes into it.
var kept = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "fc00::/7", "fe80::/10", "fe80::/64", "ff00::/8",
)

// whole are those of kept of which every address stands for itself.
var whole = prefixes("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/96", "ff00::/8")

// solicited is the prefix of the solicited-node multicast addresses, which end
// in the last 24 bits of a unicast address (RFC 4291 section 2.7.1).
var solicited = netip.MustParsePrefix("ff02::1:ff00:0/104")

// tail is where those bits begin: they are mapped by themselves, so that a
// solicited-node address goes along with the unicast one.
const tail = 104

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

// maxKnown bounds the addresses that are remembered; the others are computed
// again.
const maxKnown = 1 << 16

// addresses maps addresses as Crypto-PAn does (Xu, Fan, Ammar, Moon:
// Prefix-Preserving IP Address Anonymization, ICNP 2002): whether a bit is
// flipped follows from a cipher over the bits before it. Where those may still
// become a kept prefix it is not.
type addresses struct {
	block  cipher.Block
	v4, v6 [aes.BlockSize]byte // what follows the bits in the cipher's input
	known  map[netip.Addr]netip.Addr
}

func newAddresses(s *Secret) *addresses {
	m := &addresses{block: s.cipher("addresses"), known: map[netip.Addr]netip.Addr{}}
	p4, p6 := s.derive("pad", []byte{4}), s.derive("pad", []byte{6})
	copy(m.v4[:], p4[:])
	copy(m.v6[:], p6[:])
	return m
}

// addr maps an address. The zone is left as it is.
func (m *addresses) addr(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	bare := a.WithZone("")
	to, ok := m.known[bare]
	if !ok {
		to = m.compute(bare)
		if len(m.known) < maxKnown {
			m.known[bare] = to
		}
	}
	if a.Zone() == "" {
		return to
	}
	return to.WithZone(a.Zone())
}

// prefix maps a prefix: what was in it is in it afterwards. The bits of an
// interface's address beyond its length are mapped too.
func (m *addresses) prefix(p netip.Prefix) netip.Prefix {
	if !p.IsValid() {
		return p
	}
	to := netip.PrefixFrom(m.addr(p.Addr()), p.Bits())
	if p == p.Masked() {
		return to.Masked()
	}
	return to
}

func (m *addresses) compute(a netip.Addr) netip.Addr {
	if a.Is4In6() {
		return netip.AddrFrom16(m.compute(a.Unmap()).As16())
	}
	inTail := solicited.Contains(a)
	for _, p := range whole {
		if p.Contains(a) && !inTail {
			return a
		}
	}
	if a.Is4() {
		b := a.As4()
		m.flip(b[:], fixed(a), &m.v4)
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	if !inTail {
		m.flip(b[:tail/8], fixed(a), &m.v6)
	}
	var end [16]byte
	copy(end[tail/8:], b[tail/8:])
	m.flip(end[:], tail, &m.v6)
	copy(b[tail/8:], end[tail/8:])
	return netip.AddrFrom16(b)
}

// fixed returns how many of a's first bits must stay for it to be in the same
// kept prefixes as before.
func fixed(a netip.Addr) int {
	n := 0
	for _, p := range kept {
		if p.Addr().Is4() == a.Is4() {
			n = max(n, min(common(p.Addr(), a)+1, p.Bits()))
		}
	}
	return n
}

// common returns how many of their first bits two addresses share.
func common(a, b netip.Addr) int {
	n := 0
	for n < a.BitLen() && bit(a.AsSlice(), n) == bit(b.AsSlice(), n) {
		n++
	}
	return n
}

func bit(b []byte, i int) byte { return b[i/8] >> (7 - i%8) & 1 }

// flip maps the bits of b from one on.
func (m *addresses) flip(b []byte, from int, pad *[aes.BlockSize]byte) {
	before := *pad // the bits before the one in turn, then the pad
	copyBits(before[:], b, from)
	for i := from; i < len(b)*8; i++ {
		var out [aes.BlockSize]byte
		m.block.Encrypt(out[:], before[:])
		setBit(before[:], i, bit(b, i))
		setBit(b, i, bit(b, i)^out[0]>>7)
	}
}

func copyBits(to, from []byte, n int) {
	for i := range n {
		setBit(to, i, bit(from, i))
	}
}

func setBit(b []byte, i int, v byte) {
	mask := byte(0x80) >> (i % 8)
	b[i/8] &^= mask
	b[i/8] |= mask * (v & 1)
}
