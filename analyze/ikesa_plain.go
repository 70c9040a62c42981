package analyze

import "ipsecdiag/analyze/ike"

// skHeader is what stands before the encrypted content of an IKEv2 message that
// has nothing else in the clear: the ISAKMP header and the payload header of SK;
// fragments have two numbers more (RFC 7296 section 3.14, RFC 7383 section 2.5).
const (
	skHeader  = ike.HeaderLen + 4
	skfHeader = skHeader + 4
)

// leastOverhead is what the content has beside plain text at least, whatever was
// negotiated: the smallest checksum (96 bits of ENCR_NULL with HMAC-MD5, no IV) and
// Pad Length.
const leastOverhead = 12 + 1

// MostPlain returns how many bytes of payloads an encrypted message of the IKE SA
// can hold at most: its length without the headers, the IV and the checksum of the
// algorithms that were chosen, and the byte Pad Length. How much of it is padding
// is not to be seen; daemons pad to the next block only.
func (sa *IKESA) MostPlain(m *IKEMessage) int {
	if !m.Encrypted {
		return 0
	}
	n, header, pieces := int(m.Size), skHeader, 1
	switch {
	case sa.Major == 1:
		return max(n-ike.HeaderLen, 0) // no IV, no checksum, and padding without a length
	case m.Fragments > 0:
		header, pieces = skfHeader, int(m.Fragments)
	}
	return max(n-pieces*(header+sa.sealOverhead()), 0)
}

// sealOverhead is the length of IV, checksum and Pad Length of the algorithms that
// were chosen; where they were not seen, the least that there can be.
func (sa *IKESA) sealOverhead() int {
	iv, icv, known := 0, 0, false
	for _, a := range sa.ChosenAlgorithms() {
		switch a.Type {
		case ike.TransformEncr:
			iv, known = ike.Encr(a.ID).IVLength(), true
			icv += ike.Encr(a.ID).ICVLength()
		case ike.TransformInteg:
			icv += ike.Integ(a.ID).ICVLength()
		}
	}
	if !known {
		return leastOverhead
	}
	return max(iv+icv+1, leastOverhead)
}

// LeastAuth returns the length of the shortest AUTH payload that proves an identity
// under the IKE SA: a shared key's, as long as the pseudorandom function that was
// chosen gives (RFC 7296 section 2.15). Signatures are no shorter.
func (sa *IKESA) LeastAuth() int {
	const header, shortest = 8, 16
	for _, a := range sa.ChosenAlgorithms() {
		if a.Type == ike.TransformPRF {
			return header + max(ike.PRF(a.ID).Length(), shortest)
		}
	}
	return header + shortest
}
