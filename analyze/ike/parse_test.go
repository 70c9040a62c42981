package ike

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	b := initV2().encode()
	m := mustParse(t, b)
	if m.InitiatorSPI != 0x0123456789abcdef || m.ResponderSPI != 0 || m.Major != 2 || m.Minor != 0 ||
		m.Exchange != ExchangeIKESAInit || int(m.Length) != len(b) || m.NextPayload != PayloadSA {
		t.Errorf("header: %+v", m)
	}
	if !m.FromInitiator() || m.IsResponse() || m.Encrypted() || m.Truncated {
		t.Error("flags are misread")
	}
	if m.InitiatorSPI.String() != "0123456789abcdef" {
		t.Errorf("SPI reads %v", m.InitiatorSPI)
	}
	want := []PayloadType{PayloadSA, PayloadKE, PayloadNonce, PayloadNotify, PayloadNotify, PayloadNotify, PayloadVendorID}
	if got := m.Chain(); !slices.Equal(got, want) {
		t.Errorf("chain %v", got)
	}
	if g, ok := m.KEGroup(); !ok || g != GroupMODP2048 || len(m.KeyExchange().Data) != 256 {
		t.Errorf("KE %v %v", g, ok)
	}
}

func TestSPIText(t *testing.T) {
	var s SPI
	if err := s.UnmarshalText([]byte("00ff00000000000a")); err != nil || s != 0xff00000000000a {
		t.Errorf("%v, %v", s, err)
	}
	if b, _ := s.MarshalText(); string(b) != "00ff00000000000a" {
		t.Errorf("%s", b)
	}
	if err := s.UnmarshalText([]byte("x")); err == nil {
		t.Error("x is no SPI")
	}
}

// TestParseKeepsNothing: the input may be a ring buffer that is used again.
func TestParseKeepsNothing(t *testing.T) {
	b := initV2().encode()
	m := mustParse(t, b)
	clear(b)
	if v := m.VendorIDs()[0].Name(); v != "Libreswan 4.10" {
		t.Errorf("vendor is %q after the input was cleared", v)
	}
}

// TestTruncation cuts good messages at every byte: what is whole stays, and
// the error is ErrTruncated alone.
func TestTruncation(t *testing.T) {
	for _, whole := range seeds()[:len(seeds())-1] {
		all := mustParse(t, whole)
		for n := range whole {
			m, err := Parse(whole[:n])
			if !errors.Is(err, ErrTruncated) || errors.Is(err, ErrMalformed) {
				t.Fatalf("%s cut at %d of %d: %v", all.Summary(), n, len(whole), err)
			}
			if n < HeaderLen {
				continue
			}
			if !m.Truncated || !strings.Contains(m.Summary(), "cut short") {
				t.Fatalf("cut at %d is not marked", n)
			}
			checkPrefix(t, m, all, n)
		}
	}
}

func checkPrefix(t *testing.T, m, all *Message, n int) {
	t.Helper()
	for i, p := range m.Payloads {
		if p.Type != all.Payloads[i].Type {
			t.Fatalf("cut at %d: payload %d is %v", n, i, p.Type)
		}
		complete := p.Offset+p.Length <= n
		if complete != (p.Err == nil) {
			t.Fatalf("cut at %d: payload %d from %d to %d has error %v", n, i, p.Offset, p.Offset+p.Length, p.Err)
		}
	}
}

func TestMalformed(t *testing.T) {
	v2 := func(kind PayloadType, body ...byte) []byte {
		return testMessage{exchange: 34, payloads: []testPayload{{kind: kind, body: body}}}.encode()
	}
	patch := func(b []byte, at int, v ...byte) []byte {
		copy(b[at:], v)
		return b
	}
	transforms := substructs(3, transformV2(1, 12))
	tests := []struct {
		name, want string
		b          []byte
		payloads   int
	}{
		{"length below the header", "Length", patch(initV2().encode(), 24, 0, 0, 0, 27), 0},
		{"payload length 3", "Payload Length", patch(v2(PayloadNonce, 1, 2), 30, 0, 3), 0},
		{"payload longer than the message", "needs 65531 bytes, 2 left", patch(v2(PayloadNonce, 1, 2), 30, 0xff, 0xff), 1},
		{"chain goes on past the end", "Next Payload", patch(v2(PayloadNonce, 1, 2), 28, 40), 1},
		{"bytes after the chain", "bytes after the last payload", testMessage{exchange: 34}.header(PayloadNone, []byte{1}), 0},
		{"proposal with a bad list marker", "Last Substruc", v2(PayloadSA, 3, 0, 0, 8, 1, 1, 0, 0), 1},
		{"proposal length 3", "Length", v2(PayloadSA, 0, 0, 0, 3), 1},
		{"SPI beyond the proposal", "SPI", v2(PayloadSA, 0, 0, 0, 8, 1, 1, 200, 0), 1},
		{"fewer transforms than announced", "Num Transforms", v2(PayloadSA, cat([]byte{0, 0}, u16(8+len(transforms)), []byte{1, 1, 0, 2}, transforms)...), 1},
		{"attribute beyond the transform", "Attribute Value", v2(PayloadSA, saV2(proposal(1, 1, nil, transformV2(1, 12, u16(9), u16(500))))...), 1},
		{"more proposals announced", "Last Substruc", patch(v2(PayloadSA, saV2(proposal(1, 1, nil, transformV2(1, 12)))...), 32, 2), 1},
		{"address of three bytes", "ID_IPV4_ADDR has 4 bytes", v2(PayloadIDi, 1, 0, 0, 0, 10, 0, 0), 1},
		{"SPIs beyond the deletion", "SPI", v2(PayloadDelete, 3, 4, 0, 200, 1, 2, 3, 4), 1},
		{"SPIs of no size", "SPI Size", v2(PayloadDelete, 3, 0, 0xff, 0xff), 1},
		{"fragment 3 of 2", "Fragment Number", v2(PayloadEncryptedFrag, 0, 3, 0, 2), 1},
		{"selector length 2", "Selector Length", v2(PayloadTSi, 1, 0, 0, 0, 7, 0, 0, 2), 1},
		{"selectors missing", "Number of TSs", v2(PayloadTSi, 2, 0, 0, 0, 9, 0, 0, 4), 1},
		{"bytes after the selectors", "bytes after the last field", v2(PayloadTSi, 0, 0, 0, 0, 9), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(tt.b)
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
			if m == nil || len(m.Payloads) != tt.payloads {
				t.Errorf("message %+v", m)
			}
		})
	}
}

// TestFaultInOnePayload: the payloads after it are read all the same.
func TestFaultInOnePayload(t *testing.T) {
	m, err := Parse(testMessage{exchange: 34, payloads: []testPayload{
		{kind: PayloadSA, body: []byte{0, 0, 0, 8, 1, 1, 9, 0}},
		{kind: PayloadNonce, body: make([]byte, 16)},
	}}.encode())
	if !errors.Is(err, ErrMalformed) || m.Payloads[0].Err == nil || m.Payloads[1].Err != nil || m.Nonce() == nil {
		t.Errorf("%+v, %v", m, err)
	}
	var pe *ParseError
	if !errors.As(err, &pe) || pe.Struct != "Proposal" || pe.Field != "SPI" || pe.Offset != HeaderLen+12 || pe.Left != 0 || pe.Need != 9 {
		t.Errorf("error %+v", pe)
	}
}

func TestOtherVersions(t *testing.T) {
	for _, version := range []byte{0x01, 0x30, 0xf5} {
		m, err := Parse(testMessage{version: version, exchange: 34, payloads: []testPayload{{kind: PayloadNonce, body: make([]byte, 4)}}}.encode())
		if !errors.Is(err, ErrVersion) || m.Supported() || m.Payloads != nil || !strings.Contains(m.Summary(), "not decoded") {
			t.Errorf("version %#x: %v, %v", version, m.Summary(), err)
		}
	}
}

func TestUnknownPayloads(t *testing.T) {
	m := mustParse(t, testMessage{exchange: 99, payloads: []testPayload{
		{kind: 200, body: []byte{1, 2, 3}, crit: true}, {kind: PayloadNonceV1, body: make([]byte, 8)}}}.encode())
	if !m.Payloads[0].Critical || m.Payloads[0].Type.String() != "payload 200" || m.Exchange.String() != "exchange 99" {
		t.Errorf("%+v", m.Payloads[0])
	}
	if m.Nonce() != nil {
		t.Error("IKEv1's nonce was read in IKEv2")
	}
	if got := m.Summary(); got != "exchange 99 request, SPIs 0/0, payload 200(3 bytes), payload 10(8 bytes)" {
		t.Error(got)
	}
}

func TestTrailing(t *testing.T) {
	m := mustParse(t, append(initV2().encode(), 0, 0, 0))
	if m.Trailing != 3 {
		t.Errorf("trailing %d", m.Trailing)
	}
}

// TestCaps: a message that is nothing but structure is cut off, and quickly.
func TestCaps(t *testing.T) {
	many := func(n int, b []byte) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = b
		}
		return out
	}
	payloads := make([]testPayload, maxPayloads+1)
	for i := range payloads {
		payloads[i].kind = PayloadNonce
	}
	attrs := cat(many(maxAttributes+1, tv(14, 128))...)
	transforms := substructs(3, many(maxTransforms+1, transformV2(1, 1))...)
	sa := func(b []byte) []testPayload { return []testPayload{{kind: PayloadSA, body: b}} }
	tests := map[string][]testPayload{
		"payloads":   payloads,
		"proposals":  sa(saV2(many(maxProposals+1, []byte{1, 1, 0, 0})...)),
		"attributes": sa(saV2(proposal(1, 1, nil, transformV2(1, 12, attrs)))),
		"transforms": sa(saV2(cat([]byte{1, 1, 0, 255}, transforms))),
		"config":     {{kind: PayloadConfig, body: cat([]byte{1, 0, 0, 0}, cat(many(maxConfigAttributes+1, tlv(1))...))}},
	}
	for name, p := range tests {
		m, err := Parse(testMessage{exchange: 34, payloads: p}.encode())
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than") || m == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
