package scrub

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// udp replaces what a datagram on IKE's ports says.
func (s *Scrubber) udp(p *analyze.Packet) {
	kind, rest := ike.Demux(p.SrcPort, p.DstPort, p.Payload)
	switch kind {
	case ike.UDPIKE:
		s.ike(rest, netip.AddrPortFrom(p.Src, p.SrcPort), netip.AddrPortFrom(p.Dst, p.DstPort))
	case ike.UDPKeepalive:
	default:
		s.secret.overwrite(p.Payload)
	}
}

// ike replaces what an ISAKMP message says, in place: header, proposals, key
// exchange, nonces and what follows from them stay; identities, certificates
// and everything encrypted do not.
func (s *Scrubber) ike(b []byte, src, dst netip.AddrPort) {
	m, _ := ike.Parse(b) // what could not be read is overwritten
	if m == nil {
		s.secret.overwrite(b)
		return
	}
	end := ike.HeaderLen
	for _, p := range m.Payloads {
		from := p.Offset + payloadHeaderLen
		if from < end || from > len(b) {
			continue
		}
		raw := b[from:min(from+len(p.Raw), len(b))]
		s.payload(m, &p, raw, src, dst)
		end = from + len(raw)
	}
	s.secret.overwrite(b[min(end, len(b)):]) // IKEv1's encrypted body, what is malformed, what trails
}

const payloadHeaderLen = 4

// payload replaces what one payload says.
func (s *Scrubber) payload(m *ike.Message, p *ike.Payload, raw []byte, src, dst netip.AddrPort) {
	if p.Err != nil {
		s.secret.overwrite(raw)
		return
	}
	switch body := p.Body.(type) {
	case *ike.SA, *ike.KeyExchange, *ike.Nonce, *ike.Delete:
	case *ike.Identification:
		s.identity(body, raw)
	case *ike.Notify:
		s.notify(m, body, raw, src, dst)
	case *ike.NATD:
		s.natHash(m, raw, src, dst)
	case *ike.NATOA:
		if len(raw) > idHeaderLen {
			s.addrBytes(raw[idHeaderLen:])
		}
	case *ike.VendorID:
		if !body.Known() {
			s.secret.overwrite(raw)
		}
	case *ike.EncryptedFragment:
		s.secret.overwrite(raw[min(fragmentHeaderLen, len(raw)):])
	case *ike.FragmentV1:
		s.secret.overwrite(raw[min(fragmentV1Kept(body), len(raw)):])
	case *ike.Certificate, *ike.CertificateRequest: // the first byte tells the encoding
		s.secret.overwrite(raw[min(1, len(raw)):])
	default:
		s.secret.overwrite(raw)
	}
}

const fragmentHeaderLen = 4 // number and total (RFC 7383 section 2.5), or ID, number and flags

// fragmentV1Kept returns how much of a fragment of IKEv1 stays: the first one
// begins with the header of the whole message.
func fragmentV1Kept(f *ike.FragmentV1) int {
	if f.Number == 1 {
		return fragmentHeaderLen + ike.HeaderLen
	}
	return fragmentHeaderLen
}

// idHeaderLen is what comes before an identity: type, and protocol and port or
// reserved bytes (RFC 2407 section 4.6.2, RFC 7296 section 3.5).
const idHeaderLen = 4

// identity replaces an identity by one of its length: addresses by addresses,
// names by letters.
func (s *Scrubber) identity(id *ike.Identification, raw []byte) {
	if len(raw) < idHeaderLen {
		return
	}
	data := raw[idHeaderLen:]
	switch id.Type {
	case ike.IDIPv4Addr, ike.IDIPv6Addr:
		s.addrBytes(data)
	case ike.IDIPv4Subnet, ike.IDIPv6Subnet:
		s.addrBytes(data[:len(data)/2]) // the mask follows
	case ike.IDIPv4Range, ike.IDIPv6Range:
		s.addrBytes(data[:len(data)/2])
		s.addrBytes(data[len(data)/2:])
	case ike.IDFQDN, ike.IDRFC822Addr:
		s.letters(data)
	default:
		s.secret.overwrite(data)
	}
}

// letters replaces a text by lower-case letters.
func (s *Scrubber) letters(b []byte) {
	s.secret.overwrite(b)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
}

// told are the notifications of which the data tells of a fault and names
// nobody: the group that is wanted, the SPI that is not known, hash algorithms.
var told = []ike.NotifyType{ike.NotifyInvalidKEPayload, ike.NotifyInvalidSPI, ike.NotifySignatureHashAlgorithms}

// notify replaces the data of a notification.
func (s *Scrubber) notify(m *ike.Message, n *ike.Notify, raw []byte, src, dst netip.AddrPort) {
	data := raw[max(0, len(raw)-len(n.Data)):]
	switch {
	case n.Type == ike.NotifyNATDetectionSourceIP || n.Type == ike.NotifyNATDetectionDestinationIP:
		s.natHash(m, data, src, dst)
	case !slices.Contains(told, n.Type):
		s.secret.overwrite(data)
	}
}

// natHash replaces a hash over an address and a port: by that over the stand-in
// where it is one of the packet's own, so that it still tells of no NAT.
func (s *Scrubber) natHash(m *ike.Message, hash []byte, src, dst netip.AddrPort) {
	for _, kind := range []ike.NATHash{ike.NATHashSHA1, ike.NATHashMD5, ike.NATHashSHA256, ike.NATHashSHA384, ike.NATHashSHA512} {
		for _, ap := range []netip.AddrPort{src, dst} {
			if slices.Equal(hash, ike.NATDetectionHash(kind, m.InitiatorSPI, m.ResponderSPI, ap)) {
				to := netip.AddrPortFrom(s.addresses.addr(ap.Addr()), ap.Port())
				copy(hash, ike.NATDetectionHash(kind, m.InitiatorSPI, m.ResponderSPI, to))
				return
			}
		}
	}
	s.secret.overwrite(hash)
}
