package ike

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestBodies gives each kind of payload once, and what a line says of it.
func TestBodies(t *testing.T) {
	dn := "300f310d300b06035504030c0474657374" // CN=test
	tests := []struct {
		version byte
		kind    PayloadType
		body    []byte
		want    string
	}{
		{0x20, PayloadIDi, cat([]byte{2, 0, 0, 0}, []byte("a\x1b[31m\\b.example")), `ID_FQDN a\x1b[31m\\b.example`},
		{0x20, PayloadIDr, cat([]byte{3, 0, 0, 0}, []byte("me@example.org")), "ID_RFC822_ADDR me@example.org"},
		{0x20, PayloadIDr, cat([]byte{9, 0, 0, 0}, unhex(t, dn)), "ID_DER_ASN1_DN CN=test"},
		{0x20, PayloadIDr, []byte{9, 0, 0, 0, 0x30, 0x84}, "ID_DER_ASN1_DN 3084"},
		{0x20, PayloadIDr, cat([]byte{5, 0, 0, 0}, make([]byte, 15), []byte{1}), "ID_IPV6_ADDR ::1"},
		{0x20, PayloadIDr, []byte{11, 0, 0, 0, 1, 2}, "ID_KEY_ID 0102"},
		{0x20, PayloadIDr, []byte{13, 0, 0, 0}, "ID_NULL "},
		{0x20, PayloadIDr, []byte{77, 0, 0, 0, 'x'}, "ID type 77 x"},
		{0x10, PayloadIDV1, []byte{7, 17, 1, 244, 10, 0, 0, 1, 10, 0, 0, 9}, "ID_IPV4_ADDR_RANGE 10.0.0.1-10.0.0.9, protocol 17 port 500"},
		{0x10, PayloadIDV1, []byte{4, 0, 0, 0, 10, 0, 0, 0, 255, 0, 255, 0}, "ID_IPV4_ADDR_SUBNET 10.0.0.0-10.255.0.255"},
		{0x10, PayloadIDV1, cat([]byte{3, 0, 0, 0}, []byte("u@h")), "ID_USER_FQDN u@h"},
		{0x20, PayloadCert, []byte{4, 1, 2, 3}, "X.509 Certificate - Signature, 3 bytes"},
		{0x20, PayloadCert, []byte{99}, "certificate encoding 99, 0 bytes"},
		{0x20, PayloadCertReq, cat([]byte{4}, make([]byte, 40)), "X.509 Certificate - Signature, of 2 authority keys"},
		{0x10, PayloadCertReqV1, cat([]byte{4}, unhex(t, dn)), "X.509 Certificate - Signature, CN=test"},
		{0x10, PayloadCertReqV1, []byte{4}, "X.509 Certificate - Signature, any"},
		{0x20, PayloadAuth, []byte{14, 0, 0, 0, 1, 2}, "Digital Signature, 2 bytes"},
		{0x20, PayloadAuth, []byte{200, 0, 0, 0}, "authentication method 200, 0 bytes"},
		{0x10, PayloadHashV1, make([]byte, 20), "20 bytes"},
		{0x10, PayloadSigV1, make([]byte, 1), "1 byte"},
		{0x10, PayloadDeleteV1, cat(u32(1), []byte{1, 16}, u16(1), make([]byte, 16)), "PROTO_ISAKMP 00000000000000000000000000000000"},
		{0x20, PayloadDelete, cat([]byte{3, 4}, u16(2), u32(1), u32(0xcafe)), "ESP 00000001, 0000cafe"},
		{0x20, PayloadDelete, []byte{1, 0, 0, 0}, "IKE SA"},
		{0x20, PayloadTSi, selector4(), "10.0.0.0-10.0.0.255 protocol 17 ports 500-500"},
		{0x20, PayloadTSr, []byte{1, 0, 0, 0, 10, 0, 0, 6, 1, 2}, "TS_SECLABEL 0102"},
		{0x20, PayloadConfig, cat([]byte{1, 0, 0, 0}, tlv(1), tlv(8, cat(make([]byte, 15), []byte{5, 64})...), tlv(7, 'v', '1'), tlv(999, 1)),
			"CFG_REQUEST, INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS=::5, APPLICATION_VERSION=v1, attribute 999=01"},
		{0x10, PayloadAttributesV1, cat([]byte{2, 0, 0, 9}, tv(16527, 1), tlv(16522, []byte("hunter2")...)),
			"CFG_REPLY, XAUTH-STATUS=0001, XAUTH-USER-PASSWORD=(7 bytes withheld)"},
		{0x20, PayloadEAP, []byte{1, 7, 0, 5, 26}, "Request EAP-MSCHAPv2, identifier 7"},
		{0x20, PayloadEAP, []byte{3, 7, 0, 4}, "Success, identifier 7"},
		{0x10, PayloadNATOAV1, []byte{1, 0, 0, 0, 10, 0, 0, 1}, "10.0.0.1"},
		{0x10, PayloadFragmentV1, []byte{0, 3, 2, 1, 9, 9}, "ID 3, fragment 2, the last, 2 bytes"},
		{0x20, PayloadGSPM, []byte{1}, "1 byte"},
		{0x10, PayloadKEV1, make([]byte, 96), "96 bytes"},
		{0x20, PayloadKE, []byte{0, 99, 0, 0, 1}, "group 99"},
	}
	for _, tt := range tests {
		t.Run(tt.kind.Name(), func(t *testing.T) {
			if got := bodyOf[Body](t, tt.version, tt.kind, tt.body).String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestEncrypted(t *testing.T) {
	sk := mustParse(t, testMessage{i: 1, r: 2, exchange: ExchangeIKEAuth, flags: FlagResponse, id: 1, payloads: []testPayload{
		{kind: PayloadNotify, body: notifyV2(0, 40999, nil, nil)},
		{kind: PayloadEncrypted, body: make([]byte, 76), next: PayloadNotify}}}.encode())
	if !sk.Encrypted() || sk.EncryptedLen() != 76 || len(sk.Payloads) != 2 || len(sk.Notifies()) != 1 {
		t.Errorf("%+v", sk)
	}
	if e := sk.Payloads[1].Body.(*Encrypted); e.Inner != PayloadNotify || len(e.Data) != 76 {
		t.Errorf("%+v", e)
	}
	skf := mustParse(t, testMessage{exchange: ExchangeIKEAuth, payloads: []testPayload{
		{kind: PayloadEncryptedFrag, body: cat(u16(2), u16(5), make([]byte, 60)), next: PayloadIDi}}}.encode())
	if n, total, ok := skf.Fragment(); !ok || n != 2 || total != 5 || skf.EncryptedLen() != 60 {
		t.Errorf("fragment %d of %d, %d bytes", n, total, skf.EncryptedLen())
	}
	v1 := mustParse(t, testMessage{i: 1, r: 2, version: 0x10, exchange: ExchangeQuickMode, flags: FlagEncryption, id: 7}.
		header(PayloadHashV1, make([]byte, 40)))
	if !v1.Encrypted() || v1.EncryptedLen() != 40 || len(v1.EncryptedBody) != 40 || v1.Payloads != nil {
		t.Errorf("%+v", v1)
	}
	if got := v1.Summary(); got != "Quick Mode (message ID 00000007), SPIs 00000000…/00000000…, 40 encrypted bytes" {
		t.Error(got)
	}
}

// TestFragmentV1: a vendor fragment is read whether or not E is set.
func TestFragmentV1(t *testing.T) {
	for _, flags := range []uint8{0, FlagEncryption} {
		m := mustParse(t, testMessage{i: 1, version: 0x10, exchange: 2, flags: flags, payloads: []testPayload{
			{kind: PayloadFragmentV1, body: []byte{0, 1, 3, 1, 7}}}}.encode())
		if n, total, ok := m.Fragment(); !ok || n != 3 || total != 3 {
			t.Errorf("flags %d: %d of %d", flags, n, total)
		}
	}
}

func TestNotifyData(t *testing.T) {
	v2 := func(kind NotifyType, data ...byte) *Notify {
		return bodyOf[*Notify](t, 0x20, PayloadNotify, notifyV2(0, kind, nil, data))
	}
	tests := []struct {
		n    *Notify
		want string
	}{
		{v2(NotifyInvalidKEPayload, 0, 19), "INVALID_KE_PAYLOAD: ECP_256"},
		{v2(NotifyInvalidKEPayload, 19), "INVALID_KE_PAYLOAD"},
		{v2(NotifyNoProposalChosen), "NO_PROPOSAL_CHOSEN"},
		{v2(NotifyCookie, 1, 2, 3), "COOKIE: 3 bytes"},
		{v2(NotifySetWindowSize, 0, 0, 0, 5), "SET_WINDOW_SIZE: 5"},
		{v2(NotifyAuthLifetime, 0, 0, 14, 16), "AUTH_LIFETIME: 3600"},
		{v2(NotifyUnsupportedCriticalPayload, 200), "UNSUPPORTED_CRITICAL_PAYLOAD: payload 200"},
		{v2(NotifyAdditionalIP4Address, 10, 0, 0, 7), "ADDITIONAL_IP4_ADDRESS: 10.0.0.7"},
		{v2(NotifySignatureHashAlgorithms, 0, 2, 0, 5), "SIGNATURE_HASH_ALGORITHMS: SHA2-256, Identity"},
		{v2(NotifyRedirect, 1, 4, 192, 0, 2, 1), "REDIRECT: 192.0.2.1"},
		{v2(NotifyRedirect, 3, 3, 'g', 'w', '\n'), `REDIRECT: gw\x0a`},
		{v2(NotifyRedirect, 3, 9), "REDIRECT"},
		{v2(NotifyIPCOMPSupported, 0x12, 0x34, 2), "IPCOMP_SUPPORTED: IPCOMP_DEFLATE, CPI 0x1234"},
		{v2(16431), "SIGNATURE_HASH_ALGORITHMS"},
		{v2(12345), "notify 12345"},
		{bodyOf[*Notify](t, 0x20, PayloadNotify, notifyV2(3, NotifyRekeySA, []byte{1, 2, 3, 4}, nil)), "REKEY_SA: ESP 01020304"},
		{bodyOf[*Notify](t, 0x10, PayloadNotifyV1, notifyV1(1, NotifyRUThere, make([]byte, 16), u32(7))), "R-U-THERE: 7"},
		{bodyOf[*Notify](t, 0x10, PayloadNotifyV1, notifyV1(1, 17, nil, []byte{0, 2})), "INVALID-KEY-INFORMATION"},
		{bodyOf[*Notify](t, 0x10, PayloadNotifyV1, notifyV1(1, 14, nil, nil)), "NO-PROPOSAL-CHOSEN"},
		{bodyOf[*Notify](t, 0x10, PayloadNotifyV1, notifyV1(3, NotifyResponderLifetime, nil, cat(tv(1, 1), tv(2, 3600), tv(1, 2), tlv(2, 1, 0, 0)))),
			"RESPONDER-LIFETIME: 3600s, 65536 kB"},
	}
	for _, tt := range tests {
		if got := tt.n.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestNotifyHelpers(t *testing.T) {
	m := mustParse(t, testMessage{exchange: 34, flags: FlagResponse, payloads: []testPayload{
		{kind: PayloadNotify, body: notifyV2(0, NotifyCookie, nil, []byte{1})},
		{kind: PayloadNotify, body: notifyV2(0, NotifyInvalidKEPayload, nil, u16(31))}}}.encode())
	if n := m.ErrorNotify(); n == nil || n.Type != NotifyInvalidKEPayload {
		t.Errorf("error notify %v", n)
	}
	if g, ok := m.Notify(NotifyInvalidKEPayload).Group(); !ok || g != GroupCurve25519 {
		t.Errorf("group %v", g)
	}
	if m.Notify(NotifyRedirect) != nil {
		t.Error("there is no REDIRECT")
	}
}

func TestTrafficSelectors(t *testing.T) {
	ts := bodyOf[*TrafficSelectors](t, 0x20, PayloadTSi, cat([]byte{2, 0, 0, 0},
		[]byte{8, 58, 0, 40}, u16(0x8800), u16(0x88ff), make([]byte, 16), slices.Repeat([]byte{0xff}, 16), selector4()[4:]))
	if len(ts.Selectors) != 2 || ts.Selectors[0].Start != netip.IPv6Unspecified() || ts.Selectors[0].StartPort != 0x8800 {
		t.Errorf("%+v", ts)
	}
}

func TestPrintable(t *testing.T) {
	if got := Printable([]byte("a\x00\x7f\xc3\xa9\\\"")); got != `a\x00\x7f\xc3\xa9\\"` {
		t.Error(got)
	}
	long := Printable([]byte(strings.Repeat("\n", 5000)))
	if len(long) > 200 || !strings.HasSuffix(long, "… (5000 bytes)") {
		t.Error(long)
	}
}

func TestSummary(t *testing.T) {
	want := "IKE_SA_INIT request, SPIs 01234567…/0, SA(1 IKE: ENCR_AES_CBC-128, ENCR_AES_GCM_16-256, PRF_HMAC_SHA2_256, " +
		"AUTH_HMAC_SHA2_256_128, MODP_2048, CURVE_25519), KE(MODP_2048), Ni(32), N(NAT_DETECTION_SOURCE_IP), " +
		"N(IKEV2_FRAGMENTATION_SUPPORTED), N(SIGNATURE_HASH_ALGORITHMS: SHA2-256, Identity), V(Libreswan 4.10)"
	if got := mustParse(t, initV2().encode()).Summary(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = "Main Mode, SPIs 11111111…/0, SA(1 PROTO_ISAKMP: AES-CBC-128/SHA/pre-shared key/MODP_1024; " +
		"3DES-CBC/MD5/XAUTHInitPreShared/MODP_2048), VID(RFC 3947), VID(FRAGMENTATION 80000000)"
	if got := mustParse(t, mainModeV1().encode()).Summary(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	many := make([]testPayload, 100)
	for i := range many {
		many[i].kind = PayloadNonce
	}
	if got := mustParse(t, testMessage{exchange: 34, payloads: many}.encode()).Summary(); !strings.HasSuffix(got, "… 68 more") {
		t.Error(got)
	}
}
