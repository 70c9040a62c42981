package capture

import "ipsecdiag/analyze"

// linkTypeNames names link types that captures are often made of and that
// cannot be decoded (https://www.tcpdump.org/linktypes.html).
var linkTypeNames = map[analyze.LinkType]string{
	3:   "AX.25",
	6:   "IEEE 802.5 token ring",
	7:   "ARCNET",
	8:   "SLIP",
	9:   "PPP",
	10:  "FDDI",
	50:  "PPP in HDLC-like framing",
	51:  "PPPoE",
	100: "ATM RFC 1483",
	104: "Cisco HDLC",
	105: "IEEE 802.11",
	107: "frame relay",
	117: "OpenBSD pflog",
	119: "IEEE 802.11 with Prism header",
	122: "IP over fibre channel",
	127: "IEEE 802.11 with radiotap header",
	129: "ARCNET of Linux",
	138: "IP over FireWire",
	143: "DOCSIS",
	147: "private use 0",
	163: "IEEE 802.11 with AVS header",
	165: "BACnet MS/TP",
	166: "PPP of pppd",
	177: "LAPD of Linux",
	187: "Bluetooth HCI",
	189: "USB of Linux",
	192: "per-packet information",
	195: "IEEE 802.15.4 with FCS",
	201: "Bluetooth HCI with direction",
	204: "PPP with direction",
	220: "USB of Linux, padded",
	224: "fibre channel FC-2",
	227: "CAN of Linux",
	230: "IEEE 802.15.4 without FCS",
	239: "netfilter log",
	247: "IP over InfiniBand",
	251: "Bluetooth LE link layer",
	252: "Wireshark upper PDU",
	253: "netlink of Linux",
	283: "IEEE 802.15.4 TAP",
}

// supported reports whether analyze.Packet can decode the link type.
func supported(l analyze.LinkType) bool {
	switch l {
	case analyze.LinkNull, analyze.LinkEthernet, analyze.LinkRawBSD, analyze.LinkRawOBSD,
		analyze.LinkRaw, analyze.LinkLoop, analyze.LinkSLL, analyze.LinkIPv4,
		analyze.LinkIPv6, analyze.LinkSLL2:
		return true
	}
	return false
}
