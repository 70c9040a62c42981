package analyze

import (
	"testing"

	"ipsecdiag/analyze/ike"
)

// chose returns an IKE SA for which these algorithms were chosen.
func chose(cipher ike.Encr, integ ike.Integ, prf ike.PRF) *IKESA {
	p := ike.Proposal{Major: 2, Protocol: ike.ProtocolIKE}
	for kind, id := range map[ike.TransformType]uint16{
		ike.TransformEncr: uint16(cipher), ike.TransformInteg: uint16(integ), ike.TransformPRF: uint16(prf),
	} {
		if id != 0 {
			p.Transforms = append(p.Transforms, ike.Transform{Major: 2, Protocol: ike.ProtocolIKE, Type: kind, ID: id})
		}
	}
	var o offers
	return &IKESA{Major: 2, chosen: o.put("", []ike.Proposal{p})}
}

// TestMostPlain holds the bound against messages of daemons, of which their logs tell
// what they held.
func TestMostPlain(t *testing.T) {
	cbc := chose(ike.EncrAESCBC, ike.IntegHMACSHA256, ike.PRFHMACSHA256)
	gcm := chose(ike.EncrAESGCM16, 0, ike.PRFHMACSHA384)
	tests := []struct {
		name string
		sa   *IKESA
		msg  IKEMessage
		want int
	}{
		{"N(AUTH_FAILED) of strongSwan: 8 bytes, padded to 16", cbc, IKEMessage{Encrypted: true, Size: 80}, 15},
		{"IDr AUTH and three notifications: 92 bytes, padded to 96", cbc, IKEMessage{Encrypted: true, Size: 160}, 95},
		{"an empty message under AES-GCM", gcm, IKEMessage{Encrypted: true, Size: 28 + 4 + 8 + 1 + 16}, 0},
		{"two fragments", cbc, IKEMessage{Encrypted: true, Size: 1220 + 436, Fragments: 2}, 1220 + 436 - 2*(36+16+16+1)},
		{"algorithms that were not seen", &IKESA{Major: 2}, IKEMessage{Encrypted: true, Size: 80}, 80 - 32 - 13},
		{"IKEv1: all behind the header", &IKESA{Major: 1}, IKEMessage{Encrypted: true, Size: 92}, 64},
		{"in the clear", cbc, IKEMessage{Size: 80}, 0},
		{"shorter than its own checksum (hostile)", cbc, IKEMessage{Encrypted: true, Size: 40}, 0},
	}
	for _, tt := range tests {
		if got := tt.sa.MostPlain(&tt.msg); got != tt.want {
			t.Errorf("%s: %d bytes at most, want %d", tt.name, got, tt.want)
		}
	}
}

func TestLeastAuth(t *testing.T) {
	for _, tt := range []struct {
		sa   *IKESA
		want int
	}{
		{chose(ike.EncrAESCBC, ike.IntegHMACSHA256, ike.PRFHMACSHA256), 8 + 32},
		{chose(ike.EncrAESGCM16, 0, ike.PRFHMACSHA512), 8 + 64},
		{&IKESA{Major: 2}, 8 + 16},
		{chose(ike.EncrAESCBC, ike.IntegHMACSHA256, ike.PRF(77)), 8 + 16},
	} {
		if got := tt.sa.LeastAuth(); got != tt.want {
			t.Errorf("AUTH of %d bytes at least, want %d", got, tt.want)
		}
	}
}
