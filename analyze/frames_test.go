package analyze

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ipsecdiag/analyze/spd"
)

// The addresses of the tests: two hosts on one link.
var (
	glass   = netip.MustParseAddr("fd00::1")
	teapot  = netip.MustParseAddr("fd00::2")
	glass4  = netip.MustParseAddr("192.0.2.1")
	teapot4 = netip.MustParseAddr("192.0.2.2")
	glassLL = netip.MustParseAddr("fe80::1")
	allNode = netip.MustParseAddr("ff02::1")

	glassMAC  = HardwareAddr{2, 0, 0, 0, 0, 1}
	teapotMAC = HardwareAddr{2, 0, 0, 0, 0, 2}
)

func u16(v int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// ether puts an Ethernet header before an IP packet or an ARP body.
func ether(typ int, payload []byte) []byte {
	return cat(teapotMAC[:], glassMAC[:], u16(typ), payload)
}

// etherIP picks the EtherType by the packet's version.
func etherIP(ip []byte) []byte {
	if ip[0]>>4 == 4 {
		return ether(etherTypeIPv4, ip)
	}
	return ether(etherTypeIPv6, ip)
}

// ip4 builds an IPv4 packet; flags holds the field of flags and fragment offset.
func ip4(src, dst netip.Addr, proto uint8, id, flags int, options, payload []byte) []byte {
	b := []byte{byte(0x40 | (20+len(options))/4), 0}
	b = append(b, u16(20+len(options)+len(payload))...)
	b = append(b, u16(id)...)
	b = append(b, u16(flags)...)
	b = append(b, 64, proto, 0, 0)
	return cat(b, src.AsSlice(), dst.AsSlice(), options, payload)
}

// ip6 builds an IPv6 packet with hop limit 255.
func ip6(src, dst netip.Addr, next uint8, payload []byte) []byte {
	b := append([]byte{0x60, 0, 0, 0}, u16(len(payload))...)
	return cat(append(b, next, 255), src.WithZone("").AsSlice(), dst.WithZone("").AsSlice(), payload)
}

// ipFor builds a packet of the addresses' family.
func ipFor(src, dst netip.Addr, proto uint8, payload []byte) []byte {
	if src.Is4() {
		return ip4(src, dst, proto, 1, 0, nil, payload)
	}
	return ip6(src, dst, proto, payload)
}

func udp(sport, dport int, payload []byte) []byte {
	return cat(u16(sport), u16(dport), u16(8+len(payload)), u16(0), payload)
}

func esp(spi, seq uint32) []byte { return cat(u32(spi), u32(seq), make([]byte, 64)) }

// ah builds an authentication header with a 96-bit ICV before an upper layer.
func ah(next uint8, spi, seq uint32, payload []byte) []byte {
	return cat([]byte{next, 4, 0, 0}, u32(spi), u32(seq), make([]byte, 12), payload)
}

// ext builds an IPv6 extension header of 8 bytes.
func ext(next uint8, payload []byte) []byte {
	return cat([]byte{next, 0, 1, 4, 0, 0, 0, 0}, payload)
}

// fragment builds an IPv6 fragment header.
func fragment(next uint8, offset int, more bool, id uint32, payload []byte) []byte {
	field := offset
	if more {
		field |= 1
	}
	return cat([]byte{next, 0}, u16(field), u32(id), payload)
}

// serialize builds a frame with gopacket, lengths and checksums included.
func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, ls...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.Bytes())
}

func ethernet(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: glassMAC[:], DstMAC: teapotMAC[:], EthernetType: typ}
}

func ipv6(src, dst netip.Addr) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6,
		SrcIP: src.WithZone("").AsSlice(), DstIP: dst.WithZone("").AsSlice(),
	}
}

func icmp6(ip *layers.IPv6, typ uint8) *layers.ICMPv6 {
	m := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := m.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return m
}

// solicitation builds a neighbour solicitation as an Ethernet frame.
func solicitation(t testing.TB, src, dst, target netip.Addr) []byte {
	t.Helper()
	ip := ipv6(src, dst)
	return serialize(t, ethernet(layers.EthernetTypeIPv6), ip, icmp6(ip, spd.NeighborSolicitation),
		&layers.ICMPv6NeighborSolicitation{TargetAddress: target.WithZone("").AsSlice()})
}

// advertisement builds a neighbour advertisement with that hop limit.
func advertisement(t testing.TB, src, dst, target netip.Addr, hops uint8) []byte {
	t.Helper()
	ip := ipv6(src, dst)
	ip.HopLimit = hops
	return serialize(t, ethernet(layers.EthernetTypeIPv6), ip, icmp6(ip, spd.NeighborAdvertisement),
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: target.WithZone("").AsSlice()})
}

// arp builds an ARP message to a MAC address.
func arp(t testing.TB, op uint16, to HardwareAddr, from, about netip.Addr) []byte {
	t.Helper()
	return serialize(t,
		&layers.Ethernet{SrcMAC: glassMAC[:], DstMAC: to[:], EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, Operation: op,
			SourceHwAddress: glassMAC[:], SourceProtAddress: from.AsSlice(),
			DstHwAddress: make(net.HardwareAddr, 6), DstProtAddress: about.AsSlice(),
		})
}
