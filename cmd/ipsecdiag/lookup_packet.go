package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"ipsecdiag/analyze/spd"
)

// lookupPacket is the packet of a lookup as the command line tells it.
type lookupPacket struct {
	proto, typ   string
	code         uint8
	sport, dport uint16
	mark, ifID   string
	given        func(flag string) bool
}

func (p *lookupPacket) flags(f *pflag.FlagSet) {
	f.StringVar(&p.proto, "proto", "", "`PROTOCOL`: icmpv6, icmp, tcp, udp ... or a number; none: one that no policy names")
	f.StringVar(&p.typ, "type", "", "`TYPE` of ICMP or ICMPv6: a number, or ns, na, rs, ra, redirect, echo, reply")
	f.Uint8Var(&p.code, "code", 0, "`CODE` of ICMP or ICMPv6")
	f.Uint16Var(&p.sport, "sport", 0, "source `PORT`")
	f.Uint16Var(&p.dport, "dport", 0, "destination `PORT`")
	f.StringVar(&p.mark, "mark", "", "firewall `MARK` of the packet")
	f.StringVar(&p.ifID, "if-id", "", "if_id (`ID`) of the xfrm interface it goes through")
}

// flow returns the packet, without its devices.
func (p *lookupPacket) flow(src, dst string) (f spd.Flow, err error) {
	if f.Src, f.Dst, err = addressPair(src, dst); err != nil {
		return f, err
	}
	if f.Proto, err = p.protocol(f.Dst.Is4()); err != nil {
		return f, err
	}
	if f.Mark, err = number32("mark", p.mark); err != nil {
		return f, err
	}
	if f.IfID, err = number32("if-id", p.ifID); err != nil {
		return f, err
	}
	return f, p.ports(&f)
}

func addressPair(src, dst string) (a, b netip.Addr, err error) {
	if a, err = netip.ParseAddr(src); err != nil {
		return a, b, fmt.Errorf("%q is no IP address", src)
	}
	if b, err = netip.ParseAddr(dst); err != nil {
		return a, b, fmt.Errorf("%q is no IP address", dst)
	}
	a, b = a.Unmap(), b.Unmap()
	if a.Is4() != b.Is4() {
		return a, b, fmt.Errorf("%s and %s are not of one address family", a, b)
	}
	return a, b, nil
}

// protocols are names beside those that `ip xfrm` prints.
var protocols = map[string]uint8{"icmpv6": spd.ProtoICMPv6, "icmp6": spd.ProtoICMPv6, "ipcomp": spd.ProtoIPComp, "any": spd.ProtoAny}

// protocol returns the protocol; a type without one means the family's ICMP.
func (p *lookupPacket) protocol(ipv4 bool) (uint8, error) {
	icmp := uint8(spd.ProtoICMPv6)
	if ipv4 {
		icmp = spd.ProtoICMP
	}
	if p.proto == "" {
		if p.given("type") || p.given("code") {
			return icmp, nil
		}
		if p.given("sport") || p.given("dport") {
			return 0, errors.New("ports need a protocol: --proto tcp, --proto udp")
		}
		return spd.ProtoAny, nil
	}
	name := strings.ToLower(p.proto)
	proto, ok := protocols[name]
	for n := 1; n < 256 && !ok; n++ {
		proto, ok = uint8(n), spd.ProtocolName(uint8(n)) == name // a number's name is the number
	}
	switch {
	case !ok:
		return 0, fmt.Errorf("--proto %s: no such protocol; give its number", p.proto)
	case (proto == spd.ProtoICMP || proto == spd.ProtoICMPv6) && proto != icmp:
		return 0, fmt.Errorf("--proto %s is not of the addresses' family", p.proto)
	}
	return proto, nil
}

// types are the names of ICMPv6 types.
var types = map[string]uint16{
	"ns": spd.NeighborSolicitation, "na": spd.NeighborAdvertisement, "rs": spd.RouterSolicitation,
	"ra": spd.RouterAdvertisement, "redirect": spd.Redirect, "echo": 128, "reply": 129,
}

// types4 are those of ICMP that have the same names.
var types4 = map[string]uint16{"redirect": 5, "echo": 8, "reply": 0}

// ports sets the ports, or the type and code that stand in their place.
func (p *lookupPacket) ports(f *spd.Flow) error {
	icmp := f.Proto == spd.ProtoICMP || f.Proto == spd.ProtoICMPv6
	wrong := []string{"type", "code"}
	if icmp {
		wrong = []string{"sport", "dport"}
	}
	if i := slices.IndexFunc(wrong, p.given); i >= 0 {
		return fmt.Errorf("--%s does not go with protocol %s", wrong[i], spd.ProtocolName(f.Proto))
	}
	if !icmp {
		f.SrcPort, f.DstPort = p.sport, p.dport
		return nil
	}
	names := types
	if f.Proto == spd.ProtoICMP {
		names = types4
	}
	typ, known := names[strings.ToLower(p.typ)]
	if !known {
		if p.typ == "" {
			return fmt.Errorf("--proto %s needs a type: --type 136", spd.ProtocolName(f.Proto))
		}
		n, err := strconv.ParseUint(p.typ, 0, 8)
		if err != nil {
			return fmt.Errorf("--type %s: not a number from 0 to 255", p.typ)
		}
		typ = uint16(n)
	}
	f.SrcPort, f.DstPort = typ, uint16(p.code)
	return nil
}

func number32(flag, s string) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil || n > math.MaxUint32 {
		return 0, fmt.Errorf("--%s %s: not a number of 32 bits", flag, s)
	}
	return uint32(n), nil
}
