package report

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// packet writes the headers of a frame, down to neighbour discovery and ARP.
func (p *page) packet(f *analyze.Frame) {
	var k analyze.Packet
	err := k.Decode(f.Link, f.Data)
	p.heading("The packet")
	if k.EtherSrc != (analyze.HardwareAddr{}) || k.EtherDst != (analyze.HardwareAddr{}) {
		p.field("link layer", fmt.Sprintf("%s → %s, EtherType %#04x", mac(k.EtherSrc[:]), mac(k.EtherDst[:]), k.EtherType))
	}
	p.field("direction", fmt.Sprintf("%s, as the observer saw it; %d bytes on the wire", f.Direction, f.OrigLen))
	if err != nil {
		p.field("damaged", err.Error())
	}
	if k.IsARP() {
		p.arp(k.Payload)
		return
	}
	if k.Src.IsValid() {
		p.field("network layer", fmt.Sprintf("%s → %s, hop limit %d, protocol %s", k.Src, k.Dst, k.HopLimit, spd.ProtocolName(k.Proto)))
	}
	if k.Fragment {
		p.field("fragment", fmt.Sprintf("at byte %d, identification %#x", k.FragOffset, k.FragID))
	}
	if k.Proto == spd.ProtoUDP {
		p.field("UDP", fmt.Sprintf("port %d → port %d", k.SrcPort, k.DstPort))
	}
	if typ, ok := k.ICMPv6Type(); ok {
		p.icmpv6(typ, k.Payload)
	}
}

func mac(b []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":")
}

// icmpv6 writes an ICMPv6 message. Solicitations and advertisements have a
// target and options (RFC 4861 sections 4.3, 4.4 and 4.6).
func (p *page) icmpv6(typ uint8, b []byte) {
	const target, options = 8, 24
	name := map[uint8]string{
		spd.RouterSolicitation: "router solicitation", spd.RouterAdvertisement: "router advertisement",
		spd.NeighborSolicitation: "neighbour solicitation", spd.NeighborAdvertisement: "neighbour advertisement",
	}[typ]
	if len(b) < 2 {
		return
	}
	p.field("ICMPv6", strings.TrimSuffix(fmt.Sprintf("type %d code %d, %s", typ, b[1], name), ", "))
	if (typ != spd.NeighborSolicitation && typ != spd.NeighborAdvertisement) || len(b) < options {
		return
	}
	p.field("target", netip.AddrFrom16([16]byte(b[target:options])).String())
	if typ == spd.NeighborAdvertisement {
		p.field("flags", advertisementFlags(b[4]))
	}
	p.ndOptions(b[options:])
}

// advertisementFlags names the flags of an advertisement (RFC 4861 section 4.4).
func advertisementFlags(b byte) string {
	var names []string
	for i, n := range []string{"router", "solicited", "override"} {
		if b&(0x80>>i) != 0 {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// maxOptions bounds the options that are shown.
const maxOptions = 16

// ndOptions writes the options of neighbour discovery: type, length in units of
// eight bytes, value.
func (p *page) ndOptions(b []byte) {
	for range maxOptions {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return
		}
		value := b[2 : int(b[1])*8]
		switch b[0] {
		case 1:
			p.field("source", "link-layer address "+mac(value))
		case 2:
			p.field("target at", "link-layer address "+mac(value))
		default:
			p.field("option", fmt.Sprintf("type %d, %d bytes", b[0], len(value)))
		}
		b = b[int(b[1])*8:]
	}
}

// arp writes a packet of ARP for IPv4 over Ethernet (RFC 826).
func (p *page) arp(b []byte) {
	if len(b) < 28 || b[4] != 6 || b[5] != 4 {
		return
	}
	operation := binary.BigEndian.Uint16(b[6:])
	name := map[uint16]string{1: "request", 2: "reply"}[operation]
	p.field("ARP", strings.TrimSuffix(fmt.Sprintf("operation %d, %s", operation, name), ", "))
	p.field("sender", netip.AddrFrom4([4]byte(b[14:18])).String()+" at "+mac(b[8:14]))
	p.field("target", netip.AddrFrom4([4]byte(b[24:28])).String()+" at "+mac(b[18:24]))
}
