package analyze

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/fixtures/bounds"
)

func TestDecodeReadsEveryLinkType(t *testing.T) {
	v4 := ipFor(glass4, teapot4, spd.ProtoESP, esp(0x1234, 7))
	v6 := ipFor(glass, teapot, spd.ProtoESP, esp(0x1234, 7))
	sll := func(typ int, ip []byte) []byte {
		return cat(u16(0), u16(1), u16(6), glassMAC[:], u16(0), u16(typ), ip)
	}
	sll2 := func(typ int, ip []byte) []byte {
		return cat(u16(typ), u16(0), u32(3), u16(1), []byte{0, 6}, glassMAC[:], u16(0), ip)
	}
	le := func(family uint32, ip []byte) []byte { return cat(binary.LittleEndian.AppendUint32(nil, family), ip) }
	tests := []struct {
		name string
		link LinkType
		data []byte
		mac  HardwareAddr
	}{
		{"Ethernet, IPv4", LinkEthernet, etherIP(v4), glassMAC},
		{"Ethernet, IPv6", LinkEthernet, etherIP(v6), glassMAC},
		{"802.1Q", LinkEthernet, ether(etherTypeVLAN, cat(u16(42), u16(etherTypeIPv4), v4)), glassMAC},
		{"802.1ad around 802.1Q", LinkEthernet,
			ether(etherTypeQinQ, cat(u16(42), u16(etherTypeVLAN), u16(43), u16(etherTypeIPv6), v6)), glassMAC},
		{"802.1Q twice under the old type", LinkEthernet,
			ether(etherTypeOldQ, cat(u16(42), u16(etherTypeOldQ), u16(43), u16(etherTypeIPv4), v4)), glassMAC},
		{"cooked v1", LinkSLL, sll(etherTypeIPv4, v4), glassMAC},
		{"cooked v1, tagged", LinkSLL, sll(etherTypeVLAN, cat(u16(42), u16(etherTypeIPv6), v6)), glassMAC},
		{"cooked v1 without a link-layer address", LinkSLL, cat(u16(0), u16(65534), u16(0), make([]byte, 8), u16(etherTypeIPv4), v4), HardwareAddr{}},
		{"cooked v2", LinkSLL2, sll2(etherTypeIPv6, v6), glassMAC},
		{"cooked v2, tagged", LinkSLL2, sll2(etherTypeVLAN, cat(u16(42), u16(etherTypeIPv4), v4)), glassMAC},
		{"raw, IPv4", LinkRaw, v4, HardwareAddr{}},
		{"raw, IPv6", LinkRaw, v6, HardwareAddr{}},
		{"raw of BSD", LinkRawBSD, v4, HardwareAddr{}},
		{"raw of OpenBSD", LinkRawOBSD, v6, HardwareAddr{}},
		{"raw IPv4", LinkIPv4, v4, HardwareAddr{}},
		{"raw IPv6", LinkIPv6, v6, HardwareAddr{}},
		{"null, little endian, IPv4", LinkNull, le(2, v4), HardwareAddr{}},
		{"null, big endian, IPv4", LinkNull, cat(u32(2), v4), HardwareAddr{}},
		{"null, little endian, macOS", LinkNull, le(30, v6), HardwareAddr{}},
		{"null, big endian, NetBSD", LinkNull, cat(u32(24), v6), HardwareAddr{}},
		{"null, little endian, FreeBSD", LinkNull, le(28, v6), HardwareAddr{}},
		{"null, little endian, Linux", LinkNull, le(10, v6), HardwareAddr{}},
		{"null, little endian, Windows", LinkNull, le(23, v6), HardwareAddr{}},
		{"loop", LinkLoop, cat(u32(24), v6), HardwareAddr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(tt.link, tt.data); err != nil {
				t.Fatal(err)
			}
			key, seq, ok := p.Flow()
			if !ok || key.SPI != 0x1234 || seq != 7 {
				t.Errorf("Flow() = %+v, %d, %t; want SPI 0x1234, sequence 7", key, seq, ok)
			}
			want := FlowKey{Src: glass4, Dst: teapot4, Proto: spd.ProtoESP, SPI: 0x1234}
			if key.Src.Is6() {
				want.Src, want.Dst = glass, teapot
			}
			if key != want {
				t.Errorf("key = %+v, want %+v", key, want)
			}
			if p.EtherSrc != tt.mac {
				t.Errorf("EtherSrc = %x, want %x", p.EtherSrc, tt.mac)
			}
			if p.Cut {
				t.Error("Cut is set on a whole frame")
			}
		})
	}
}

func TestDecodeRefusesWhatIsNotIP(t *testing.T) {
	v4 := ipFor(glass4, teapot4, spd.ProtoESP, esp(1, 1))
	tags := cat(u16(1), u16(etherTypeVLAN))
	badVersion := slices.Clone(v4)
	badVersion[0] = 0x55
	shortIHL := slices.Clone(v4)
	shortIHL[0] = 0x44
	lying := slices.Clone(v4)
	binary.BigEndian.PutUint16(lying[2:], 19)
	tests := []struct {
		name string
		link LinkType
		data []byte
		want error
	}{
		{"LLDP", LinkEthernet, ether(0x88cc, make([]byte, 40)), ErrNotIP},
		{"an 802.3 length", LinkEthernet, ether(64, make([]byte, 64)), ErrNotIP},
		{"five tags", LinkEthernet, ether(etherTypeVLAN, cat(tags, tags, tags, tags, u16(1), u16(etherTypeIPv4), v4)), ErrNotIP},
		{"raw of no version", LinkRaw, badVersion, ErrNotIP},
		{"IPv4 of no version", LinkEthernet, ether(etherTypeIPv4, badVersion), ErrMalformed},
		{"IPv6 of another version", LinkEthernet, ether(etherTypeIPv6, cat(v4, make([]byte, 40))), ErrMalformed},
		{"IPv4 header of 16 bytes", LinkRaw, shortIHL, ErrMalformed},
		{"IPv4 shorter than its header", LinkRaw, lying, ErrMalformed},
		{"loop in the wrong byte order", LinkLoop, cat(binary.LittleEndian.AppendUint32(nil, 2), v4), ErrNotIP},
		{"null with an unknown family", LinkNull, cat(u32(99), v4), ErrNotIP},
		{"802.11", LinkType(105), v4, ErrLinkType},
		{"a link type of 16 bits whose low byte is known", LinkType(257), v4, ErrLinkType},
		{"nothing at all", LinkRaw, nil, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(tt.link, tt.data); !errors.Is(err, tt.want) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDecodeKnowsARP(t *testing.T) {
	var p Packet
	if err := p.Decode(LinkEthernet, arp(t, 1, broadcast, glass4, teapot4)); err != nil {
		t.Fatal(err)
	}
	if !p.IsARP() || !p.Interesting() {
		t.Errorf("IsARP = %t, Interesting = %t; want both", p.IsARP(), p.Interesting())
	}
	if p.EtherDst != broadcast || len(p.Payload) < 28 {
		t.Errorf("EtherDst = %x with %d bytes of body, want broadcast and 28", p.EtherDst, len(p.Payload))
	}
}

func TestDecodeSkipsIPv4Options(t *testing.T) {
	var p Packet
	options := []byte{0x94, 4, 0, 0, 1, 1, 1, 0} // router alert, padding
	b := ip4(glass4, teapot4, spd.ProtoUDP, 1, 0, options, udp(500, 500, make([]byte, 28)))
	if err := p.Decode(LinkRaw, b); err != nil {
		t.Fatal(err)
	}
	if p.SrcPort != 500 || p.DstPort != 500 || len(p.Payload) != 28 {
		t.Errorf("ports %d → %d with %d bytes, want 500 → 500 with 28", p.SrcPort, p.DstPort, len(p.Payload))
	}
}

func TestDecodeWalksIPv6ExtensionHeaders(t *testing.T) {
	const icmp = spd.ProtoICMPv6
	message := []byte{spd.NeighborSolicitation, 0, 0, 0}
	tests := []struct {
		name  string
		first uint8
		rest  []byte
		proto uint8
		upper int
		err   error
	}{
		{"none", icmp, message, icmp, 4, nil},
		{"hop-by-hop", 0, ext(icmp, message), icmp, 4, nil},
		{"hop-by-hop, destination options, routing", 0, ext(spd.ProtoDstOpts, ext(spd.ProtoRouting, ext(icmp, message))), icmp, 4, nil},
		{"a header of 16 bytes", 0, cat([]byte{icmp, 1}, make([]byte, 14), message), icmp, 4, nil},
		{"mobility, HIP, shim6", protoMobility, ext(protoHIP, ext(protoShim6, ext(icmp, message))), icmp, 4, nil},
		{"AH ends the chain", spd.ProtoAH, ah(icmp, 1, 1, message), spd.ProtoAH, 28, nil},
		{"options before AH", spd.ProtoDstOpts, ext(spd.ProtoAH, ah(icmp, 1, 1, message)), spd.ProtoAH, 28, nil},
		{"ESP ends the chain", 0, ext(spd.ProtoESP, esp(1, 1)), spd.ProtoESP, 72, nil},
		{"a later fragment's bytes are no header", protoFragment, fragment(spd.ProtoDstOpts, 1448, true, 1, ext(icmp, message)), spd.ProtoDstOpts, 12, nil},
		{"no next header", protoNone, nil, protoNone, 0, nil},
		{"no next header with something behind", 0, ext(protoNone, message), protoNone, 4, nil},
		{"a header longer than the packet", 0, []byte{icmp, 9, 0, 0, 0, 0, 0, 0}, 0, 0, ErrShort},
		{"nothing behind the last header", 0, ext(0, nil), 0, 0, ErrShort},
		{"a chain without end", 0, slices.Repeat(ext(0, nil), 40), 0, 0, ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			err := p.Decode(LinkRaw, ip6(glass, teapot, tt.first, tt.rest))
			if !errors.Is(err, tt.err) {
				t.Fatalf("err = %v, want %v", err, tt.err)
			}
			if err == nil && (p.Proto != tt.proto || len(p.Upper) != tt.upper) {
				t.Errorf("proto %d with %d bytes, want %d with %d", p.Proto, len(p.Upper), tt.proto, tt.upper)
			}
			if p.Src != glass || p.Dst != teapot || p.HopLimit != 255 {
				t.Errorf("addresses %s → %s, hop limit %d", p.Src, p.Dst, p.HopLimit)
			}
		})
	}
}

func TestDecodeTellsFragments(t *testing.T) {
	whole := udp(500, 500, make([]byte, 40))
	frag6 := func(offset int, more bool) []byte {
		return ip6(glass, teapot, protoFragment, fragment(spd.ProtoUDP, offset, more, 77, whole))
	}
	frag4 := func(flags int) []byte { return ip4(glass4, teapot4, spd.ProtoUDP, 77, flags, nil, whole) }
	tests := []struct {
		name     string
		data     []byte
		fragment bool
		offset   int
		more     bool
		sport    uint16 // 0: no header to read
		payload  int
	}{
		{"IPv4, whole", frag4(0), false, 0, false, 500, 40},
		{"IPv4, don't fragment", frag4(0x4000), false, 0, false, 500, 40},
		{"IPv4, first", frag4(0x2000), true, 0, true, 500, 40},
		{"IPv4, middle", frag4(0x2000 | 185), true, 1480, true, 0, 48},
		{"IPv4, last", frag4(370), true, 2960, false, 0, 48},
		{"IPv6, first", frag6(0, true), true, 0, true, 500, 40},
		{"IPv6, middle", frag6(1448, true), true, 1448, true, 0, 48},
		{"IPv6, last", frag6(2896, false), true, 2896, false, 0, 48},
		{"IPv6, atomic", frag6(0, false), true, 0, false, 500, 40},
		{"IPv6, behind options",
			ip6(glass, teapot, 0, ext(protoFragment, fragment(spd.ProtoUDP, 1448, true, 77, whole))), true, 1448, true, 0, 48},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(LinkRaw, tt.data); err != nil {
				t.Fatal(err)
			}
			if p.Proto != spd.ProtoUDP || p.Fragment != tt.fragment || p.FragOffset != tt.offset || p.FragMore != tt.more {
				t.Errorf("proto %d, fragment %t, offset %d, more %t", p.Proto, p.Fragment, p.FragOffset, p.FragMore)
			}
			if p.SrcPort != tt.sport || len(p.Payload) != tt.payload || len(p.Upper) != 48 {
				t.Errorf("source port %d, payload %d, upper %d", p.SrcPort, len(p.Payload), len(p.Upper))
			}
			if p.Fragment && p.FragID != 77 {
				t.Errorf("FragID = %d, want 77", p.FragID)
			}
		})
	}
}

func TestDecodeTrimsPaddingAndNotesCuts(t *testing.T) {
	keepalive := udp(4500, 4500, []byte{0xff})
	padded := etherIP(cat(ipFor(glass4, teapot4, spd.ProtoUDP, keepalive), make([]byte, 17)))
	padded6 := etherIP(cat(ipFor(glass, teapot, spd.ProtoUDP, keepalive), make([]byte, 5)))
	offload := ipFor(glass4, teapot4, spd.ProtoESP, esp(9, 9))
	binary.BigEndian.PutUint16(offload[2:], 0)
	offload6 := ipFor(glass, teapot, spd.ProtoESP, esp(9, 9))
	binary.BigEndian.PutUint16(offload6[4:], 0)
	longUDP := ipFor(glass4, teapot4, spd.ProtoUDP, cat(u16(500), u16(500), u16(2000), u16(0), make([]byte, 28)))
	zeroUDP := ipFor(glass, teapot, spd.ProtoUDP, cat(u16(500), u16(500), u16(0), u16(0), make([]byte, 28)))
	insideUDP := ipFor(glass, teapot, spd.ProtoUDP, cat(u16(500), u16(500), u16(8+28), u16(0), make([]byte, 40)))
	tests := []struct {
		name    string
		data    []byte
		payload int
		cut     bool
	}{
		{"Ethernet padding behind IPv4", padded[14:], 1, false},
		{"Ethernet padding behind IPv6", padded6[14:], 1, false},
		{"Ethernet padding behind ESP", cat(ipFor(glass, teapot, spd.ProtoESP, esp(9, 9)), make([]byte, 18)), 72, false},
		{"IPv4 total length 0 of segmentation offload", offload, 72, false},
		{"IPv6 payload length 0", offload6, 72, false},
		{"UDP length beyond the packet", longUDP, 28, true},
		{"UDP length 0 of a jumbogram", zeroUDP, 28, false},
		{"UDP length short of the packet", insideUDP, 28, false},
		{"snap length inside the payload", ipFor(glass4, teapot4, spd.ProtoESP, esp(9, 9))[:40], 20, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(LinkRaw, tt.data); err != nil {
				t.Fatal(err)
			}
			if len(p.Payload) != tt.payload || p.Cut != tt.cut {
				t.Errorf("payload of %d bytes, cut %t; want %d, %t", len(p.Payload), p.Cut, tt.payload, tt.cut)
			}
		})
	}
	var p Packet
	lie := ipFor(glass4, teapot4, spd.ProtoUDP, cat(u16(500), u16(500), u16(7), u16(0)))
	if err := p.Decode(LinkRaw, lie); !errors.Is(err, ErrMalformed) {
		t.Errorf("UDP length 7: err = %v, want ErrMalformed", err)
	}
}

// TestEveryCutIsToldAndNothingIsInvented cuts frames at every byte: the decoder
// must say that something is missing, and what it does tell must be what it
// tells of the whole frame.
func TestEveryCutIsToldAndNothingIsInvented(t *testing.T) {
	quoting := ipFor(teapot, glass, spd.ProtoICMPv6, cat([]byte{1, 4, 0, 0}, u32(0), ipFor(glass, teapot, spd.ProtoESP, esp(3, 4))))
	frames := map[string][]byte{
		"ESP over IPv4 with options": etherIP(ip4(glass4, teapot4, spd.ProtoESP, 1, 0, []byte{1, 1, 1, 0}, esp(0x1234, 7))),
		"ESP behind IPv6 options":    etherIP(ip6(glass, teapot, 0, ext(spd.ProtoESP, esp(0x1234, 7)))),
		"AH":                         etherIP(ipFor(glass4, teapot4, spd.ProtoAH, ah(6, 0x1234, 7, make([]byte, 20)))),
		"ESP in UDP, tagged":         ether(etherTypeVLAN, cat(u16(1), u16(etherTypeIPv4), ipFor(glass4, teapot4, spd.ProtoUDP, udp(4500, 4500, esp(0x1234, 7))))),
		"IKE":                        etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(500, 500, make([]byte, 28)))),
		"solicitation":               solicitation(t, glass, SolicitedNode(teapot), teapot),
		"ICMPv6 error":               etherIP(quoting),
		"fragment":                   etherIP(ip6(glass, teapot, protoFragment, fragment(spd.ProtoUDP, 1448, true, 77, make([]byte, 64)))),
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			var whole, p Packet
			if err := whole.Decode(LinkEthernet, frame); err != nil {
				t.Fatal(err)
			}
			key, seq, isFlow := whole.Flow()
			for n := range frame {
				err := p.Decode(LinkEthernet, frame[:n])
				if err != nil && !errors.Is(err, ErrShort) {
					t.Fatalf("%d bytes: %v, want ErrShort", n, err)
				}
				if err == nil && !p.Cut {
					t.Fatalf("%d of %d bytes pass for the whole frame", n, len(frame))
				}
				k, s, ok := p.Flow()
				if ok && err == nil && (!isFlow || k != key || s != seq) {
					t.Fatalf("%d bytes: flow %+v %d, want %+v %d", n, k, s, key, seq)
				}
				p.Interesting()
				p.Quoted()
				p.ICMPv6Type()
			}
		})
	}
}

func TestFlowReadsESPAndAH(t *testing.T) {
	flow := FlowKey{Src: glass4, Dst: teapot4, Proto: spd.ProtoESP, SPI: 0xc0ffee}
	inUDP := flow
	inUDP.SrcPort, inUDP.DstPort = 4500, 4501
	viaAH := flow
	viaAH.Proto = spd.ProtoAH
	raw := func(proto uint8, b []byte) []byte { return ipFor(glass4, teapot4, proto, b) }
	tests := []struct {
		name string
		data []byte
		want FlowKey
		ok   bool
	}{
		{"ESP", raw(spd.ProtoESP, esp(0xc0ffee, 5)), flow, true},
		{"the first fragment of ESP", ip4(glass4, teapot4, spd.ProtoESP, 1, 0x2000, nil, esp(0xc0ffee, 5)), flow, true},
		{"AH", raw(spd.ProtoAH, ah(6, 0xc0ffee, 5, nil)), viaAH, true},
		{"ESP in UDP behind a NAT", raw(spd.ProtoUDP, udp(4500, 4501, esp(0xc0ffee, 5))), inUDP, true},
		{"a later fragment of ESP", ip4(glass4, teapot4, spd.ProtoESP, 1, 100, nil, esp(0xc0ffee, 5)), FlowKey{}, false},
		{"a later fragment of UDP", ip4(glass4, teapot4, spd.ProtoUDP, 1, 100, nil, esp(0xc0ffee, 5)), FlowKey{}, false},
		{"IKE behind the non-ESP marker", raw(spd.ProtoUDP, udp(4500, 4500, cat(u32(0), make([]byte, 28)))), FlowKey{}, false},
		{"a NAT keepalive", raw(spd.ProtoUDP, udp(4500, 4500, []byte{0xff})), FlowKey{}, false},
		{"an empty datagram", raw(spd.ProtoUDP, udp(4500, 4500, nil)), FlowKey{}, false},
		{"IKE from port 500 to 4500 without the marker", raw(spd.ProtoUDP, udp(500, 4500, cat(u32(1), make([]byte, 24)))), FlowKey{}, false},
		{"UDP on another port", raw(spd.ProtoUDP, udp(4501, 4501, esp(0xc0ffee, 5))), FlowKey{}, false},
		{"ESP of 7 bytes", raw(spd.ProtoESP, make([]byte, 7)), FlowKey{}, false},
		{"AH of 11 bytes", raw(spd.ProtoAH, make([]byte, 11)), FlowKey{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(LinkRaw, tt.data); err != nil {
				t.Fatal(err)
			}
			key, seq, ok := p.Flow()
			if ok != tt.ok || key != tt.want || (ok && seq != 5) {
				t.Errorf("Flow() = %+v, %d, %t; want %+v, 5, %t", key, seq, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestInterestingPicksTheControlTraffic(t *testing.T) {
	v4 := func(proto uint8, b []byte) []byte { return ipFor(glass4, teapot4, proto, b) }
	v6 := func(proto uint8, b []byte) []byte { return ipFor(glass, teapot, proto, b) }
	tcp := make([]byte, 20)
	icmp := func(typ uint8, quoted []byte) []byte {
		return v4(spd.ProtoICMP, cat([]byte{typ, 1, 0, 0}, u32(0), quoted))
	}
	icmp6 := func(typ uint8, quoted []byte) []byte {
		return v6(spd.ProtoICMPv6, cat([]byte{typ, 0, 0, 0}, u32(1280), quoted))
	}
	nd := cat([]byte{spd.NeighborSolicitation, 0, 0, 0}, u32(0), teapot.AsSlice())
	tests := []struct {
		name string
		data []byte
		want bool
	}{
		{"IKE", v4(spd.ProtoUDP, udp(500, 500, make([]byte, 28))), true},
		{"IKE from behind a NAT", v4(spd.ProtoUDP, udp(1027, 500, make([]byte, 28))), true},
		{"IKE on 4500", v6(spd.ProtoUDP, udp(4500, 4500, make([]byte, 32))), true},
		{"a NAT keepalive", v4(spd.ProtoUDP, udp(4500, 4500, []byte{0xff})), true},
		{"IKE from 500 to 4500 without the marker", v4(spd.ProtoUDP, udp(500, 4500, cat(u32(1), make([]byte, 24)))), true},
		{"a later fragment of UDP", ip4(glass4, teapot4, spd.ProtoUDP, 1, 100, nil, tcp), true},
		{"ESP in UDP", v4(spd.ProtoUDP, udp(4500, 4500, esp(1, 1))), false},
		{"ESP", v4(spd.ProtoESP, esp(1, 1)), false},
		{"AH", v6(spd.ProtoAH, ah(6, 1, 1, tcp)), false},
		{"DNS", v4(spd.ProtoUDP, udp(40000, 53, make([]byte, 28))), false},
		{"TCP port 500", v4(spd.ProtoTCP, cat(u16(500), u16(500), make([]byte, 16))), false},

		{"router solicitation", v6(spd.ProtoICMPv6, []byte{133, 0, 0, 0}), true},
		{"router advertisement", v6(spd.ProtoICMPv6, []byte{134, 0, 0, 0}), true},
		{"neighbour solicitation", v6(spd.ProtoICMPv6, nd), true},
		{"neighbour advertisement", v6(spd.ProtoICMPv6, []byte{136, 0, 0, 0}), true},
		{"redirect", v6(spd.ProtoICMPv6, []byte{137, 0, 0, 0}), true},
		{"solicitation behind hop-by-hop options", ip6(glass, teapot, 0, ext(spd.ProtoICMPv6, nd)), true},
		{"MLD, type 132", v6(spd.ProtoICMPv6, []byte{132, 0, 0, 0}), false},
		{"type 138", v6(spd.ProtoICMPv6, []byte{138, 0, 0, 0}), false},
		{"echo request", v6(spd.ProtoICMPv6, []byte{128, 0, 0, 0}), false},
		{"ICMPv6 without a byte", v6(spd.ProtoICMPv6, nil), false},
		{"ICMPv6 over IPv4", v4(spd.ProtoICMPv6, nd), false},
		{"a later fragment of ICMPv6", ip6(glass, teapot, protoFragment, fragment(spd.ProtoICMPv6, 1448, false, 1, nd)), false},

		{"unreachable about ESP", icmp6(1, v6(spd.ProtoESP, esp(1, 1))), true},
		{"too big about AH", icmp6(2, v6(spd.ProtoAH, ah(6, 1, 1, tcp))), true},
		{"too big about ESP behind options", icmp6(2, ip6(glass, teapot, 0, ext(spd.ProtoESP, esp(1, 1)))), true},
		{"too big about a fragment of ESP", icmp6(2, ip6(glass, teapot, protoFragment, fragment(spd.ProtoESP, 1448, false, 1, tcp))), true},
		{"unreachable about IKE", icmp6(1, v6(spd.ProtoUDP, udp(500, 500, make([]byte, 28)))), true},
		{"unreachable about a solicitation", icmp6(1, v6(spd.ProtoICMPv6, nd)), true},
		{"parameter problem about ESP", icmp6(4, v6(spd.ProtoESP, esp(1, 1))), true},
		{"unreachable about TCP", icmp6(1, v6(spd.ProtoTCP, tcp)), false},
		{"unreachable about an echo", icmp6(1, v6(spd.ProtoICMPv6, []byte{128, 0, 0, 0})), false},
		{"an echo that carries ESP", icmp6(128, v6(spd.ProtoESP, esp(1, 1))), false},
		{"type 5 that carries ESP", icmp6(5, v6(spd.ProtoESP, esp(1, 1))), false},
		{"unreachable that quotes nothing", icmp6(1, nil), false},

		{"IPv4 unreachable about ESP", icmp(3, v4(spd.ProtoESP, esp(1, 1))[:28]), true},
		{"IPv4 unreachable about IKE, cut after 8 bytes", icmp(3, v4(spd.ProtoUDP, udp(500, 500, make([]byte, 28)))[:28]), true},
		{"IPv4 unreachable about IKE in UDP 4500", icmp(3, v4(spd.ProtoUDP, udp(4500, 4500, make([]byte, 28)))[:28]), true},
		{"IPv4 time exceeded about AH", icmp(11, v4(spd.ProtoAH, ah(6, 1, 1, tcp))[:28]), true},
		{"IPv4 parameter problem about ESP", icmp(12, v4(spd.ProtoESP, esp(1, 1))[:28]), true},
		{"IPv4 unreachable about TCP", icmp(3, v4(spd.ProtoTCP, tcp)[:28]), false},
		{"IPv4 unreachable about DNS", icmp(3, v4(spd.ProtoUDP, udp(53, 4000, make([]byte, 28)))[:28]), false},
		{"IPv4 redirect about ESP", icmp(5, v4(spd.ProtoESP, esp(1, 1))[:28]), false},
		{"IPv4 echo", icmp(8, make([]byte, 56)), false},
		{"ICMP without a byte", v4(spd.ProtoICMP, nil), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.Decode(LinkRaw, tt.data); err != nil {
				t.Fatal(err)
			}
			if got := p.Interesting(); got != tt.want {
				t.Errorf("Interesting() = %t, want %t", got, tt.want)
			}
		})
	}
}

// TestDecodeAgreesWithGopacket compares the headers of a frame that gopacket
// made with what went in.
func TestDecodeAgreesWithGopacket(t *testing.T) {
	ip := &layers.IPv4{Version: 4, TTL: 61, Protocol: layers.IPProtocolUDP, SrcIP: glass4.AsSlice(), DstIP: teapot4.AsSlice()}
	u := &layers.UDP{SrcPort: 4500, DstPort: 500}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	eth := ethernet(layers.EthernetTypeDot1Q)
	frame := serialize(t, eth, &layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv4}, ip, u)
	var p Packet
	if err := p.Decode(LinkEthernet, frame); err != nil {
		t.Fatal(err)
	}
	if p.Src != glass4 || p.Dst != teapot4 || p.HopLimit != 61 || p.SrcPort != 4500 || p.DstPort != 500 {
		t.Errorf("decoded %+v", p)
	}
	if p.EtherSrc != glassMAC || p.EtherDst != teapotMAC || p.EtherType != etherTypeIPv4 {
		t.Errorf("link layer %x → %x type %#x", p.EtherSrc, p.EtherDst, p.EtherType)
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	frames := [][]byte{
		etherIP(ipFor(glass4, teapot4, spd.ProtoESP, esp(1, 2))),
		etherIP(ip6(glass, teapot, 0, ext(spd.ProtoAH, ah(6, 1, 2, nil)))),
		etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(4500, 4500, esp(1, 2)))),
		etherIP(ipFor(glass4, teapot4, spd.ProtoTCP, make([]byte, 20))),
		etherIP(ipFor(glass, teapot, spd.ProtoICMPv6, cat([]byte{2, 0, 0, 0}, u32(0), ipFor(glass, teapot, spd.ProtoESP, esp(1, 2))))),
		ether(0x88cc, make([]byte, 40)),
		etherIP(ipFor(glass4, teapot4, spd.ProtoESP, esp(1, 2)))[:30],
	}
	var p Packet
	for i, f := range frames {
		n := testing.AllocsPerRun(100, func() {
			if p.Decode(LinkEthernet, f) == nil {
				p.Flow()
				p.Interesting()
			}
		})
		if n != 0 {
			t.Errorf("frame %d: %v allocations, want none", i, n)
		}
	}
}

// TestForeignCapturesDecodeWithoutPanic feeds the state every frame of captures
// that others made, some malformed on purpose.
func TestForeignCapturesDecodeWithoutPanic(t *testing.T) {
	root := os.Getenv("IPSECDIAG_CAPTURES")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "captures")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no captures of others to try: %v", err)
	}
	files, frames, decoded := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(path), "cap") {
			return err
		}
		n, ok := decodeFile(t, path)
		if n > 0 {
			files++
		}
		frames, decoded = frames+n, decoded+ok
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 || decoded < frames/2 {
		t.Errorf("%d files with %d frames, %d of them decoded: fewer than there are", files, frames, decoded)
	}
}

func decodeFile(t *testing.T, path string) (frames, decoded int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return 0, 0 // pcapng, or no capture at all: the readers' own tests
	}
	s := NewState(Limits{})
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) || err != nil {
			return frames, decoded
		}
		frames++
		link := LinkType(r.LinkType())
		var p Packet
		if p.Decode(link, data) == nil {
			decoded++
			p.Flow()
			p.Interesting()
		}
		h := Header{Time: info.Timestamp, Origin: Origin{Host: filepath.Base(path)}}
		s.Apply(&Frame{Header: h, Link: link, OrigLen: info.Length, Data: slices.Clone(data)})
	}
}

func FuzzPacket(f *testing.F) {
	for _, link := range []LinkType{LinkEthernet, LinkRaw, LinkNull, LinkLoop, LinkSLL, LinkSLL2} {
		f.Add(uint16(link), etherIP(ipFor(glass4, teapot4, spd.ProtoESP, esp(1, 2))))
		f.Add(uint16(link), ip6(glass, teapot, 0, ext(protoFragment, fragment(spd.ProtoUDP, 0, true, 1, udp(500, 500, make([]byte, 28))))))
	}
	f.Add(uint16(LinkEthernet), solicitation(f, glass, SolicitedNode(teapot), teapot))
	f.Add(uint16(LinkEthernet), arp(f, 1, broadcast, glass4, teapot4))
	f.Add(uint16(LinkRaw), ipFor(glass4, teapot4, spd.ProtoICMP, cat([]byte{3, 1, 0, 0}, u32(0), ipFor(glass4, teapot4, spd.ProtoESP, esp(1, 2)))))
	f.Add(uint16(LinkRaw), ipFor(glass, teapot, spd.ProtoAH, ah(spd.ProtoUDP, 1, 2, udp(500, 500, nil))))
	for _, frame := range bounds.Frames(f, "../fixtures") {
		f.Add(uint16(LinkEthernet), frame)
	}
	f.Fuzz(bounds.EachOf(func(t *testing.T, link uint16, data []byte) { checkPacket(t, LinkType(link), data) }))
}

// checkPacket holds what is true of every frame.
func checkPacket(t *testing.T, link LinkType, data []byte) {
	defer bounds.Hold(t, len(data), bounds.Small)()
	var p Packet
	before := slices.Clone(data)
	err := p.Decode(link, data)
	if len(p.Payload) > len(data) || len(p.Upper) > len(data) {
		t.Fatalf("payload of %d and upper layer of %d bytes out of a frame of %d", len(p.Payload), len(p.Upper), len(data))
	}
	if n := len(p.Payload); n > 0 && (p.Offset+n > len(data) || &data[p.Offset] != &p.Payload[0]) {
		t.Fatalf("the payload's %d bytes do not begin at %d of a frame of %d", n, p.Offset, len(data))
	}
	if p.FragOffset < 0 || p.FragOffset > maxDatagram {
		t.Fatalf("fragment offset %d", p.FragOffset)
	}
	if key, _, ok := p.Flow(); ok && err == nil && (!key.Src.IsValid() || !key.Dst.IsValid() || key.Src.Is4() != key.Dst.Is4()) {
		t.Fatalf("flow between %s and %s", key.Src, key.Dst)
	}
	p.Interesting()
	p.Mark()
	p.Quoted()
	NewState(Limits{}).Apply(&Frame{Link: link, OrigLen: len(data), Data: data})
	if !slices.Equal(before, data) {
		t.Fatal("the frame was changed")
	}
}

// FuzzExtensions makes a chain of extension headers (RFC 8200 section 4) out of a
// script, three bytes for each: what it is, how long, and how it begins.
func FuzzExtensions(f *testing.F) {
	f.Add([]byte{0, 1, 2, 43, 0, 0, 44, 0, 1, 60, 3, 9}, uint8(spd.ProtoESP), esp(1, 2))
	f.Add([]byte{44, 0, 0, 44, 0, 8}, uint8(spd.ProtoUDP), udp(500, 500, ikeMessage(0xa1, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 64)))
	f.Add([]byte{60, 0, 0, 135, 1, 0, 139, 0, 0, 140, 2, 0}, uint8(spd.ProtoAH), ah(spd.ProtoICMPv6, 1, 2, nil))
	f.Fuzz(func(t *testing.T, script []byte, upper uint8, data []byte) {
		chain, first := data, upper
		for ; len(script) >= 3 && len(chain) < maxDatagram; script = script[3:] {
			header := make([]byte, 8+int(script[1])*8)
			header[0], header[1], header[2], header[3] = first, script[1], script[2], script[2]<<4
			if script[0] == protoFragment {
				header = header[:8]
			}
			chain, first = cat(header, chain), script[0]
		}
		checkPacket(t, LinkRaw, ip6(glass, teapot, first, chain))
	})
}

func BenchmarkDecodeESP(b *testing.B) {
	frame := etherIP(ipFor(glass, teapot, spd.ProtoESP, cat(esp(0xc0ffee, 1), make([]byte, 1300))))
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var p Packet
	var sum uint32
	for b.Loop() {
		if err := p.Decode(LinkEthernet, frame); err != nil {
			b.Fatal(err)
		}
		_, seq, _ := p.Flow()
		sum += seq
	}
	if sum == 0 || p.Src != netip.MustParseAddr("fd00::1") {
		b.Fatal("nothing was decoded")
	}
}
