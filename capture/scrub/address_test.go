package scrub

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func testSecret() *Secret {
	var s Secret
	for i := range s {
		s[i] = byte(i)
	}
	return &s
}

func TestAddressesKeepTheirCommonPrefixes(t *testing.T) {
	m := newAddresses(testSecret())
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		a, b := randomPair(r)
		x, y := m.addr(a), m.addr(b)
		if n, got := common(a, b), common(x, y); n != got {
			t.Fatalf("%s and %s share %d bits, %s and %s share %d", a, b, n, x, y, got)
		}
		if (a == b) != (x == y) {
			t.Fatalf("%s, %s became %s, %s", a, b, x, y)
		}
	}
}

// randomPair returns two addresses of one family that share their first bits.
func randomPair(r *rand.Rand) (a, b netip.Addr) {
	size := 4
	if r.IntN(2) == 0 {
		size = 16
	}
	x := make([]byte, size)
	for i := range x {
		x[i] = byte(r.Uint32())
	}
	if p := kept[r.IntN(len(kept))]; r.IntN(4) == 0 && p.Addr().BitLen() == size*8 {
		copyBits(x, p.Addr().AsSlice(), p.Bits())
	}
	y := append([]byte{}, x...)
	at := r.IntN(size * 8)
	setBit(y, at, 1^bit(x, at))
	for i := at + 1; i < size*8; i++ {
		setBit(y, i, byte(r.IntN(2)))
	}
	a, _ = netip.AddrFromSlice(x)
	b, _ = netip.AddrFromSlice(y)
	return a, b
}

func TestAddressesStayInTheirKind(t *testing.T) {
	m := newAddresses(testSecret())
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		a, _ := randomPair(r)
		for _, p := range kept {
			if p.Contains(a) != p.Contains(m.addr(a)) {
				t.Fatalf("%s became %s: one is in %s, the other is not", a, m.addr(a), p)
			}
		}
	}
	for _, text := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255", "::", "::1", "ff02::1", "ff02::16"} {
		if a := netip.MustParseAddr(text); m.addr(a) != a {
			t.Errorf("%s became %s, and every kernel knows it", a, m.addr(a))
		}
	}
	for _, text := range []string{"198.51.100.7", "10.0.0.1", "2001:db8::1", "fd00::1", "fe80::1"} {
		if a := netip.MustParseAddr(text); m.addr(a) == a {
			t.Errorf("%s stayed what it was", a)
		}
	}
}

func TestSolicitedNodeAddressesFollowTheirUnicastAddress(t *testing.T) {
	m := newAddresses(testSecret())
	for _, text := range []string{"fd00::2", "2001:db8:1:2:3:4:5:6", "fe80::abcd:ef01"} {
		a := netip.MustParseAddr(text)
		if got, want := m.addr(solicitedNode(a)), solicitedNode(m.addr(a)); got != want {
			t.Errorf("%s: solicited-node address became %s, want %s", a, got, want)
		}
	}
}

func solicitedNode(a netip.Addr) netip.Addr {
	b, low := solicited.Addr().As16(), a.As16()
	copy(b[13:], low[13:])
	return netip.AddrFrom16(b)
}

func TestPrefixesHoldWhatTheyHeld(t *testing.T) {
	m := newAddresses(testSecret())
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		a, b := randomPair(r)
		p := netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked()
		if q := m.prefix(p); q != q.Masked() || p.Contains(b) != q.Contains(m.addr(b)) {
			t.Fatalf("%s became %s; %s became %s", p, q, b, m.addr(b))
		}
	}
}

func TestAnotherSecretGivesOtherAddresses(t *testing.T) {
	other := testSecret()
	other[0]++
	a := netip.MustParseAddr("198.51.100.7")
	if newAddresses(testSecret()).addr(a) == newAddresses(other).addr(a) {
		t.Errorf("%s becomes the same under two secrets", a)
	}
}
