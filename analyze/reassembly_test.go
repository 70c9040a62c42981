package analyze

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/fixtures/bounds"
)

// cut is one fragment of a datagram.
type cut struct {
	offset, end int
	more        bool
}

// datagramOf numbers its bytes, so that a wrong join shows.
func datagramOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i / 8)
	}
	return b
}

func feed(r *reassembler, id uint32, at time.Duration, data []byte, c cut) []byte {
	p := &Packet{Fragment: true, FragID: id, FragOffset: c.offset, FragMore: c.more}
	k := fragmentKey{src: glass, dst: teapot, id: id, proto: spd.ProtoUDP}
	whole, _ := r.add(k, at, p, data[c.offset:c.end])
	return whole
}

func TestReassemblyJoinsFragmentsInAnyOrder(t *testing.T) {
	data := datagramOf(100)
	first, second, last := cut{0, 40, true}, cut{40, 80, true}, cut{80, 100, false}
	tests := []struct {
		name  string
		cuts  []cut
		whole bool
	}{
		{"in order", []cut{first, second, last}, true},
		{"reversed", []cut{last, second, first}, true},
		{"the middle last", []cut{last, first, second}, true},
		{"one sent twice", []cut{first, first, second, last}, true},
		{"the last sent twice", []cut{last, last, first, second}, true},
		{"in one piece", []cut{{0, 100, false}}, true},
		{"one missing", []cut{first, last}, false},
		{"the last missing", []cut{first, second}, false},
		{"the first missing", []cut{second, last}, false},
		{"overlapping", []cut{first, {32, 80, true}, last}, false},
		{"overlapping from before", []cut{second, {0, 48, true}, last}, false},
		{"one inside another", []cut{first, {8, 16, true}, second, last}, false},
		{"two ends", []cut{{80, 96, false}, last, first, second}, false},
		{"a piece behind the end", []cut{{8, 40, false}, {80, 96, true}, {0, 8, true}}, false},
		{"an end before a piece that is there, of the right sum", []cut{{80, 96, true}, {16, 32, false}}, false},
		{"an empty one that promises more", []cut{{0, 0, true}, {0, 100, false}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r reassembler
			var got []byte
			for _, c := range tt.cuts {
				if b := feed(&r, 1, 0, data, c); b != nil {
					got = b
				}
			}
			if (got != nil) != tt.whole {
				t.Fatalf("whole = %t, want %t", got != nil, tt.whole)
			}
			if tt.whole && !bytes.Equal(got, data) {
				t.Errorf("joined wrongly: %x", got)
			}
			if tt.whole && len(r.open) != 0 {
				t.Errorf("%d contexts are left open", len(r.open))
			}
		})
	}
}

func TestReassemblyKeepsDatagramsApart(t *testing.T) {
	data := datagramOf(80)
	var r reassembler
	feed(&r, 1, 0, data, cut{0, 40, true})
	if b := feed(&r, 2, 0, data, cut{40, 80, false}); b != nil {
		t.Fatal("fragments with different identifications were joined")
	}
	if b := feed(&r, 1, 0, data, cut{40, 80, false}); !bytes.Equal(b, data) {
		t.Fatal("the other datagram's fragment spoiled this one")
	}
}

func TestReassemblyIsBounded(t *testing.T) {
	t.Run("in the size of a datagram", func(t *testing.T) {
		var r reassembler
		p := &Packet{Fragment: true, FragOffset: 65528, FragMore: false}
		if whole, _ := r.add(fragmentKey{}, 0, p, make([]byte, 8)); whole != nil || len(r.open) != 0 {
			t.Error("a datagram above 65535 bytes was taken")
		}
	})
	t.Run("in the number of fragments", func(t *testing.T) {
		var r reassembler
		data := datagramOf(8 * (maxFragments + 2))
		for i := range maxFragments + 1 {
			feed(&r, 1, 0, data, cut{8 * i, 8*i + 8, true})
		}
		if len(r.open) != 0 {
			t.Error("a datagram in more than 64 fragments is still open")
		}
	})
	t.Run("in the number of datagrams, the oldest first", func(t *testing.T) {
		var r reassembler
		data := datagramOf(80)
		for id := range uint32(maxReassemblies + 1) {
			feed(&r, id, 0, data, cut{0, 40, true})
		}
		if len(r.open) != maxReassemblies || len(r.order) != maxReassemblies {
			t.Fatalf("%d open, %d in order; want %d", len(r.open), len(r.order), maxReassemblies)
		}
		if feed(&r, 1, 0, data, cut{40, 80, false}) == nil {
			t.Error("the second oldest was forgotten")
		}
		if feed(&r, 0, 0, data, cut{40, 80, false}) != nil {
			t.Error("the oldest was kept")
		}
	})
	t.Run("in time", func(t *testing.T) {
		var r reassembler
		data := datagramOf(80)
		feed(&r, 1, 0, data, cut{0, 40, true})
		feed(&r, 2, time.Second, data, cut{0, 40, true})
		if feed(&r, 1, reassemblyTime+time.Second, data, cut{40, 80, false}) != nil {
			t.Error("a datagram was joined after more than 60 s")
		}
		if feed(&r, 2, reassemblyTime+time.Second, data, cut{40, 80, false}) == nil {
			t.Error("a datagram was given up within 60 s")
		}
	})
}

// ikeMessage builds a message with one opaque payload of that size.
func ikeMessage(spi uint64, exchange ike.ExchangeType, flags uint8, id uint32, size int) []byte {
	b := cat(u32(uint32(spi>>32)), u32(uint32(spi)), u32(0), u32(0))
	b = append(b, byte(ike.PayloadNonce), 0x20, byte(exchange), flags)
	b = cat(b, u32(id), u32(uint32(28+4+size)))
	return cat(b, []byte{0, 0}, u16(4+size), make([]byte, size))
}

func TestAFragmentedIKEMessageIsOneSighting(t *testing.T) {
	message := ikeMessage(0xa1, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 2900)
	datagram := udp(500, 500, message)
	v4 := func(offset, end, more int) []byte {
		return etherIP(ip4(glass4, teapot4, spd.ProtoUDP, 9, more<<13|offset/8, nil, datagram[offset:end]))
	}
	v6 := func(offset, end, more int) []byte {
		return etherIP(ip6(glass, teapot, protoFragment, fragment(spd.ProtoUDP, offset, more == 1, 9, datagram[offset:end])))
	}
	for name, piece := range map[string]func(int, int, int) []byte{"IPv4": v4, "IPv6": v6} {
		frames := [][]byte{piece(0, 1480, 1), piece(1480, 2400, 1), piece(2400, len(datagram), 0)}
		for range 2 {
			t.Run(name, func(t *testing.T) {
				s := newStream(t)
				for _, f := range frames {
					s.frame(f)
				}
				v := s.onlyView()
				if len(v.IKE) != 1 {
					t.Fatalf("%d IKE SAs, want 1", len(v.IKE))
				}
				sp := v.IKE[0].FromInitiator
				if sp.Messages != 1 || sp.Sent != 1 || sp.Exchange != ike.ExchangeIKESAInit {
					t.Errorf("%d messages, sent %d, exchange %s", sp.Messages, sp.Sent, sp.Exchange)
				}
			})
			slices.Reverse(frames)
		}
	}
}

func TestACutFirstFragmentIsReadAsFarAsItGoes(t *testing.T) {
	datagram := udp(500, 500, ikeMessage(0xa1, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 2900))
	frame := etherIP(ip4(glass4, teapot4, spd.ProtoUDP, 9, 0x2000, nil, datagram[:1480]))
	s := newStream(t)
	s.frame(frame[:96])
	if v := s.onlyView(); len(v.IKE) != 1 || v.IKE[0].FromInitiator.Exchange != ike.ExchangeIKESAInit {
		t.Errorf("the IKE header in a cut fragment was not read: %+v", v.IKE)
	}
}

func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 5, 1, 5, 5, 1, 10, 5, 0})
	f.Add([]byte{25, 6, 1, 0, 6, 0})
	f.Fuzz(bounds.Each(func(t *testing.T, script []byte) {
		defer bounds.Hold(t, len(script), bounds.Memory{Fixed: 4 << 20, PerByte: 32 << 10})()
		var r reassembler
		var at time.Duration
		for len(script) >= 3 {
			offset, size, more := int(script[0])*8, int(script[1]), script[2]&1 != 0
			id, step := uint32(script[2]>>1)&3, time.Duration(script[2]>>3)*time.Second
			script, at = script[3:], at+step
			data := slices.Repeat([]byte{byte(offset / 8)}, size)
			k := fragmentKey{id: id}
			whole, _ := r.add(k, at, &Packet{Fragment: true, FragID: id, FragOffset: offset, FragMore: more}, data)
			if len(r.open) != len(r.order) || len(r.open) > maxReassemblies {
				t.Fatalf("%d open, %d in order", len(r.open), len(r.order))
			}
			if whole != nil && r.open[k] != nil {
				t.Fatal("a datagram was handed on and kept")
			}
			if err := plausible(whole); err != nil {
				t.Fatal(err)
			}
		}
	}))
}

// plausible checks that every piece of a joined datagram begins where it says.
func plausible(whole []byte) error {
	for i := 0; i < len(whole); i += 8 {
		if int(whole[i]) > i/8 {
			return fmt.Errorf("byte %d comes from offset %d", i, int(whole[i])*8)
		}
	}
	return nil
}
