package rules

import (
	"testing"

	"ipsecdiag/analyze/ike"
)

// proposalV2 makes a proposal of IKEv2: cipher with key length, integrity,
// pseudorandom function, groups. Zero leaves out.
func proposalV2(cipher ike.Encr, bits byte, integ ike.Integ, prf ike.PRF, groups ...ike.DHGroup) ike.Proposal {
	p := ike.Proposal{Major: 2, Protocol: ike.ProtocolIKE}
	add := func(kind ike.TransformType, id uint16, a ...ike.Attribute) {
		p.Transforms = append(p.Transforms, ike.Transform{Major: 2, Protocol: ike.ProtocolIKE, Type: kind, ID: id, Attributes: a})
	}
	add(ike.TransformEncr, uint16(cipher), ike.Attribute{Type: 14, TV: true, Value: []byte{bits >> 7, bits << 1}})
	if integ != 0 {
		add(ike.TransformInteg, uint16(integ))
	}
	add(ike.TransformPRF, uint16(prf))
	for _, g := range groups {
		add(ike.TransformKE, uint16(g))
	}
	return p
}

// proposalV1 makes a proposal of IKEv1 with one transform, from the numbers of RFC
// 2409 appendix A.
func proposalV1(cipher, bits, hash, auth, group byte) ike.Proposal {
	tv := func(kind uint16, v byte) ike.Attribute {
		return ike.Attribute{Class: ike.AttributesPhase1, Type: kind, TV: true, Value: []byte{v >> 7, v << 1 >> 1}}
	}
	key := ike.Attribute{Class: ike.AttributesPhase1, Type: 14, TV: true, Value: []byte{bits >> 7, bits << 1}}
	return ike.Proposal{Major: 1, Protocol: ike.ProtocolIKE, Transforms: []ike.Transform{{
		Major: 1, Protocol: ike.ProtocolIKE, ID: 1,
		Attributes: []ike.Attribute{tv(1, cipher), key, tv(2, hash), tv(3, auth), tv(4, group)},
	}}}
}

func TestOffersMeet(t *testing.T) {
	aes128 := proposalV2(ike.EncrAESCBC, 64, ike.IntegHMACSHA256, ike.PRFHMACSHA256, ike.GroupMODP2048)
	aes256 := proposalV2(ike.EncrAESCBC, 128, ike.IntegHMACSHA256, ike.PRFHMACSHA256, ike.GroupMODP2048)
	both := proposalV2(ike.EncrAESCBC, 64, ike.IntegHMACSHA256, ike.PRFHMACSHA256, ike.GroupECP256, ike.GroupMODP2048)
	gcm := proposalV2(ike.EncrAESGCM16, 128, 0, ike.PRFHMACSHA384, ike.GroupECP384)
	sha512 := proposalV2(ike.EncrAESCBC, 64, ike.IntegHMACSHA512, ike.PRFHMACSHA512, ike.GroupMODP2048)
	psk, rsa := proposalV1(7, 64, 4, 1, 14), proposalV1(7, 64, 4, 3, 14)
	for _, tt := range []struct {
		name string
		a, b []ike.Proposal
		want string // apart's words; empty where they meet
	}{
		{"the same", []ike.Proposal{aes128}, []ike.Proposal{aes128}, ""},
		{"one of several", []ike.Proposal{aes256, aes128}, []ike.Proposal{aes128}, ""},
		{"one group of two", []ike.Proposal{aes128}, []ike.Proposal{both}, ""},
		{"key lengths", []ike.Proposal{aes128}, []ike.Proposal{aes256},
			"they have nothing in common in encryption (aes128 against aes256)"},
		{"a cipher that includes integrity", []ike.Proposal{aes128}, []ike.Proposal{gcm},
			"they have nothing in common in encryption (aes128 against aes256gcm16), integrity (sha256 against none), " +
				"pseudorandom function (prfsha256 against prfsha384), Diffie-Hellman group (modp2048 against ecp384)"},
		{"each by itself, never together", []ike.Proposal{aes256, sha512}, []ike.Proposal{aes128},
			"each algorithm by itself is known to both, but no proposal has all of them together"},
		{"IKEv1", []ike.Proposal{psk}, []ike.Proposal{psk}, ""},
		{"IKEv1, how to authenticate", []ike.Proposal{psk}, []ike.Proposal{rsa},
			"they have nothing in common in authentication (pre-shared key against RSA signatures)"},
	} {
		a, b := suites(tt.a), suites(tt.b)
		if got := meet(a, b); got != (tt.want == "") {
			t.Errorf("%s: meet: %t", tt.name, got)
		} else if !got && apart(a, b) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, apart(a, b), tt.want)
		}
	}
}

func TestOffersInTheWordsOfConfigurations(t *testing.T) {
	unknown := proposalV2(ike.Encr(99), 64, ike.IntegHMACSHA256, ike.PRFHMACSHA256, ike.GroupMODP2048)
	for _, tt := range []struct {
		offer []ike.Proposal
		words string
		line  string // empty: there is none
	}{
		{[]ike.Proposal{proposalV2(ike.EncrAESCBC, 64, ike.IntegHMACSHA256, ike.PRFHMACSHA256, ike.GroupMODP2048)},
			"aes128-sha256-modp2048", "aes128-sha256-modp2048"},
		{[]ike.Proposal{proposalV2(ike.EncrAESGCM16, 128, 0, ike.PRFHMACSHA384, ike.GroupECP384)},
			"aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-ecp384"},
		{[]ike.Proposal{proposalV2(ike.EncrAESCBC, 64, ike.IntegHMACSHA256, ike.PRFHMACSHA512, ike.GroupMODP2048)},
			"aes128-sha256-prfsha512-modp2048", "aes128-sha256-prfsha512-modp2048"},
		{[]ike.Proposal{proposalV1(7, 128, 2, 1, 5)}, "aes256-sha1-modp1536 with pre-shared key", "aes256-sha1-modp1536"},
		{[]ike.Proposal{unknown}, "ENCR 99-128-sha256-modp2048", ""},
		{nil, "", ""},
	} {
		line, ok := proposalsLine(tt.offer)
		if got := offerWords(tt.offer); got != tt.words || line != tt.line || ok != (tt.line != "") {
			t.Errorf("%q, line %q %t; want %q, %q", got, line, ok, tt.words, tt.line)
		}
	}
}
