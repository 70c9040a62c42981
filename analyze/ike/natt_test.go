package ike

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

var (
	natSource      = netip.MustParseAddrPort("192.0.2.1:500")
	natDestination = netip.MustParseAddrPort("[fd00::2]:4500")
)

func TestCheckNAT(t *testing.T) {
	const i, r = SPI(1), SPI(2)
	other := netip.MustParseAddrPort("10.9.8.7:500")
	hash := func(h NATHash, ap netip.AddrPort) []byte { return NATDetectionHash(h, i, r, ap) }
	v2 := func(src ...[]byte) testMessage {
		m := testMessage{i: i, r: r, exchange: 34}
		for _, s := range src {
			m.payloads = append(m.payloads, testPayload{kind: PayloadNotify, body: notifyV2(0, NotifyNATDetectionSourceIP, nil, s)})
		}
		m.payloads = append(m.payloads, testPayload{kind: PayloadNotify,
			body: notifyV2(0, NotifyNATDetectionDestinationIP, nil, hash(NATHashSHA1, natDestination))})
		return m
	}
	v1 := func(kind PayloadType, h NATHash) testMessage {
		return testMessage{i: i, r: r, version: 0x10, exchange: 2, payloads: []testPayload{
			{kind: kind, body: hash(h, natDestination)}, {kind: kind, body: hash(h, other)}, {kind: kind, body: hash(h, natSource)}}}
	}
	tests := []struct {
		name string
		m    testMessage
		want NATCheck
	}{
		{"no NAT", v2(hash(NATHashSHA1, natSource)), NATCheck{true, true, true}},
		{"one of several sources", v2(hash(NATHashSHA1, other), hash(NATHashSHA1, natSource)), NATCheck{true, true, true}},
		{"NAT before the sender", v2(hash(NATHashSHA1, other)), NATCheck{true, false, true}},
		{"false hash", v2(make([]byte, 20)), NATCheck{true, false, true}},
		{"empty hash", v2(nil), NATCheck{true, false, true}},
		{"only the destination", v2(), NATCheck{false, false, true}},
		{"IKEv1 RFC 3947, SHA", v1(PayloadNATDV1, NATHashSHA1), NATCheck{true, true, true}},
		{"IKEv1 draft 02, MD5", v1(PayloadNATDDraft00, NATHashMD5), NATCheck{true, true, true}},
		{"IKEv1 draft 07, SHA2-256", v1(PayloadNATDDraft04, NATHashSHA256), NATCheck{true, true, true}},
		{"IKEv1 SHA2-512", v1(PayloadNATDV1, NATHashSHA512), NATCheck{true, true, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustParse(t, tt.m.encode()).CheckNAT(natSource, natDestination); got != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
	mapped := netip.AddrPortFrom(netip.MustParseAddr("::ffff:192.0.2.1"), 500)
	if !bytes.Equal(hash(NATHashSHA1, mapped), hash(NATHashSHA1, natSource)) {
		t.Error("an IPv4 address in IPv6 form hashes otherwise")
	}
}

// TestVendorHashes holds the hashes against values that RFCs, drafts and
// captures give.
func TestVendorHashes(t *testing.T) {
	tests := map[string]string{
		"4a131c81070358455c5728f20e95452f":         "RFC 3947",
		"4485152d18b6bbcd0be8a8469579ddcc":         "draft-ietf-ipsec-nat-t-ike-00",
		"16f6ca16e4a4066d83821a0f0aeaa862":         "draft-ietf-ipsec-nat-t-ike-01",
		"cd60464335df21f87cfdb2fc68b6a448":         "draft-ietf-ipsec-nat-t-ike-02",
		"90cb80913ebb696e086381b5ec427b1f":         `draft-ietf-ipsec-nat-t-ike-02\n`,
		"7d9419a65310ca6f2c179d9215529d56":         "draft-ietf-ipsec-nat-t-ike-03",
		"439b59f8ba676c4c7737ae22eab8f582":         "draft-ietf-ipsec-nat-t-ike-07",
		"4df37928e9fc4fd1b3262170d515c662":         "draft-ietf-ipsec-nat-t-ike",
		"afcad71368a1f1c96b8696fc77570100":         "DPD (RFC 3706) 1.0",
		"09002689dfd6b712":                         "XAUTH",
		"12f5f28c457168a9702d9fe274cc0100":         "CISCO-UNITY 1.0",
		"4048b7d56ebce88525e7de7f00d6c2d3":         "FRAGMENTATION",
		"4048b7d56ebce88525e7de7f00d6c2d3c0000000": "FRAGMENTATION c0000000",
		"882fe56d6fd20dbc2251613b2ebe5beb":         "strongSwan",
		"4f452d4c696272657377616e2d342e3130":       "Libreswan 4.10",
		"4f456b5262475852766d5045":                 "Openswan",
		"1e2b516905991c7d7c96fcbfb587e46100000008": "MS NT5 ISAKMPOAKLEY (Windows Server 2008 R2)",
		"1e2b516905991c7d7c96fcbfb587e461000000ff": "MS NT5 ISAKMPOAKLEY 000000ff",
		"7003cbc1097dbe9c2600ba6983bc8b35":         "KAME/racoon",
		"810fa565f8ab14369105d706fbd57279":         "RFC XXXX (Solaris NAT-T)",
		"621b04bb09882ac1e15935fefa24aeee":         "GSSAPI",
		"054182a07c7ae206f9d2cf9d2432c482":         "SSH Sentinel",
		"6a7434c19d7e36348090a02334c9c805":         "draft-huttunen-ipsec-esp-in-udp-00.txt",
		"3e984048101e66cc659fd002b0ed3655":         "Cisco IOS",
		"00112233":                                 "unknown 00112233",
		"68656c6c6f":                               `"hello"`,
		"":                                         "unknown ",
	}
	for id, want := range tests {
		v := &VendorID{Data: unhex(t, id)}
		if got := v.Name(); got != want {
			t.Errorf("%s is %q, not %q", id, got, want)
		}
	}
}

// TestVendorTable: every row can be met, and none is hidden by one before it.
func TestVendorTable(t *testing.T) {
	for _, row := range vendors {
		b := row.bytes()
		if len(b) == 0 {
			t.Errorf("%s: bad hexadecimal", row.name)
			continue
		}
		for len(b) < row.length {
			b = append(b, 0)
		}
		v := &VendorID{Data: b}
		if got, ok := v.lookup(); !ok || got.name != row.name {
			t.Errorf("%s (%s) is found as %q", row.name, hex.EncodeToString(b), got.name)
		}
	}
}

func TestHasVendor(t *testing.T) {
	m := mustParse(t, mainModeV1().encode())
	if !m.HasVendor(VendorNATT) || !m.HasVendor(VendorFragmentation) || m.HasVendor(VendorDPD) {
		t.Error("vendor IDs are mixed up")
	}
	if got := m.VendorIDs()[0].NATTDraft(); got != VendorNATT {
		t.Errorf("draft %q", got)
	}
	if got := m.VendorIDs()[1].NATTDraft(); got != "" {
		t.Errorf("draft %q", got)
	}
}

func TestDemux(t *testing.T) {
	msg := initV2().encode()
	zeroSPI := append(make([]byte, 8), msg[8:]...)
	marked := append(make([]byte, 4), msg...)
	esp := []byte{1, 2, 3, 4, 0, 0, 0, 9, 7}
	tests := []struct {
		name     string
		src, dst uint16
		payload  []byte
		kind     UDPKind
		rest     int // bytes skipped
	}{
		{"500", 500, 500, msg, UDPIKE, 0},
		{"500, source port changed by a NAT", 31000, 500, msg, UDPIKE, 0},
		{"500, initiator SPI zero", 500, 500, zeroSPI, UDPIKE, 0},
		{"500, too short", 500, 500, msg[:27], UDPUnknown, 0},
		{"500, cut", 500, 500, msg[:40], UDPIKE, 0},
		{"500, empty", 500, 500, nil, UDPUnknown, 0},
		{"4500, marker", 4500, 4500, marked, UDPIKE, 4},
		{"4500, marker, NAT", 4500, 61000, marked, UDPIKE, 4},
		{"4500, marker alone", 4500, 4500, marked[:4], UDPIKE, 4},
		{"4500, keepalive", 4500, 4500, []byte{0xff}, UDPKeepalive, 0},
		{"500, keepalive", 500, 500, []byte{0xff}, UDPKeepalive, 0},
		{"4500, one other byte", 4500, 4500, []byte{0xfe}, UDPUnknown, 0},
		{"4500, ESP", 61000, 4500, esp, UDPESP, 0},
		{"4500, ESP cut", 61000, 4500, esp[:7], UDPUnknown, 0},
		{"4500, no marker", 4500, 4500, msg, UDPESP, 0},
		{"500 to 4500, marker", 500, 4500, marked, UDPIKE, 4},
		{"500 to 4500, no marker", 500, 4500, msg, UDPIKE, 0},
		{"4500 to 500, ESP", 4500, 500, esp, UDPESP, 0},
		{"other ports", 5000, 6000, msg, UDPIKE, 0},
		{"other ports, marker", 5000, 6000, marked, UDPIKE, 4},
		{"other ports, anything", 5000, 6000, bytes.Repeat([]byte{0x20}, 60), UDPUnknown, 0},
		{"other ports, keepalive", 5000, 6000, []byte{0xff}, UDPUnknown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind, rest := Demux(tt.src, tt.dst, tt.payload)
			if kind != tt.kind || len(tt.payload)-len(rest) != tt.rest {
				t.Errorf("%v, %d bytes skipped", kind, len(tt.payload)-len(rest))
			}
		})
	}
	if spi, seq, ok := ESPHeader(esp); !ok || spi != 0x01020304 || seq != 9 {
		t.Errorf("ESP %x %d", spi, seq)
	}
}
