package text

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

// parse reads one file that must be in order.
func parse(t *testing.T, name, data string) Result {
	t.Helper()
	r := Parse(Options{}, File{name, []byte(data)})
	for _, p := range append(r.Errors.List, r.Warnings.List...) {
		t.Error(p)
	}
	return r
}

func matches(expr string, b []byte) int {
	return len(regexp.MustCompile("(?m)"+expr).FindAll(b, -1))
}

// TestRecordedTextReadsWhole reads what ip printed in every scenario of the
// lab: iproute2 6.1 on 6.1, strongSwan's and libreswan's policies and SAs.
func TestRecordedTextReadsWhole(t *testing.T) {
	files, _ := filepath.Glob("../../../fixtures/*/*.policy.txt")
	states, _ := filepath.Glob("../../../fixtures/*/*.state.txt")
	if len(files) < 20 || len(states) < 20 {
		t.Fatalf("%d and %d recorded texts", len(files), len(states))
	}
	var policies, templates, sas, sealed, larval int
	for _, name := range append(files, states...) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r := parse(t, name, string(b))
		if n := matches(`^\tdir `, b); len(r.DB.Policies) != n {
			t.Errorf("%s: %d policies, want %d", name, len(r.DB.Policies), n)
		}
		if n := matches(`^src [^/\n]*$`, b); len(r.DB.SAs) != n {
			t.Errorf("%s: %d SAs, want %d", name, len(r.DB.SAs), n)
		}
		for i := range r.DB.Policies {
			p := &r.DB.Policies[i]
			policies, templates = policies+1, templates+len(p.Templates)
			if p.Index == 0 || p.AddTime == 0 || r.PolicyAt(p).File != name {
				t.Errorf("%s: %s: index %d, added %d, at %s", name, p, p.Index, p.AddTime, r.PolicyAt(p))
			}
		}
		for i := range r.DB.SAs {
			s := &r.DB.SAs[i]
			sas++
			if s.AEAD != nil && s.Usable() && s.AEAD.ICVBits == 128 {
				sealed++
			}
			if s.Larval() && s.Limits.HardAdd > 0 && s.Selector.Proto != 0 {
				larval++
			}
		}
	}
	if policies < 100 || templates < 60 || sas < 30 || sealed < 20 || larval < 8 {
		t.Errorf("%d policies, %d templates, %d SAs, %d of them with keys, %d larval", policies, templates, sas, sealed, larval)
	}
}

const printedPolicies = `src fd00::1/128 dst fd00::2/128 proto ipv6-icmp type 136 code 0 dev eth0 uid 0
	security context system_u:object_r:ipsec_spd_t:s0 
	dir out action block index 113 priority 268927 ptype sub share any flag localok icmp (0x00000011)
	lifetime config:
	  limit: soft (INF)(bytes), hard (INF)(bytes)
	  limit: soft (INF)(packets), hard (INF)(packets)
	  expire add: soft 0(sec), hard 0(sec)
	  expire use: soft 0(sec), hard 0(sec)
	lifetime current:
	  0(bytes), 0(packets)
	  add 2026-11-24 02:58:08 use -
	mark 0x5/0xff output-mark 0x7/0xff
	tmpl src 198.51.100.1 dst 198.51.100.2
		proto esp spi 0xc266d003(3261517827) reqid 1(0x00000001) mode tunnel
		level use share any 
		enc-mask ffffffff auth-mask ffffffff comp-mask ffffffff
	tmpl src :: dst ::
		proto comp reqid 0 mode transport
	packet offload parameters: dev eth1 dir in
	if_id 0x2a
src 0.0.0.0/0 dst 0.0.0.0/0 
	socket in priority 0 
`

func TestPolicyIsReadFieldByField(t *testing.T) {
	r := parse(t, "policy.txt", printedPolicies)
	if len(r.DB.Policies) != 2 {
		t.Fatalf("%d policies", len(r.DB.Policies))
	}
	socket, p := r.DB.Policies[0], r.DB.Policies[1] // the newest is printed first
	if !socket.Socket || socket.Direction != spd.In || socket.Selector.Family != spd.IPv4 {
		t.Errorf("socket policy: %+v", socket)
	}
	want := spd.Policy{
		Selector: spd.Selector{
			Src: netip.MustParsePrefix("fd00::1/128"), Dst: netip.MustParsePrefix("fd00::2/128"), Family: spd.IPv6,
			Proto: spd.ProtoICMPv6, SrcPort: 136, SrcPortMask: 0xffff, DstPortMask: 0xffff, IfIndex: r.Devices["eth0"],
		},
		Direction: spd.Out, Type: spd.Sub, Action: spd.Block, Priority: 268927, Index: 113, Flags: 3,
		Mark: spd.Mark{Value: 5, Mask: 0xff}, IfID: 42, AddTime: uint64(time.Date(2026, 11, 24, 2, 58, 8, 0, time.UTC).Unix()),
		Templates: []spd.Template{
			{
				Src: netip.MustParseAddr("198.51.100.1"), Dst: netip.MustParseAddr("198.51.100.2"), Family: spd.IPv4,
				SPI: 0xc266d003, Proto: spd.ProtoESP, Mode: spd.Tunnel, ReqID: 1, Optional: true,
			},
			{Src: netip.IPv6Unspecified(), Dst: netip.IPv6Unspecified(), Family: spd.IPv6, Proto: spd.ProtoIPComp},
		},
		Offload: &spd.Offload{IfIndex: r.Devices["eth1"], Flags: 6},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got\n%+v\nwant\n%+v", p, want)
	}
	if r.Devices["eth0"] == 0 || r.Devices["eth1"] == r.Devices["eth0"] || r.PolicyAt(&p).String() != "policy.txt:1" {
		t.Errorf("devices %v, at %s", r.Devices, r.PolicyAt(&p))
	}
	unindented := Parse(Options{}, File{"policy.txt", []byte(strings.ReplaceAll(printedPolicies, "\t", ""))})
	if !reflect.DeepEqual(unindented, r) {
		t.Errorf("without tabs: %+v", unindented.Errors)
	}
}

const printedStates = `src fd00::1 dst fd00::2
	proto esp spi 0x00001000(4096) reqid 7(0x00000007) mode transport
	replay-window 0 seq 0x00000012 flag noecn esnextra_flag oseq-may-wrap (0x10000001)
	mark 0x5/0xff 
	auth-trunc hmac(sha256) 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff (256 bits) 128
	enc cbc(aes) 0x00112233445566778899aabbccddeeff (128 bits)
	encap type espinudp sport 4500 dport 4501 addr ::
	anti-replay esn context:
	 seq-hi 0x1, seq 0x2, oseq-hi 0x3, oseq 0x4
	 replay_window 64, bitmap-length 2
	 ffffffff 0000000f 
	crypto offload parameters: dev eth0 dir out
	if_id 0x7
	tfcpad 5
	dir out
	sel src fd00::/64 dst fd00::2/128 proto udp dport 53 uid 0
	lifetime config:
	  limit: soft 1(bytes), hard 2(bytes)
	  limit: soft 3(packets), hard (INF)(packets)
	  expire add: soft 5(sec), hard 6(sec)
	  expire use: soft 7(sec), hard 8(sec)
	lifetime current:
	  9(bytes), 10(packets)
	  add 2026-11-24 02:58:08 use 2026-11-24 02:58:09
	stats:
	  replay-window 11 replay 12 failed 13
src 192.0.2.1 dst 192.0.2.2
	proto ah spi 0x00002000 reqid 0 mode tunnel
	replay-window 32 flag wildrecv
	auth hmac(sha1) 0x00112233445566778899aabbccddeeff00112233
	anti-replay context: seq 0xb, oseq 0x0, bitmap 0x000007ff
src 192.0.2.1 dst 192.0.2.3
	proto esp spi 0x00003000 reqid 0 mode tunnel
	replay-window 32 
	aead rfc4106(gcm(aes)) <<Keys hidden>> 128
src 192.0.2.1 dst 192.0.2.4
	proto esp spi 0x00003000 reqid 0 mode tunnel
	replay-window 32 
	auth-trunc digest_null 0
	enc ecb(cipher_null) 
src 192.0.2.1 dst 192.0.2.5
	proto comp spi 0x00000300 reqid 0 mode transport
	replay-window 0 
	comp deflate 0x
src 192.0.2.1 dst 192.0.2.6
	proto esp spi 0x00000400 reqid 0 mode transport
	replay-window 0 
	auth-trunc hmac(sha256) 0xXXXXXXXX 96
	enc cbc(aes) <removed>
`

func TestSAIsReadFieldByField(t *testing.T) {
	r := parse(t, "state.txt", printedStates)
	if len(r.DB.SAs) != 6 {
		t.Fatalf("%d SAs", len(r.DB.SAs))
	}
	want := spd.SA{
		Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 0x1000, Proto: spd.ProtoESP, ReqID: 7,
		Family: spd.IPv6, Seq: 12, Flags: 0x81, Mark: spd.Mark{Value: 5, Mask: 0xff}, IfID: 7, Dir: spd.DirOut,
		Selector: spd.Selector{
			Src: netip.MustParsePrefix("fd00::/64"), Dst: netip.MustParsePrefix("fd00::2/128"), Proto: spd.ProtoUDP,
			DstPort: 53, DstPortMask: 0xffff, Family: spd.IPv6,
		},
		Enc:     &spd.Algorithm{Name: "cbc(aes)", KeyBits: 128},
		Auth:    &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128},
		Encap:   &spd.Encap{Type: 2, SrcPort: 4500, DstPort: 4501},
		Offload: &spd.Offload{IfIndex: r.Devices["eth0"]},
		Replay:  spd.Replay{Window: 64, ESN: true, InSeq: 1<<32 | 2, OutSeq: 3<<32 | 4},
		Limits: spd.Lifetime{
			SoftBytes: 1, HardBytes: 2, SoftPackets: 3, SoftAdd: 5, HardAdd: 6, SoftUse: 7, HardUse: 8,
		},
		Used:  spd.Usage{Bytes: 9, Packets: 10, AddTime: 1795489088, UseTime: 1795489089},
		Stats: spd.SAStats{ReplayWindow: 11, Replay: 12, IntegrityFailed: 13},
	}
	if !reflect.DeepEqual(r.DB.SAs[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", r.DB.SAs[0], want)
	}
	if k := r.Keys[want.Key()]; k.Enc.Len() != 128 || k.Auth.Len() != 256 || k.AEAD.Known() {
		t.Errorf("keys: %v", k)
	}
	ah, hidden, null, comp, black := r.DB.SAs[1], r.DB.SAs[2], r.DB.SAs[3], r.DB.SAs[4], r.DB.SAs[5]
	if ah.Auth.ICVBits != 96 || ah.Flags != spd.StateWildRecv || ah.Replay.InSeq != 11 || ah.Replay.Window != 32 {
		t.Errorf("AH: %+v", ah)
	}
	if hidden.AEAD == nil || hidden.AEAD.ICVBits != 128 || hidden.AEAD.KeyBits != 0 || r.Keys[hidden.Key()].any() {
		t.Errorf("hidden keys: %+v", hidden.AEAD)
	}
	if null.Auth.ICVBits != 0 || null.Enc.Name != "ecb(cipher_null)" || comp.Comp == nil {
		t.Errorf("null: %+v %+v, comp %+v", null.Auth, null.Enc, comp.Comp)
	}
	if black.Auth.ICVBits != 96 || black.Enc == nil || r.Keys[black.Key()].any() {
		t.Errorf("keys that were blacked out: %+v %+v", black.Auth, black.Enc)
	}
}

func TestPoliciesAndSAsStandInOneFileOrInTwo(t *testing.T) {
	one := parse(t, "all.txt", "root@glass:~# ip -s xfrm policy\n"+printedPolicies+"[root@glass ~]# ip xfrm state\n"+printedStates+"$ ")
	two := Parse(Options{}, File{"p.txt", []byte(printedPolicies)}, File{"s.txt", []byte(printedStates)}, File{"empty.txt", nil})
	if !reflect.DeepEqual(one.DB, two.DB) || len(two.Errors.List) != 0 {
		t.Errorf("one\n%+v\ntwo\n%+v\n%v", one.DB, two.DB, two.Errors)
	}
	if p := two.SAAt(&two.DB.SAs[1]); p.String() != "s.txt:27" {
		t.Errorf("second SA at %s", p)
	}
}

// TestBadLinesOfIPAreNamed holds that no line is dropped in silence, and what
// becomes of its entry.
func TestBadLinesOfIPAreNamed(t *testing.T) {
	policy := "src fd00::1/128 dst fd00::2/128 \n\tdir out priority 7 ptype main \n\ttmpl src :: dst ::\n\t\tproto esp reqid 0 mode transport\n"
	state := "src fd00::1 dst fd00::2\n\tproto esp spi 0x1000 reqid 0 mode transport\n\treplay-window 0 \n"
	tests := []struct {
		name, text, want string
		entries          int
	}{
		{"no prefix", strings.Replace(policy, "fd00::2/128", "fd00::2/129", 1), "x:1: dst: not an IP prefix", 0},
		{"families", strings.Replace(policy, "fd00::2/128", "10.0.0.0/8", 1), "x:1: src and dst are of different families", 0},
		{"selector word", strings.Replace(policy, "128 \n", "128 colour red\n", 1), "x:1: not a known word of a selector", 0},
		{"protocol", strings.Replace(policy, "128 \n", "128 proto quux\n", 1), "x:1: proto: not a known protocol", 0},
		{"direction", strings.Replace(policy, "dir out", "dir up", 1), "x:2: dir: not in, out or fwd", 0},
		{"priority", strings.Replace(policy, "priority 7", "priority 4294967296", 1), "x:2: priority: not a number", 0},
		{"policy word", strings.Replace(policy, "ptype main", "ptype main mood good", 1), "x:2: not a known word of a policy", 0},
		{"direction", strings.Replace(policy, "dir out", "dir 6", 1), "x:2: dir: not in, out or fwd", 0},
		{"no dir", strings.Replace(policy, "\tdir out priority 7 ptype main \n", "", 1), "x:1: a policy without its line", 0},
		{"template address", strings.Replace(policy, "dst ::\n", "dst what\n", 1), "x:3: dst of the template: not an IP address", 0},
		{"template mode", strings.Replace(policy, "mode transport", "mode teleport", 1), "x:4: mode: not a known mode", 0},
		{"template without head", strings.Replace(policy, "\ttmpl src :: dst ::\n", "", 1), "x:3: a line of a template without", 0},
		{"new line", policy + "\tflavour vanilla\n", "x:5: not a known line of ip xfrm output; the entry is taken without it", 1},
		{"no header", "src fd00::1/128\n" + policy, "x:1: expected the word \"dst\"", 1},
		{"SPI", strings.Replace(state, "0x1000", "0xg", 1), "x:2: spi: not a number", 0},
		{"SA protocol", strings.Replace(state, "proto esp", "proto quux", 1), "x:2: proto: not a protocol of IPsec", 0},
		{"flag", strings.Replace(state, "replay-window 0", "replay-window 0 flag sure", 1), "x:3: flag: not a known flag", 0},
		{"algorithm", state + "\tenc 0x0011 0x2233\n", "x:4: not the kernel's name of an algorithm", 0},
		{"key", state + "\tenc cbc(aes) 0x00zz\n", "x:4: the key is not a hexadecimal number", 0},
		{"key bits", state + "\tenc cbc(aes) 0x0011 (128 bits)\n", "x:4: the key has not as many bits", 0},
		{"wrapped key", state + "\tenc cbc(aes) 0x0011\n2233\n", "x:5: not a known line of ip xfrm output", 1},
		{"no proto", "src fd00::1 dst fd00::2\n\treplay-window 0 \n", "x:1: an SA without its line", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse(Options{}, File{"x", []byte(tt.text)})
			if len(r.Errors.List) == 0 || !strings.HasPrefix(r.Errors.List[0].Error(), tt.want) {
				t.Errorf("errors %v, want %s", r.Errors.List, tt.want)
			}
			if n := len(r.DB.Policies) + len(r.DB.SAs); n != tt.entries {
				t.Errorf("%d entries are kept, want %d", n, tt.entries)
			}
		})
	}
	r := Parse(Options{}, File{"x", []byte(policy + policy)})
	if len(r.DB.Policies) != 1 || len(r.Errors.List)+len(r.Warnings.List) != 0 {
		t.Errorf("the same dump twice: %+v", r)
	}
	lines := policy + strings.Repeat("\tflavour vanilla\n", 250)
	if r := Parse(Options{}, File{"x", []byte(lines)}); len(r.Errors.List) != maxProblems || r.Errors.More != 150 {
		t.Errorf("%d errors and %d more", len(r.Errors.List), r.Errors.More)
	}
}

func TestOldMarksAreDecimalAndMayBeNegative(t *testing.T) {
	r := parse(t, "x", "src fd00::/64 dst ::/0 \n\tdir in priority 1 ptype main \n\tmark -1/0xff\n")
	if m := r.DB.Policies[0].Mark; m != (spd.Mark{Value: 0xffffffff, Mask: 0xff}) {
		t.Errorf("mark %+v", m)
	}
}

func TestOldSocketPoliciesHaveANumberForDirection(t *testing.T) {
	r := parse(t, "x", "src ::/0 dst ::/0 \n\tdir 4 priority 0 ptype main \n")
	if p := r.DB.Policies[0]; !p.Socket || p.Direction != spd.Out {
		t.Errorf("%+v", p)
	}
}

func TestClockReadingsHaveTheGivenZone(t *testing.T) {
	zone := time.FixedZone("", 3600)
	r := Parse(Options{Location: zone, Devices: map[string]int{"eth0": 77}}, File{"x", []byte(printedPolicies)})
	p := r.DB.Policies[1]
	if p.AddTime != 1795489088-3600 || p.Selector.IfIndex != 77 || p.Offload.IfIndex != 78 {
		t.Errorf("added %d, device %d and %d", p.AddTime, p.Selector.IfIndex, p.Offload.IfIndex)
	}
}

// TestACutTemplateIsNoPolicy holds that a policy whose text ends within a
// template is named and left out: what it asks for is not known.
func TestACutTemplateIsNoPolicy(t *testing.T) {
	const whole = "src fd00::1/128 dst fd00::2/128\n\tdir out priority 9\n\ttmpl src :: dst ::\n\t\tproto esp reqid 1 mode transport\n"
	cut := whole[:strings.Index(whole, "\t\tproto")]
	for text, want := range map[string]int{whole: 1, cut: 0, whole + cut: 1, cut + whole: 1} {
		r := Parse(Options{}, File{"x", []byte(text)})
		if len(r.DB.Policies) != want || (len(r.Errors.List) == 0) != (text == whole) {
			t.Errorf("%q: %d policies, %v", text, len(r.DB.Policies), r.Errors.List)
		}
	}
}
