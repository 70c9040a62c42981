package ike

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"net/netip"
)

// NATD is IKEv1's NAT detection: a hash over cookies, address and port, RFC
// 3947 section 3.2. The first in a message is about the destination, all
// others about the source.
type NATD struct{ Hash []byte }

func (n *NATD) String() string { return plural(len(n.Hash), "byte") }
func (*NATD) body()            {}

// NATOA is IKEv1's original address, RFC 3947 section 5.2. In Quick Mode
// transport mode the first is the initiator's, the second the responder's.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    ID Type    |                   RESERVED                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~           IPv4 (4 octets) or IPv6 address (16 octets)         ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type NATOA struct {
	Type IDType
	Data []byte
}

func parseNATOA(c *cursor) *NATOA {
	n := &NATOA{Type: IDType(c.u8("ID Type"))}
	c.bytes("RESERVED", 3)
	n.Data = c.rest("address")
	return n
}

// Addr gives the address.
func (n *NATOA) Addr() (netip.Addr, bool) { return netip.AddrFromSlice(n.Data) }

func (n *NATOA) String() string {
	if a, ok := n.Addr(); ok {
		return a.String()
	}
	return hexText(n.Data)
}
func (*NATOA) body() {}

// NATHash is the hash that IKEv1 negotiated, by its number in the registry
// "Hash Algorithm". IKEv2 always uses SHA-1.
type NATHash uint16

// Hashes of NAT-D payloads.
const (
	NATHashMD5    NATHash = 1
	NATHashSHA1   NATHash = 2
	NATHashSHA256 NATHash = 4
	NATHashSHA384 NATHash = 5
	NATHashSHA512 NATHash = 6
)

// natHashByLength tells the hash by its length, which is another for each.
var natHashByLength = map[int]NATHash{16: NATHashMD5, 20: NATHashSHA1, 32: NATHashSHA256,
	48: NATHashSHA384, 64: NATHashSHA512}

// NATDetectionHash computes the hash over SPIs (as the message's header has
// them), address and port: RFC 3947 section 3.2, RFC 7296 section 2.23. It is
// nil for a hash that is not known.
func NATDetectionHash(h NATHash, initiator, responder SPI, ap netip.AddrPort) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+8+16+2), uint64(initiator))
	b = binary.BigEndian.AppendUint64(b, uint64(responder))
	b = append(b, ap.Addr().Unmap().WithZone("").AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	switch h {
	case NATHashMD5:
		sum := md5.Sum(b)
		return sum[:]
	case NATHashSHA1:
		sum := sha1.Sum(b)
		return sum[:]
	case NATHashSHA256:
		sum := sha256.Sum256(b)
		return sum[:]
	case NATHashSHA384:
		sum := sha512.Sum384(b)
		return sum[:]
	case NATHashSHA512:
		sum := sha512.Sum512(b)
		return sum[:]
	}
	return nil
}

// NATCheck is what NAT detection says of one message: whether the addresses
// and ports it was seen with are those its sender meant.
type NATCheck struct {
	Present     bool // the message carries NAT detection for both ends
	Source      bool // the source is as sent: no NAT before the sender (or it says so falsely)
	Destination bool // the destination is as sent: no NAT before the receiver
}

// CheckNAT compares the message's NAT detection hashes, of either version,
// with the addresses and ports it was seen with. Daemons that want UDP
// encapsulation at any price send a false hash on purpose, so a mismatch is
// no proof of a NAT.
func (m *Message) CheckNAT(src, dst netip.AddrPort) NATCheck {
	sources, destinations := m.natHashes()
	return NATCheck{
		Present:     len(sources) > 0 && len(destinations) > 0,
		Source:      m.natMatch(sources, src),
		Destination: m.natMatch(destinations, dst),
	}
}

// natHashes gives the hashes about the source, of which there may be several,
// and about the destination.
func (m *Message) natHashes() (sources, destinations [][]byte) {
	for i, d := range bodies[*NATD](m) {
		if i == 0 {
			destinations = append(destinations, d.Hash)
		} else {
			sources = append(sources, d.Hash)
		}
	}
	for _, n := range m.Notifies() {
		switch {
		case n.is(2, NotifyNATDetectionSourceIP):
			sources = append(sources, n.Data)
		case n.is(2, NotifyNATDetectionDestinationIP):
			destinations = append(destinations, n.Data)
		}
	}
	return sources, destinations
}

func (m *Message) natMatch(hashes [][]byte, ap netip.AddrPort) bool {
	var want []byte
	for _, h := range hashes {
		if len(h) != len(want) {
			want = NATDetectionHash(natHashByLength[len(h)], m.InitiatorSPI, m.ResponderSPI, ap)
		}
		if len(h) > 0 && bytes.Equal(h, want) {
			return true
		}
	}
	return false
}
