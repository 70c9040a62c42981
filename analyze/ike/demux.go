package ike

import "encoding/binary"

// Ports of IKE: RFC 7296 section 2, RFC 3948 section 2.
const (
	Port     = 500
	NATTPort = 4500
)

// UDPKind says what a UDP payload on IKE's ports is.
type UDPKind uint8

// Kinds of UDP payload.
const (
	UDPUnknown   UDPKind = iota
	UDPIKE               // an ISAKMP message
	UDPKeepalive         // a NAT keepalive: one byte 0xff
	UDPESP               // ESP in UDP
)

func (k UDPKind) String() string {
	switch k {
	case UDPIKE:
		return "IKE"
	case UDPKeepalive:
		return "NAT keepalive"
	case UDPESP:
		return "ESP in UDP"
	}
	return "unknown"
}

// espHeaderLen: SPI and sequence number, RFC 4303 section 2.
const espHeaderLen = 8

// Demux tells what a UDP payload is, and where it begins: for IKE rest starts
// at the ISAKMP header (hand it to [Parse]), for ESP at the SPI (hand it to
// [ESPHeader]), else it is the payload. A message that the capture cut short
// is still told by its first bytes.
//
// RFC 3948 section 2: on port 4500 a single 0xff is a NAT keepalive, four
// zero bytes (the non-ESP marker, where ESP has its never-zero SPI) come
// before IKE, anything else is ESP. On port 500 there is IKE alone. Where one
// end uses 500 and the other 4500, daemons differ in whether they write the
// marker, so the bytes decide. On other ports only what plainly is an ISAKMP
// header is called one.
func Demux(srcPort, dstPort uint16, payload []byte) (kind UDPKind, rest []byte) {
	natt := srcPort == NATTPort || dstPort == NATTPort
	plain := srcPort == Port || dstPort == Port
	marked := len(payload) >= 4 && binary.BigEndian.Uint32(payload) == 0
	switch {
	case (natt || plain) && len(payload) == 1 && payload[0] == 0xff:
		return UDPKeepalive, payload
	case plain && !natt:
		return demuxPlain(payload)
	case natt && marked:
		return UDPIKE, payload[4:]
	case natt && plain && looksLikeIKE(payload):
		return UDPIKE, payload
	case natt && len(payload) >= espHeaderLen:
		return UDPESP, payload
	case !natt && looksLikeIKE(payload):
		return UDPIKE, payload
	case !natt && marked && looksLikeIKE(payload[4:]):
		return UDPIKE, payload[4:]
	}
	return UDPUnknown, payload
}

func demuxPlain(payload []byte) (UDPKind, []byte) {
	if len(payload) < HeaderLen {
		return UDPUnknown, payload
	}
	return UDPIKE, payload
}

// looksLikeIKE tells whether bytes are an ISAKMP header beyond doubt: a known
// version and exchange, and a length that is the datagram's. By chance that
// fits less than one datagram in 2^38.
func looksLikeIKE(b []byte) bool {
	if len(b) < HeaderLen {
		return false
	}
	major := b[17] >> 4
	_, known := exchangeNames[ExchangeType(b[18])]
	return (major == 1 || major == 2) && known &&
		uint64(binary.BigEndian.Uint32(b[24:])) == uint64(len(b))
}

// ESPHeader reads SPI and sequence number of what Demux called ESP.
func ESPHeader(rest []byte) (spi, seq uint32, ok bool) {
	if len(rest) < espHeaderLen {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]), true
}
