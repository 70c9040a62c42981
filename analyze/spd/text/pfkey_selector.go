package text

import (
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// rangeSpec is an address range of setkey: address[/prefixlen][[port]].
type rangeSpec struct {
	prefix netip.Prefix
	port   uint16 // 0: any
}

// parseRange reads a range written in one piece.
func parseRange(s string) (rangeSpec, bool) {
	s, port, hasPort := strings.Cut(s, "[")
	host, bits, hasBits := strings.Cut(s, "/")
	addr, ok := address(host)
	if !ok {
		return rangeSpec{}, false
	}
	n := uint64(addr.BitLen())
	if hasBits {
		if n, ok = number(bits, 8); !ok || int(n) > addr.BitLen() {
			return rangeSpec{}, false
		}
	}
	r := rangeSpec{prefix: netip.PrefixFrom(addr, int(n))}
	if !hasPort || port == "any]" {
		return r, true
	}
	port, closed := strings.CutSuffix(port, "]")
	v, ok := number(port, 16)
	r.port = uint16(v)
	return r, ok && closed
}

// pfkeySelector makes the kernel's selector of what PF_KEY can tell of one. It
// has no masks: a port, type or code of 0 is any (af_key.c pfkey_spdadd).
func pfkeySelector(src, dst rangeSpec, proto uint8) spd.Selector {
	if proto == 255 { // IPSEC_PROTO_ANY (pfkey_proto_to_xfrm)
		proto = spd.ProtoAny
	}
	s := spd.Selector{
		Src: src.prefix, Dst: dst.prefix, Proto: proto, Family: familyOf(src.prefix.Addr()),
		SrcPort: src.port, DstPort: dst.port,
	}
	if src.port != 0 {
		s.SrcPortMask = 0xffff
	}
	if dst.port != 0 {
		s.DstPortMask = 0xffff
	}
	return s
}

// upperSpec reads what may stand after the protocol into the ports: type and
// code "135,0" of ICMP, ICMPv6 and mobility headers, the key of GRE (parse.y
// fix_portstr).
func upperSpec(proto uint8, spec string, src, dst *rangeSpec) (wrong string) {
	switch proto {
	case spd.ProtoICMP, spd.ProtoICMPv6, protoMH:
		typ, code, both := strings.Cut(spec, ",")
		t, ok := number(typ, 8)
		c, ok2 := number(code, 8)
		if !both || !ok || !ok2 {
			return "after the protocol setkey wants type and code with a comma between them, as in 135,0"
		}
		src.port, dst.port = uint16(t), uint16(c)
	case protoGRE:
		key, ok := number(spec, 32)
		if !ok {
			return "after gre a key is expected"
		}
		src.port, dst.port = uint16(key>>16), uint16(key)
	default:
		return "a type and code, or a key, after a protocol that has none"
	}
	return ""
}
