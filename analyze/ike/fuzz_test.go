package ike

import (
	"errors"
	"testing"
	"unicode"

	"ipsecdiag/fixtures/bounds"
)

// FuzzParse: no bytes may panic, and what Parse returns must hold together.
func FuzzParse(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
		f.Add(b[:len(b)*2/3])
	}
	const ip6, udp = 14, 14 + 40
	for _, frame := range bounds.Frames(f, "../../fixtures") {
		if len(frame) > udp+8+HeaderLen && frame[ip6+6] == 17 {
			f.Add(frame[udp+8:])
		}
	}
	f.Fuzz(bounds.Each(func(t *testing.T, b []byte) {
		defer bounds.Hold(t, len(b), bounds.Small)()
		m, err := Parse(b)
		if m == nil {
			if err == nil || len(b) >= HeaderLen {
				t.Fatalf("no message from %d bytes, error %v", len(b), err)
			}
			return
		}
		checkError(t, err)
		checkMessage(t, m, len(b))
		for _, r := range m.Summary() {
			if !unicode.IsPrint(r) {
				t.Fatalf("summary has %q", r)
			}
		}
	}))
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var pe *ParseError
	if !errors.As(err, &pe) || pe.Left < 0 || pe.Error() == "" {
		t.Fatalf("error %#v", err)
	}
	if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
		t.Fatalf("error of no kind: %v", err)
	}
}

// checkMessage walks all that a rule might ask for.
func checkMessage(t *testing.T, m *Message, size int) {
	t.Helper()
	if len(m.Payloads) > maxPayloads {
		t.Fatalf("%d payloads", len(m.Payloads))
	}
	held := 0
	for _, p := range m.Payloads {
		if p.Body == nil {
			t.Fatalf("payload %v has no body", p.Type)
		}
		if p.Offset < HeaderLen || p.Offset+4+len(p.Raw) > size {
			t.Fatalf("payload %v at %d with %d bytes of %d", p.Type, p.Offset, len(p.Raw), size)
		}
		held += len(p.Raw)
	}
	if held > size {
		t.Fatalf("payloads hold %d bytes of %d", held, size)
	}
	for _, p := range m.Proposals() {
		for _, tr := range p.Transforms {
			_, _ = tr.Algorithms(), tr.Lifetimes()
		}
	}
	for _, id := range m.Identities() {
		_, _, _ = id.Addrs()
		_, _ = id.Prefix()
	}
	if m.EncryptedLen() < 0 {
		t.Fatal("negative length")
	}
	m.CheckNAT(natSource, natDestination)
	m.KEGroup()
	m.Fragment()
	m.ErrorNotify()
	m.HasVendor(VendorDPD)
}

// FuzzDemux: what Demux returns is a tail of what it was given.
func FuzzDemux(f *testing.F) {
	for _, b := range seeds() {
		f.Add(uint16(500), uint16(500), b)
		f.Add(uint16(4500), uint16(4500), cat(make([]byte, 4), b))
	}
	f.Add(uint16(4500), uint16(4500), []byte{0xff})
	f.Add(uint16(4500), uint16(1024), []byte{1, 2, 3, 4, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, src, dst uint16, b []byte) {
		defer bounds.Hold(t, len(b), bounds.Small)()
		kind, rest := Demux(src, dst, b)
		if n := len(b) - len(rest); n != 0 && (n != 4 || kind != UDPIKE) {
			t.Fatalf("%v skips %d bytes", kind, n)
		}
		if _, _, ok := ESPHeader(rest); kind == UDPESP && !ok {
			t.Fatal("ESP without a header")
		}
		if kind == UDPKeepalive && len(b) != 1 {
			t.Fatal("long keepalive")
		}
	})
}
