package capture

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

const (
	ms    = int64(time.Millisecond)
	group = 1
)

// seenOn is one sighting: when, on which interface, and whether it must be
// taken for a copy.
type seenOn struct {
	at    int64
	index int
	copy  bool
}

func TestDeduper(t *testing.T) {
	for name, sightings := range map[string][]seenOn{
		"one device":               {{0, 1, false}, {0, 1, false}, {ms, 1, false}},
		"copy on another":          {{0, 1, false}, {ms, 2, true}, {2 * ms, 3, true}},
		"copy has an older time":   {{20 * ms, 1, false}, {0, 2, true}},
		"retransmission":           {{0, 1, false}, {0, 2, true}, {10 * ms, 1, false}, {10 * ms, 2, true}},
		"retransmission overtakes": {{0, 1, false}, {ms, 1, false}, {2 * ms, 2, true}, {3 * ms, 2, true}},
		"first device missed one":  {{0, 1, false}, {0, 2, true}, {ms, 2, false}},
		"later than the window":    {{0, 1, false}, {51 * ms, 2, false}},
		"window moves on":          {{0, 1, false}, {40 * ms, 2, true}, {80 * ms, 3, true}},
		"more devices than kept": {
			{0, 1, false}, {0, 2, true}, {0, 3, true}, {0, 4, true}, {0, 5, true}, {0, 6, true},
			{ms, 1, false}, {ms, 6, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, p := new(deduper), decoded(t, ipv6(50, make([]byte, 24)))
			for i, s := range sightings {
				if got := d.isCopy(group, s.index, analyze.DirIn, 1e18+s.at, p); got != s.copy {
					t.Errorf("sighting %d on %d: copy %v, want %v", i, s.index, got, s.copy)
				}
			}
		})
	}
}

// Of a flow's packet a device that the kernel was told of shows less than one
// that it was not told of yet: the one is the other's copy all the same.
func TestDeduperOfPacketsCutDifferently(t *testing.T) {
	esp := append(espPacket(7, 1), make([]byte, 1000)...)
	for name, packet := range map[string][]byte{
		"ESP": ipv6(50, esp), "ESP in UDP": ipv4(17, 0, udp(4500, 4500, esp)),
	} {
		d, whole := new(deduper), decoded(t, packet)
		cut := *whole
		cut.Upper = cut.Upper[:flowSnap]
		if d.isCopy(group, 1, analyze.DirIn, 1e18, whole) || !d.isCopy(group, 2, analyze.DirIn, 1e18, &cut) {
			t.Errorf("%s: a packet and its copy, cut, are two", name)
		}
	}
}

// Two packets that differ anywhere the rule looks are never copies.
func TestDeduperTellsApart(t *testing.T) {
	base := ipv4(17, 0, udp(500, 500, []byte("message one")))
	changed := func(at int) *analyze.Packet {
		b := append([]byte(nil), base...)
		b[at]++
		return decoded(t, b)
	}
	for name, second := range map[string]*analyze.Packet{
		"identification": changed(5), "hop limit": changed(8), "source": changed(15),
		"destination": changed(19), "port": changed(21), "payload": changed(len(base) - 1),
	} {
		d := new(deduper)
		if d.isCopy(group, 1, analyze.DirIn, ms, decoded(t, base)) || d.isCopy(group, 2, analyze.DirIn, ms, second) {
			t.Errorf("another %s: taken for a copy", name)
		}
	}
	d := new(deduper)
	d.isCopy(group, 1, analyze.DirIn, ms, decoded(t, base))
	if d.isCopy(group, 2, analyze.DirOut, ms, decoded(t, base)) {
		t.Error("a forwarded packet is taken for a copy")
	}
	if d.isCopy(group+1, 2, analyze.DirIn, ms, decoded(t, base)) || d.isCopy(0, 2, analyze.DirIn, ms, decoded(t, base)) {
		t.Error("a packet on an unrelated device is taken for a copy")
	}
	if !d.isCopy(group, 2, analyze.DirIn, ms, changed(27)) {
		t.Error("a packet whose UDP checksum was filled in is not taken for a copy")
	}
}

// Whatever the order in which two devices' sightings are interleaved, as many
// packets are kept as there were.
func TestDeduperCountsAnyInterleaving(t *testing.T) {
	p := decoded(t, ipv6(50, make([]byte, 24)))
	for seed := range uint64(200) {
		rnd, d := rand.New(rand.NewPCG(seed, 1)), new(deduper)
		const packets = 20
		left, kept := map[int]int{1: packets, 2: packets, 3: packets}, 0
		for range 3 * packets {
			index := 1 + rnd.IntN(3)
			for left[index] == 0 {
				index = index%3 + 1
			}
			left[index]--
			if !d.isCopy(group, index, analyze.DirIn, 1e18, p) {
				kept++
			}
		}
		if kept != packets {
			t.Fatalf("seed %d: %d packets kept, want %d", seed, kept, packets)
		}
	}
}

// A flood pushes packets out of the table, never the other way round: no
// genuine packet is lost to it.
func TestDeduperBounded(t *testing.T) {
	d := new(deduper)
	payload := make([]byte, 24)
	p := decoded(t, ipv6(50, payload))
	n := testing.AllocsPerRun(5*dedupSets*dedupWays, func() {
		p.Upper[0], p.Upper[1], p.Upper[2] = payload[0], payload[1], payload[2]
		if d.isCopy(group, 1, analyze.DirIn, 1e18, p) {
			t.Fatal("a packet that was not seen before is taken for a copy")
		}
		if payload[0]++; payload[0] == 0 {
			if payload[1]++; payload[1] == 0 {
				payload[2]++
			}
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for each packet", n)
	}
}

func TestDeviceGroups(t *testing.T) {
	links := []analyze.Link{
		{Index: 1, Name: "lo"},
		{Index: 2, Name: "eth0", Master: 4},
		{Index: 3, Name: "eth1", Master: 4},
		{Index: 4, Name: "bond0", Kind: "bond", Master: 6},
		{Index: 5, Name: "bond0.5", Kind: "vlan", Parent: 4},
		{Index: 6, Name: "br0", Kind: "bridge"},
		{Index: 7, Name: "eth2"},
		{Index: 8, Name: "veth0", Kind: "veth", Parent: 7},
		{Index: 9, Name: "veth1", Kind: "veth", Parent: 8, Master: 10},
		{Index: 10, Name: "br1", Kind: "bridge"},
		{Index: 11, Name: "wlan0.7", Kind: "vlan", Parent: 99},
	}
	g := newDeviceGroups(links)
	for _, together := range [][]int{{2, 3, 4, 5, 6}, {9, 10}, {11, 99}} {
		for _, index := range together {
			if got := g.of(index); got == 0 || got != g.of(together[0]) {
				t.Errorf("group of %d is %d, of %d %d; want the same", index, got, together[0], g.of(together[0]))
			}
		}
	}
	for _, alone := range []int{0, 1, 7, 8, 1000} {
		if got := g.of(alone); got != 0 {
			t.Errorf("group of %d is %d, want none", alone, got)
		}
	}
	if g.of(2) == g.of(9) || g.of(9) == g.of(11) {
		t.Errorf("unrelated devices share a group: %v", fmt.Sprint(g))
	}
}

// decoded decodes a bare IP packet.
func decoded(t *testing.T, packet []byte) *analyze.Packet {
	t.Helper()
	p := new(analyze.Packet)
	if err := p.Decode(analyze.LinkRaw, packet); err != nil {
		t.Fatal(err)
	}
	return p
}

// espPacket is an ESP packet with a kilobyte of payload.
func espPacket(spi uint32, seq byte) []byte {
	b := []byte{byte(spi >> 24), byte(spi >> 16), byte(spi >> 8), byte(spi), 0, 0, 0, seq}
	return append(b, make([]byte, 1000)...)
}
