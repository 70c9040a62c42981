package text

import "ipsecdiag/analyze/spd"

// protoGRE and protoMH have an own meaning of ports in selectors.
const (
	protoGRE = 47
	protoMH  = 135
)

// protocolNumbers are the names of /etc/protocols (Debian's netbase, Red Hat's
// setup), which both iproute2 and setkey print, with setkey's own icmp6, ip4
// and any (parse.y upper_spec, pfkey_dump.c str_upperspec). PF_KEY's "any" is
// 255 (IPSEC_PROTO_ANY), "reserved" in some tables.
var protocolNumbers = map[string]uint8{
	"any": spd.ProtoAny, "reserved": spd.ProtoAny, "ip": 0, "hopopt": 0,
	"icmp": spd.ProtoICMP, "igmp": 2, "ggp": 3, "ipencap": 4, "ipv4": 4, "ip4": 4, "st": 5,
	"tcp": spd.ProtoTCP, "cbt": 7, "egp": 8, "igp": 9, "pup": 12, "udp": spd.ProtoUDP, "hmp": 20,
	"xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38,
	"ipv6": 41, "ipv6-route": spd.ProtoRouting, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": protoGRE,
	"esp": spd.ProtoESP, "ipv6-crypt": spd.ProtoESP, "ah": spd.ProtoAH, "ipv6-auth": spd.ProtoAH,
	"skip": 57, "ipv6-icmp": spd.ProtoICMPv6, "icmpv6": spd.ProtoICMPv6, "icmp6": spd.ProtoICMPv6,
	"ipv6-nonxt": 59, "ipv6-opts": spd.ProtoDstOpts, "rspf": 73, "vmtp": 81, "eigrp": 88,
	"ospf": 89, "ospfigp": 89, "ax.25": 93, "ipip": 94, "etherip": 97, "encap": 98, "pim": 103,
	"ipcomp": spd.ProtoIPComp, "vrrp": 112, "l2tp": 115, "isis": 124, "sctp": spd.ProtoSCTP, "fc": 133,
	"mobility-header": protoMH, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "hip": 139,
	"shim6": 140, "wesp": 141, "rohc": 142, "ethernet": 143,
}

// protocolNumber reads the upper layer protocol of a selector.
func protocolNumber(s string) (uint8, bool) {
	if v, ok := protocolNumbers[s]; ok {
		return v, true
	}
	v, ok := number(s, 8)
	return uint8(v), ok
}

// ipsecProtocols are the protocols of SAs by iproute2's names (ipxfrm.c
// xfrmproto_types) and by setkey's. "ipsec-any" is 255 in templates.
var ipsecProtocols = map[string]uint8{
	"esp": spd.ProtoESP, "ah": spd.ProtoAH, "comp": spd.ProtoIPComp, "ipcomp": spd.ProtoIPComp,
	"route2": spd.ProtoRouting, "hao": spd.ProtoDstOpts, "ipsec-any": 255,
}

// ipsecProtocol reads the protocol of an SA or a template.
func ipsecProtocol(s string) (uint8, bool) {
	if v, ok := ipsecProtocols[s]; ok {
		return v, true
	}
	v, ok := number(s, 8)
	return uint8(v), ok
}
