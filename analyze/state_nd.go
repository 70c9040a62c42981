package analyze

import (
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ipsecdiag/analyze/spd"
)

// applyICMPv6 folds neighbour discovery. RFC 4861 sections 7.1.1 and 7.1.2: a
// hop limit other than 255 has come through a router and is not valid.
func (s *State) applyICMPv6(f *Frame, p *Packet) {
	typ, ok := p.ICMPv6Type()
	if !ok || p.HopLimit != 255 || p.Fragment || len(p.Payload) < 4 {
		return
	}
	body := p.Payload[4:] // type, code, checksum
	switch typ {
	case spd.NeighborSolicitation:
		var ns layers.ICMPv6NeighborSolicitation
		if err := ns.DecodeFromBytes(body, gopacket.NilDecodeFeedback); err == nil {
			s.applyNS(f, p, ns.TargetAddress)
		}
	case spd.NeighborAdvertisement:
		var na layers.ICMPv6NeighborAdvertisement
		if err := na.DecodeFromBytes(body, gopacket.NilDecodeFeedback); err == nil {
			s.applyNA(f, p, na.TargetAddress)
		}
	}
}

func (s *State) applyNS(f *Frame, p *Packet, target []byte) {
	t, ok := netip.AddrFromSlice(target)
	if !ok || p.Src.IsUnspecified() || t.IsMulticast() { // unspecified: duplicate address detection
		return
	}
	asker, t := zoned(p.Src, f.Origin), zoned(t, f.Origin)
	v := s.view(s.Host(f.Origin), asker, t)
	unicast := !p.Dst.IsMulticast()
	if unicast {
		v.sawUnicast(asker, s.Now)
	}
	r := v.resolution(asker, t)
	r.Direction = f.Direction
	r.solicited(s.Now, unicast)
}

// applyNA folds an advertisement. One sent to all nodes answers everybody who
// asks for that target.
func (s *State) applyNA(f *Frame, p *Packet, target []byte) {
	t, ok := netip.AddrFromSlice(target)
	if !ok || t.IsMulticast() {
		return
	}
	t = zoned(t, f.Origin)
	if p.Dst.IsMulticast() {
		return // unsolicited: RFC 4861 section 7.2.6, it updates but does not resolve
	}
	asker := zoned(p.Dst, f.Origin)
	v := s.view(s.Host(f.Origin), asker, t)
	v.sawUnicast(t, s.Now)
	v.resolution(asker, t).answered(s.Now, f.Direction)
}

// ARP operations (RFC 826).
const (
	arpRequest = 1
	arpReply   = 2
)

var broadcast = HardwareAddr{255, 255, 255, 255, 255, 255}

func (s *State) applyARP(f *Frame, p *Packet) {
	var arp layers.ARP
	if err := arp.DecodeFromBytes(p.Payload, gopacket.NilDecodeFeedback); err != nil {
		return
	}
	from, ok1 := netip.AddrFromSlice(arp.SourceProtAddress)
	to, ok2 := netip.AddrFromSlice(arp.DstProtAddress)
	if !ok1 || !ok2 || !from.Is4() || !to.Is4() || from.IsUnspecified() || from == to {
		return // a probe or an announcement (RFC 5227)
	}
	v := s.view(s.Host(f.Origin), from, to)
	switch arp.Operation {
	case arpRequest:
		r := v.resolution(from, to)
		r.ARP, r.Direction = true, f.Direction
		r.solicited(s.Now, p.EtherDst != HardwareAddr{} && p.EtherDst != broadcast)
	case arpReply:
		r := v.resolution(to, from)
		r.ARP = true
		r.answered(s.Now, f.Direction)
	}
}
