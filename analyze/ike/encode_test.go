package ike

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// A small encoder, so that tests are read as messages and not as bytes.

func u16(v int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type testPayload struct {
	kind PayloadType
	body []byte
	crit bool
	next PayloadType // of the last payload: what SK holds
}

type testMessage struct {
	i, r     SPI
	version  byte // 0x20 where left out
	exchange ExchangeType
	flags    uint8
	id       uint32
	payloads []testPayload
}

func (m testMessage) encode() []byte {
	var body []byte
	first := PayloadNone
	for n, p := range m.payloads {
		if n == 0 {
			first = p.kind
		}
		next := p.next
		if n+1 < len(m.payloads) {
			next = m.payloads[n+1].kind
		}
		crit := byte(0)
		if p.crit {
			crit = 0x80
		}
		body = cat(body, []byte{byte(next), crit}, u16(len(p.body)+4), p.body)
	}
	return m.header(first, body)
}

// header puts the ISAKMP header before a body that is already encoded.
func (m testMessage) header(first PayloadType, body []byte) []byte {
	if m.version == 0 {
		m.version = 0x20
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(m.i))
	b = binary.BigEndian.AppendUint64(b, uint64(m.r))
	b = append(b, byte(first), m.version, byte(m.exchange), m.flags)
	b = append(b, u32(m.id)...)
	b = append(b, u32(uint32(HeaderLen+len(body)))...)
	return append(b, body...)
}

// substructs encodes a list of proposals (self 2) or transforms (self 3).
func substructs(self byte, bodies ...[]byte) []byte {
	var out []byte
	for i, b := range bodies {
		next := self
		if i == len(bodies)-1 {
			next = 0
		}
		out = cat(out, []byte{next, 0}, u16(len(b)+4), b)
	}
	return out
}

func proposal(number, protocol byte, spi []byte, transforms ...[]byte) []byte {
	return cat([]byte{number, protocol, byte(len(spi)), byte(len(transforms))}, spi, substructs(3, transforms...))
}

func transformV2(kind byte, id int, attrs ...[]byte) []byte {
	return cat([]byte{kind, 0}, u16(id), cat(attrs...))
}

func transformV1(number, id byte, attrs ...[]byte) []byte {
	return cat([]byte{number, id, 0, 0}, cat(attrs...))
}

func tv(kind, value int) []byte { return cat(u16(kind|0x8000), u16(value)) }

func tlv(kind int, value ...byte) []byte { return cat(u16(kind), u16(len(value)), value) }

func saV1(proposals ...[]byte) []byte {
	return cat(u32(DOIIPsec), u32(situationIdentityOnly), substructs(2, proposals...))
}

func saV2(proposals ...[]byte) []byte { return substructs(2, proposals...) }

func notifyV2(protocol byte, kind NotifyType, spi, data []byte) []byte {
	return cat([]byte{protocol, byte(len(spi))}, u16(int(kind)), spi, data)
}

func notifyV1(protocol byte, kind NotifyType, spi, data []byte) []byte {
	return cat(u32(DOIIPsec), notifyV2(protocol, kind, spi, data))
}

// initV2 is an IKE_SA_INIT request as daemons send it.
func initV2() testMessage {
	return testMessage{i: 0x0123456789abcdef, exchange: ExchangeIKESAInit, flags: FlagInitiator, payloads: []testPayload{
		{kind: PayloadSA, body: saV2(proposal(1, 1, nil,
			transformV2(1, 12, tv(14, 128)), transformV2(1, 20, tv(14, 256)),
			transformV2(2, 5), transformV2(3, 12), transformV2(4, 14), transformV2(4, 31)))},
		{kind: PayloadKE, body: cat(u16(14), u16(0), make([]byte, 256))},
		{kind: PayloadNonce, body: make([]byte, 32)},
		{kind: PayloadNotify, body: notifyV2(0, NotifyNATDetectionSourceIP, nil, make([]byte, 20))},
		{kind: PayloadNotify, body: notifyV2(0, NotifyIKEv2FragmentationSupported, nil, nil)},
		{kind: PayloadNotify, body: notifyV2(0, NotifySignatureHashAlgorithms, nil, cat(u16(2), u16(5)))},
		{kind: PayloadVendorID, body: []byte("OE-Libreswan-4.10")},
	}}
}

// mainModeV1 is the first message of a Main Mode.
func mainModeV1() testMessage {
	vid := vendor{name: VendorNATT}.bytes()
	return testMessage{i: 0x1111111122222222, version: 0x10, exchange: ExchangeIdentityProtection, payloads: []testPayload{
		{kind: PayloadSAV1, body: saV1(proposal(1, 1, nil,
			transformV1(1, 1, tv(1, 7), tv(14, 128), tv(2, 2), tv(3, 1), tv(4, 2), tv(11, 1), tlv(12, 0, 1, 0x51, 0x80)),
			transformV1(2, 1, tv(1, 5), tv(2, 1), tv(3, 65001), tv(4, 14), tv(11, 1), tv(12, 3600))))},
		{kind: PayloadVendorIDV1, body: vid},
		{kind: PayloadVendorIDV1, body: cat(vendor{name: VendorFragmentation}.bytes(), []byte{0x80, 0, 0, 0})},
	}}
}

// quickModeV1 is the first message of a Quick Mode, as it would be decrypted.
func quickModeV1() testMessage {
	return testMessage{i: 1, r: 2, version: 0x10, exchange: ExchangeQuickMode, id: 0xdeadbeef, payloads: []testPayload{
		{kind: PayloadHashV1, body: make([]byte, 20)},
		{kind: PayloadSAV1, body: saV1(proposal(1, 3, []byte{0xca, 0xfe, 0, 1},
			transformV1(1, 12, tv(6, 256), tv(5, 5), tv(4, 2), tv(3, 14), tv(11, 1), tv(1, 2), tlv(2, 0, 0x46, 0x50, 0))))},
		{kind: PayloadNonceV1, body: make([]byte, 16)},
		{kind: PayloadIDV1, body: cat([]byte{4, 0, 0, 0}, []byte{10, 1, 0, 0, 255, 255, 0, 0})},
		{kind: PayloadIDV1, body: cat([]byte{6, 58, 0, 136}, make([]byte, 15), []byte{1}, []byte(strings.Repeat("\xff", 8)), make([]byte, 8))},
	}}
}

// seeds are well-formed messages of all kinds, for the fuzz targets.
func seeds() [][]byte {
	v2 := func(x ExchangeType, flags uint8, p ...testPayload) []byte {
		return testMessage{i: 1, r: 2, exchange: x, flags: flags, id: 1, payloads: p}.encode()
	}
	return [][]byte{
		initV2().encode(), mainModeV1().encode(), quickModeV1().encode(),
		v2(ExchangeIKEAuth, FlagInitiator, testPayload{kind: PayloadEncrypted, body: make([]byte, 200), next: PayloadIDi}),
		v2(ExchangeIKEAuth, FlagInitiator, testPayload{kind: PayloadEncryptedFrag, body: cat(u16(1), u16(2), make([]byte, 60)), next: PayloadIDi}),
		v2(ExchangeIKESAInit, FlagResponse, testPayload{kind: PayloadNotify, body: notifyV2(0, NotifyInvalidKEPayload, nil, u16(14))}),
		v2(ExchangeInformational, FlagResponse, testPayload{kind: PayloadDelete, body: cat([]byte{3, 4}, u16(2), u32(1), u32(2))}),
		v2(ExchangeIKEAuth, FlagResponse,
			testPayload{kind: PayloadIDr, body: cat([]byte{2, 0, 0, 0}, []byte("teapot.example"))},
			testPayload{kind: PayloadCert, body: []byte{4, 1, 2, 3}},
			testPayload{kind: PayloadCertReq, body: cat([]byte{4}, make([]byte, 40))},
			testPayload{kind: PayloadAuth, body: []byte{2, 0, 0, 0, 9, 9}},
			testPayload{kind: PayloadTSi, body: selector4()},
			testPayload{kind: PayloadConfig, body: cat([]byte{2, 0, 0, 0}, tlv(1, 10, 0, 0, 9), tlv(7))},
			testPayload{kind: PayloadEAP, body: []byte{1, 7, 0, 5, 1}}),
		testMessage{i: 1, r: 2, version: 0x10, exchange: ExchangeAggressive, payloads: []testPayload{
			{kind: PayloadFragmentV1, body: []byte{0, 1, 1, 1, 5, 6}}}}.encode(),
		testMessage{i: 1, r: 2, version: 0x10, exchange: ExchangeInformationalV1, payloads: []testPayload{
			{kind: PayloadNotifyV1, body: notifyV1(1, NotifyRUThere, make([]byte, 16), u32(7))},
			{kind: PayloadDeleteV1, body: cat(u32(1), []byte{3, 4}, u16(1), u32(9))},
			{kind: PayloadNATDDraft00, body: make([]byte, 20)},
			{kind: PayloadNATOAV1, body: []byte{1, 0, 0, 0, 10, 0, 0, 1}},
			{kind: PayloadAttributesV1, body: cat([]byte{1, 0, 0, 7}, tv(16520, 0), tlv(16522, 's', '3'))}}}.encode(),
		testMessage{version: 0x30, exchange: 99}.encode(),
	}
}

func selector4() []byte {
	return cat([]byte{1, 0, 0, 0, 7, 17, 0, 16}, u16(500), u16(500), []byte{10, 0, 0, 0, 10, 0, 0, 255})
}

// mustParse parses a message that must be whole.
func mustParse(t *testing.T, b []byte) *Message {
	t.Helper()
	m, err := Parse(b)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return m
}

// bodyOf parses a message with one payload and returns its body.
func bodyOf[T Body](t *testing.T, version byte, kind PayloadType, body []byte) T {
	t.Helper()
	m := mustParse(t, testMessage{i: 1, r: 2, version: version, exchange: 37, payloads: []testPayload{{kind: kind, body: body}}}.encode())
	b, ok := m.Payloads[0].Body.(T)
	if !ok {
		t.Fatalf("payload %v has body %T", kind, m.Payloads[0].Body)
	}
	return b
}
