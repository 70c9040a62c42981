package rules

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// call is a frame of IKE in a test: between glass and teapot, seen at a second.
type call struct {
	at       int // seconds
	answer   bool
	reverse  bool // teapot asks
	spi      byte
	exchange ike.ExchangeType
	id       byte
	port     uint16 // 500 unless told
	fragment [2]byte
	notify   ike.NotifyType
	size     int // bytes of body beyond the header
	cut      [2]int
	datagram byte
}

func be(v ...uint16) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

// body is a payload, opaque unless the test cares.
func (c *call) body() (first ike.PayloadType, b []byte) {
	switch {
	case c.fragment[1] > 0:
		return ike.PayloadEncryptedFrag, slices.Concat([]byte{0, 0}, be(8+40, uint16(c.fragment[0]), uint16(c.fragment[1])), make([]byte, 40))
	case c.notify > 0 && c.exchange < 34:
		return ike.PayloadNotifyV1, slices.Concat([]byte{0, 0}, be(12, 0, 1), []byte{1, 0}, be(uint16(c.notify)))
	case c.notify > 0:
		return ike.PayloadNotify, slices.Concat([]byte{0, 0}, be(8), []byte{0, 0}, be(uint16(c.notify)))
	case c.exchange > 34:
		return ike.PayloadEncrypted, slices.Concat([]byte{0, 0}, be(uint16(4+40+c.size)), make([]byte, 40+c.size))
	case c.exchange < 34:
		return ike.PayloadNonceV1, slices.Concat([]byte{0, 0}, be(4+16), make([]byte, 16))
	}
	return ike.PayloadNonce, slices.Concat([]byte{0, 0}, be(4+16), make([]byte, 16))
}

// frame is the call as an IPv6 packet.
func (c *call) frame() []byte {
	src, dst := glass, teapot
	if c.answer != c.reverse {
		src, dst = dst, src
	}
	version, flags := byte(0x20), byte(0)
	if !c.reverse {
		flags = ike.FlagInitiator
	}
	if c.reverse && c.exchange == ike.ExchangeIKESAInit {
		flags = ike.FlagInitiator
	}
	if c.answer {
		flags = flags ^ ike.FlagInitiator | ike.FlagResponse
	}
	rspi := byte(1)
	if !c.answer && c.exchange == ike.ExchangeIKESAInit {
		rspi = 0
	}
	if c.exchange < 34 {
		version, flags = 0x10, 0
		if !c.answer && c.exchange != ike.ExchangeInformationalV1 {
			rspi = 0
		}
	}
	first, body := c.body()
	port := c.port
	if port == 0 {
		port = 500
	}
	message := slices.Concat([]byte{0, 0, 0, 0, 0, 0, 9, c.spi + 1, 0, 0, 0, 0, 0, 0, 0, rspi, byte(first), version, byte(c.exchange), flags, 0, 0, 0, c.id, 0, 0},
		be(uint16(28+len(body))), body)
	if port == 4500 {
		message = slices.Concat(make([]byte, 4), message)
	}
	udp := slices.Concat(be(port, port, uint16(8+len(message)), 0), message)
	if c.cut[1] > 0 {
		more := uint16(0)
		if c.cut[1] < len(udp) {
			more = 1
		}
		piece := udp[c.cut[0]:min(c.cut[1], len(udp))]
		return packet6(src, dst, 44, slices.Concat([]byte{spd.ProtoUDP, 0}, be(uint16(c.cut[0])|more), []byte{0, 0, 0, c.datagram}, piece))
	}
	return packet6(src, dst, spd.ProtoUDP, udp)
}

func packet6(src, dst netip.Addr, next byte, payload []byte) []byte {
	return slices.Concat([]byte{0x60, 0, 0, 0}, be(uint16(len(payload))), []byte{next, 64}, src.AsSlice(), dst.AsSlice(), payload)
}

// unreachable is teapot's port unreachable about a call.
func unreachable(c call) []byte {
	return packet6(teapot, glass, spd.ProtoICMPv6, slices.Concat([]byte{1, 4, 0, 0, 0, 0, 0, 0}, c.frame()))
}

// heard runs the rules on IKE over calls and returns the findings at that second.
func heard(until int, refused bool, calls ...call) []Finding {
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{IKEVersionMismatch, IKEFragmentsLost, IKENATTBlocked, IKENoResponse})
	for s := range until + 1 {
		d := time.Duration(s) * time.Second
		for _, c := range calls {
			if c.at != s {
				continue
			}
			frames := [][]byte{c.frame()}
			if refused && !c.answer {
				frames = append(frames, unreachable(c))
			}
			for i, b := range frames {
				e.Apply(&analyze.Frame{Header: at("tap", d+time.Duration(i+1)*time.Millisecond), Link: analyze.LinkRaw, OrigLen: len(b), Data: b})
			}
		}
		e.Apply(tick(d + 500*time.Millisecond))
	}
	return e.Findings()
}

// told writes findings in short.
func told(all []Finding) string {
	var out []string
	for _, f := range all {
		out = append(out, fmt.Sprintf("%s %s %s", f.Rule, f.State, f.Confidence))
	}
	return strings.Join(out, ", ")
}

// again repeats a call at those seconds.
func again(c call, seconds ...int) (out []call) {
	for _, s := range seconds {
		c.at = s
		out = append(out, c)
	}
	return out
}

func TestIKEThatDoesNotGetOn(t *testing.T) {
	const sainit, auth, info, mm = ike.ExchangeIKESAInit, ike.ExchangeIKEAuth, ike.ExchangeInformational, ike.ExchangeIdentityProtection
	first, reply := call{exchange: sainit}, call{exchange: sainit, answer: true}
	up := []call{first, reply, {exchange: auth, id: 1}, {exchange: auth, id: 1, answer: true}}
	tests := []struct {
		name    string
		until   int
		refused bool
		calls   []call
		want    string
	}{
		{"asked three times", 13, false, again(first, 0, 4, 11), "ike-no-response open likely"},
		{"asked twice", 13, false, again(first, 0, 4), ""},
		{"libreswan: four times in 4 s, then one more", 11, false, again(first, 0, 1, 2, 4, 8), "ike-no-response open likely"},
		{"refused by port unreachable", 13, true, again(first, 0, 4, 11), "ike-no-response open certain"},
		{"answered at last", 30, false, append(again(first, 0, 4, 11, 24), call{at: 25, exchange: sainit, answer: true}), "ike-no-response resolved likely"},
		{"a lost answer", 30, false, append(append(again(first, 0, 4), again(reply, 0, 4)...), again(call{exchange: auth, id: 1}, 5)...), ""},
		{"answered each time, asked again", 26, false, append(again(first, 0, 4, 11, 24), again(reply, 0, 4, 11, 24)...), "ike-no-response open likely"},
		{"answered, then nothing", 40, false, []call{first, reply}, ""},
		{"dead peer detection, three times", 40, false, append(up, again(call{exchange: info, id: 2}, 20, 24, 31)...), ""},
		{"dead peer detection, four times", 45, false, append(up, again(call{exchange: info, id: 2}, 20, 24, 31, 44)...), "ike-no-response open likely"},
		{"the peer asks meanwhile", 45, false, append(append(up, again(call{exchange: info, id: 2}, 20, 24, 31, 44)...),
			call{at: 43, exchange: info, id: 0, reverse: true}), ""},
		{"silent on port 4500", 13, false, append([]call{first, reply}, again(call{exchange: auth, id: 1, port: 4500}, 0, 4, 11)...), "ike-natt-blocked open likely"},
		{"silent on port 500", 13, false, append([]call{first, reply}, again(call{exchange: auth, id: 1}, 0, 4, 11)...), "ike-no-response open likely"},
		{"silent on port 4500, in IP fragments", 13, false, append([]call{first, reply},
			append(pieces(1, 0), append(pieces(2, 4), pieces(3, 11)...)...)...), "ike-fragments-lost open likely"},
		{"the first IP fragments alone", 13, false, append([]call{first, reply}, pieces(1, 0)[0], pieces(2, 4)[0], pieces(3, 11)[0]), "ike-fragments-lost open certain"},
		{"the later IP fragments alone", 13, false, append([]call{first, reply}, pieces(1, 0)[1], pieces(2, 4)[1], pieces(3, 11)[1]), "ike-fragments-lost open likely"},
		{"one of the first alone, then whole and answered", 13, false, append([]call{first, reply, pieces(1, 0)[0]},
			append(pieces(2, 4), call{at: 4, exchange: auth, id: 1, answer: true})...), ""},
		{"IKE fragments, one is missing", 13, false, append([]call{first, reply}, again(call{exchange: auth, id: 1, fragment: [2]byte{1, 2}}, 0, 4)...),
			"ike-fragments-lost open certain"},
		{"both versions, no answers", 13, false, append(again(first, 0, 4, 11), again(call{spi: 1, exchange: mm, reverse: true}, 0, 4, 11)...),
			"ike-version-mismatch open likely, ike-no-response open likely"},
		{"one end tries both versions", 13, false, append(again(first, 0, 4, 11), again(call{spi: 1, exchange: mm}, 0, 4, 11)...),
			"ike-no-response open likely"},
		{"INVALID_MAJOR_VERSION", 5, false, []call{first, {at: 1, exchange: sainit, answer: true, notify: ike.NotifyInvalidMajorVersion}},
			"ike-version-mismatch open certain"},
		{"both versions, and one works", 13, false, append(up, again(call{spi: 1, exchange: mm, reverse: true}, 0)...), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := heard(tt.until, tt.refused, tt.calls...)
			if got := told(all); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for _, f := range all {
				if f.Explanation == "" || len(f.Evidence) == 0 || len(f.Remedies) == 0 {
					t.Errorf("%s lacks words, evidence or a remedy: %+v", f.Rule, f)
				}
			}
		})
	}
}

// pieces is a large IKE_AUTH request in two IP fragments.
func pieces(datagram byte, at int) []call {
	c := call{at: at, exchange: ike.ExchangeIKEAuth, id: 1, size: 1000, datagram: datagram}
	first, last := c, c
	first.cut, last.cut = [2]int{0, 800}, [2]int{800, 65535}
	return []call{first, last}
}

func TestEachSilenceIsTheClaimOfOneRule(t *testing.T) {
	effects := map[string]string{}
	for _, c := range causes {
		effects[c.effect+" by "+c.by] = c.effect
	}
	for _, by := range []string{"ike-no-response", "ike-natt-blocked", "ike-fragments-lost", "ike-version-mismatch"} {
		if effects["acquire-stall by "+by] == "" {
			t.Errorf("%s does not explain acquire-stall", by)
		}
	}
}

// proposal2 is a proposal of IKEv2 with these transforms: type, number, key bits.
func proposal2(transforms ...[3]uint16) ike.Proposal {
	q := ike.Proposal{Major: 2, Number: 1, Protocol: ike.ProtocolIKE}
	for _, t := range transforms {
		tr := ike.Transform{Major: 2, Protocol: ike.ProtocolIKE, Type: ike.TransformType(t[0]), ID: t[1]}
		if t[2] > 0 {
			tr.Attributes = []ike.Attribute{{Type: 14, TV: true, Value: be(t[2])}}
		}
		q.Transforms = append(q.Transforms, tr)
	}
	return q
}

func TestWeakAlgorithmsOfProposals(t *testing.T) {
	aes, md5, sha1, sha2 := [3]uint16{1, 12, 128}, [3]uint16{2, 1, 0}, [3]uint16{2, 2, 0}, [3]uint16{2, 5, 0}
	des3, g2, g14 := [3]uint16{1, 3, 0}, [3]uint16{4, 2, 0}, [3]uint16{4, 14, 0}
	tests := []struct {
		name  string
		offer []ike.Proposal
		used  int // weak where chosen
		named int // weak where offered
		sound bool
	}{
		{"strong", []ike.Proposal{proposal2(aes, sha2, g14)}, 0, 0, true},
		{"strongSwan's default ends with SHA-1", []ike.Proposal{proposal2(aes, sha2, sha1, g14)}, 1, 0, true},
		{"SHA-1 alone", []ike.Proposal{proposal2(aes, sha1, g14)}, 1, 0, false},
		{"MD5 and MODP 1024", []ike.Proposal{proposal2(aes, md5, g2)}, 2, 2, false},
		{"3DES beside AES", []ike.Proposal{proposal2(aes, des3, sha2, g14)}, 1, 1, true},
		{"3DES in a proposal of its own, named once", []ike.Proposal{proposal2(aes, sha2, g14), proposal2(des3, sha2, g14), proposal2(des3, sha2, g14)}, 1, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var all []ike.Algorithm
			for _, q := range tt.offer {
				for _, tr := range q.Transforms {
					all = append(all, tr.Algorithms()...)
				}
			}
			used, named := weakIn(all, true), weakIn(all, false)
			if len(used) != tt.used || len(named) != tt.named || sound(tt.offer) != tt.sound {
				t.Errorf("%v where chosen, %v where offered, sound %t", used, named, sound(tt.offer))
			}
		})
	}
}

func TestOffersOfBothVersionsAreCompared(t *testing.T) {
	v1 := func(cipher, hash, group uint16) []ike.Proposal {
		attr := func(kind, v uint16) ike.Attribute {
			return ike.Attribute{Class: ike.AttributesPhase1, Type: kind, TV: true, Value: be(v)}
		}
		return []ike.Proposal{{Major: 1, Protocol: ike.ProtocolIKE, Transforms: []ike.Transform{{
			Major: 1, Protocol: ike.ProtocolIKE, ID: 1, Attributes: []ike.Attribute{attr(1, cipher), attr(14, 128), attr(2, hash), attr(4, group)},
		}}}}
	}
	v2 := []ike.Proposal{proposal2([3]uint16{1, 12, 128}, [3]uint16{2, 5, 0}, [3]uint16{4, 14, 0})}
	if !inCommon(v1(7, 4, 14), v2) {
		t.Error("AES-128, SHA-256, MODP 2048 are not found to be in both offers")
	}
	if inCommon(v1(7, 4, 2), v2) || inCommon(v1(5, 4, 14), v2) || inCommon(nil, v2) {
		t.Error("offers with nothing in common are found to have something")
	}
}

func TestWeakSAs(t *testing.T) {
	alg := func(name string) *spd.Algorithm { return &spd.Algorithm{Name: name} }
	tests := []struct {
		name string
		sa   spd.SA
		want int
	}{
		{"AES-GCM", spd.SA{SPI: 1, Proto: spd.ProtoESP, AEAD: alg("rfc4106(gcm(aes))")}, 0},
		{"AES-CBC with SHA-256", spd.SA{SPI: 1, Proto: spd.ProtoESP, Enc: alg("cbc(aes)"), Auth: alg("hmac(sha256)")}, 0},
		{"3DES with MD5", spd.SA{SPI: 1, Proto: spd.ProtoESP, Enc: alg("cbc(des3_ede)"), Auth: alg("hmac(md5)")}, 2},
		{"nothing to tell changes by", spd.SA{SPI: 1, Proto: spd.ProtoESP, Enc: alg("cbc(aes)")}, 1},
		{"AH", spd.SA{SPI: 1, Proto: spd.ProtoAH, Auth: alg("hmac(sha256)")}, 0},
		{"larval", spd.SA{Proto: spd.ProtoESP}, 0},
		{"reserved", spd.SA{SPI: 1, Proto: spd.ProtoESP}, 0},
	}
	for _, tt := range tests {
		if got := weakSA(&tt.sa); len(got) != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
