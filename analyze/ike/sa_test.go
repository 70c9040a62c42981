package ike

import (
	"slices"
	"testing"
)

func TestProposalsV2(t *testing.T) {
	p := mustParse(t, initV2().encode()).Proposals()
	if len(p) != 1 || p[0].Protocol != ProtocolIKE || p[0].Count != 6 {
		t.Fatalf("%+v", p)
	}
	want := "1 IKE: ENCR_AES_CBC-128, ENCR_AES_GCM_16-256, PRF_HMAC_SHA2_256, AUTH_HMAC_SHA2_256_128, MODP_2048, CURVE_25519"
	if got := p[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if a := p[0].Transforms[0].Algorithms(); len(a) != 1 || a[0].ID != uint16(EncrAESCBC) || a[0].KeyBits != 128 || !a[0].Mapped {
		t.Errorf("%+v", a)
	}
}

// TestChildProposalV2: SPI, ESN, and numbers that no registry has.
func TestChildProposalV2(t *testing.T) {
	sa := bodyOf[*SA](t, 0x20, PayloadSA, saV2(
		proposal(1, 3, []byte{0xde, 0xad, 0xbe, 0xef}, transformV2(1, 1234), transformV2(5, 0), transformV2(5, 1)),
		proposal(2, 2, []byte{1, 2, 3, 4}, transformV2(3, 2), transformV2(99, 7), transformV2(6, 36))))
	if got, want := sa.Proposals[0].String(), "1 ESP: ENCR 1234, NO_ESN, ESN"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := sa.Proposals[1].String(), "2 AH: AUTH_HMAC_SHA1_96, transform type 99 7, ML_KEM_768"; got != want {
		t.Errorf("got %s", got)
	}
	if string(sa.Proposals[0].SPI) != "\xde\xad\xbe\xef" {
		t.Errorf("SPI %x", sa.Proposals[0].SPI)
	}
}

func TestProposalsV1(t *testing.T) {
	m := mustParse(t, mainModeV1().encode())
	p := m.Proposals()[0]
	want := "1 PROTO_ISAKMP: AES-CBC-128/SHA/pre-shared key/MODP_1024; 3DES-CBC/MD5/XAUTHInitPreShared/MODP_2048"
	if got := p.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := p.Transforms[0].Lifetimes(); !slices.Equal(got, []Lifetime{{Value: 86400}}) {
		t.Errorf("lifetimes %v", got)
	}
	if got := p.Transforms[1].Lifetimes(); !slices.Equal(got, []Lifetime{{Value: 3600}}) {
		t.Errorf("lifetimes %v", got)
	}
	want2 := []Algorithm{
		{TransformEncr, uint16(EncrAESCBC), 128, "AES-CBC-128", true},
		{TransformPRF, uint16(PRFHMACSHA1), 0, "SHA", true},
		{TransformKE, uint16(GroupMODP1024), 0, "MODP_1024", true},
	}
	if got := p.Transforms[0].Algorithms(); !slices.Equal(got, want2) {
		t.Errorf("algorithms %+v", got)
	}
}

func TestQuickModeV1(t *testing.T) {
	m := mustParse(t, quickModeV1().encode())
	tr := m.Proposals()[0].Transforms[0]
	if got, want := tr.String(), "ESP_AES-CBC-256/HMAC-SHA2-256/Transport/MODP_2048/64-bit sequence number"; got != want {
		t.Errorf("got %s", got)
	}
	if got := tr.Lifetimes(); !slices.Equal(got, []Lifetime{{Kilobytes: true, Value: 4608000}}) {
		t.Errorf("lifetimes %v", got)
	}
	want := []Algorithm{
		{TransformEncr, uint16(EncrAESCBC), 256, "ESP_AES-CBC-256", true},
		{TransformInteg, uint16(IntegHMACSHA256), 0, "HMAC-SHA2-256", true},
		{TransformKE, uint16(GroupMODP2048), 0, "MODP_2048", true},
	}
	if got := tr.Algorithms(); !slices.Equal(got, want) {
		t.Errorf("algorithms %+v", got)
	}
	ids := m.Identities()
	if p, ok := ids[0].Prefix(); !ok || p.String() != "10.1.0.0/16" {
		t.Errorf("prefix %v", p)
	}
	if got, want := ids[1].String(), "ID_IPV6_ADDR_SUBNET ::1/64, protocol 58 port 136"; got != want {
		t.Errorf("got %s", got)
	}
}

// TestUnknownV1: what no registry names keeps its number, and IKEv2 has no
// number for it.
func TestUnknownV1(t *testing.T) {
	sa := bodyOf[*SA](t, 0x10, PayloadSAV1, saV1(
		proposal(1, 1, nil, transformV1(1, 1, tv(1, 99), tv(2, 77), tv(4, 555), tv(3000, 1))),
		proposal(2, 3, nil, transformV1(1, 10, tv(5, 8))),
		proposal(3, 9, nil, transformV1(1, 3))))
	want := []string{
		"1 PROTO_ISAKMP: Encryption Algorithm 99/Hash Algorithm 77/group 555",
		"2 PROTO_IPSEC_ESP: ESP_RC4/HMAC-RIPEMD",
		"3 protocol 9: transform 3",
	}
	for i, p := range sa.Proposals {
		if got := p.String(); got != want[i] {
			t.Errorf("got %s", got)
		}
	}
	a := sa.Proposals[0].Transforms[0].Algorithms()
	if len(a) != 3 || a[0].Mapped || a[1].Mapped || !a[2].Mapped || a[2].ID != 555 {
		t.Errorf("%+v", a)
	}
	for _, a := range sa.Proposals[1].Transforms[0].Algorithms() {
		if a.Mapped {
			t.Errorf("%+v", a)
		}
	}
	if got := sa.Proposals[0].Transforms[0].Attributes[3].String(); got != "attribute 3000=1" {
		t.Error(got)
	}
}

func TestSituation(t *testing.T) {
	for _, head := range [][]byte{cat(u32(1), u32(2)), cat(u32(2), u32(1)), cat(u32(77))} {
		m, err := Parse(testMessage{version: 0x10, exchange: 2, payloads: []testPayload{{kind: PayloadSAV1, body: head}}}.encode())
		if err == nil || len(m.Payloads) != 1 {
			t.Errorf("%x: %v", head, err)
		}
	}
}
