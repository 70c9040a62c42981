package text

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"
)

// The dumps are written after pfkey_dump.c of ipsec-tools 0.8.2, with 0.5's
// words for "any" and ICMPv6 in between: no program that prints them is at hand.
const dumpedPolicies = "fd00::1[any] fd00::2[any] 255\n" +
	"\tout prio def ipsec\n" +
	"\tesp/transport//require\n" +
	"\tah/tunnel/198.51.100.1-198.51.100.2/unique#16385\n" +
	"\tcreated: Nov 24 02:58:08 2026  lastused: Nov  4 02:58:09 2026\n" +
	"\tlifetime: 0(s) validtime: 0(s)\n" +
	"\tsecurity context doi: 1\n" +
	"\tspid=113 seq=1 pid=4711\n" +
	"\trefcnt=2\n" +
	"::/0 ::/0 ipv6-icmp 135,0\n" +
	"\tin prio high - 5 none\n" +
	"\tcreated: Nov 24 02:58:08 2026  lastused:                     \n" +
	"\tlifetime: 0(s) validtime: 0(s)\n" +
	"\tspid=8 seq=2 pid=4711\n" +
	"\trefcnt=1\n" +
	"10.0.0.0/8[22] 10.2.0.0/16[any] tcp\n" +
	"\tfwd discard\n" +
	"\tspid=2 seq=3 pid=4711\n" +
	"\trefcnt=1\n" +
	"::/0 ::/0 icmp6\n" +
	"\tout none\n" +
	"\tspid=1 seq=3 pid=4711\n" +
	"\trefcnt=1\n" +
	"fd00::7[any] fd00::/64[any] any\n" +
	"\tin ipsec\n" +
	"\tesp/transport//use:3\n" +
	"\tspid=8 seq=2 pid=4711\n" +
	"\trefcnt=1\n" +
	"(per-socket policy) \n" +
	"\tin none\n" +
	"\tcreated: Nov 24 02:58:08 2026  lastused:                     \n" +
	"\tlifetime: 0(s) validtime: 0(s)\n" +
	"\tspid=4 seq=0 pid=4711\n" +
	"\trefcnt=1\n"

func TestDumpedPoliciesAreRead(t *testing.T) {
	r := parse(t, "spd.txt", "No SAD entries.\n"+dumpedPolicies)
	var got []string
	for i := range r.DB.Policies {
		got = append(got, r.DB.Policies[i].String())
	}
	want := []string{ // the newest is printed first
		"dir in src invalid Prefix dst invalid Prefix bypass priority 0",
		"dir in src fd00::7/128 dst fd00::/64 priority 0, esp transport reqid 3 level use",
		"dir out src ::/0 dst ::/0 proto ipv6-icmp bypass priority 0",
		"dir fwd src 10.0.0.0/8 dst 10.2.0.0/16 proto tcp sport 22 action block priority 0",
		"dir in src ::/0 dst ::/0 proto ipv6-icmp type 135 bypass priority 1073741829",
		"dir out src fd00::1/128 dst fd00::2/128 priority 2147483648, esp transport, ah tunnel 198.51.100.1 → 198.51.100.2 reqid 16385",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policies:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p := r.DB.Policies[5]; p.Index != 113 || p.AddTime != 1795489088 || p.UseTime != 1793761089 || r.PolicyAt(&p).Line != 2 {
		t.Errorf("%+v at %s", p, r.PolicyAt(&p))
	}
	if p := r.DB.Policies[4]; p.AddTime != 1795489088 || p.UseTime != 0 || p.Socket {
		t.Errorf("%+v", p)
	}
	if !r.DB.Policies[0].Socket {
		t.Error("the socket policy is none")
	}
}

const dumpedSAs = "fd00::1 fd00::2 \n" +
	"\tesp mode=transport spi=4096(0x00001000) reqid=7(0x00000007)\n" +
	"\tE: aes-cbc  00112233 44556677 8899aabb ccddeeff\n" +
	"\tA: hmac-sha512  00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff\n" +
	" 00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff\n" +
	"\tseq=0x00000000 replay=4 flags=0x80000000 state=mature \n" +
	"\tcreated: Nov 24 02:58:08 2026\tcurrent: Nov 24 02:59:08 2026\n" +
	"\tdiff: 60(s)\thard: 3600(s)\tsoft: 3000(s)\n" +
	"\tlast: Nov 24 02:58:09 2026\thard: 5(s)\tsoft: 4(s)\n" +
	"\tcurrent: 9(bytes)\thard: 8(bytes)\tsoft: 7(bytes)\n" +
	"\tallocated: 3\thard: 2\tsoft: 1\n" +
	"\tsadb_seq=1 pid=4711 refcnt=0\n" +
	"192.0.2.1[4500] 192.0.2.2[4501] \n" +
	"\tesp-udp mode=tunnel spi=256(0x00000100) reqid=0(0x00000000)\n" +
	"\tNAT OA=192.0.2.9\n" +
	"\tE: null \n" +
	"\tA: hmac-sha2-256  00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff\n" +
	"\tseq=0x00000000 replay=0 flags=0x00000000 state=dying \n" +
	"\tcreated: Nov 24 02:58:08 2026\tcurrent: Nov 24 02:59:08 2026\n" +
	"\tdiff: 60(s)\thard: 0(s)\tsoft: 0(s)\n" +
	"\tlast:                     \thard: 0(s)\tsoft: 0(s)\n" +
	"\tcurrent: 0(bytes)\thard: 0(bytes)\tsoft: 0(bytes)\n" +
	"\tallocated: 0\thard: 0\tsoft: 0\n" +
	"\tsadb_seq=2 pid=4711 refcnt=0\n" +
	"fd00::1 fd00::2 \n" +
	"\tipcomp mode=any spi=256(0x00000100) reqid=0(0x00000000)\n" +
	"\tC: deflate \tseq=0x00000000 replay=0 flags=0x00000000 state=mature \n" +
	"\tsadb_seq=0 pid=4711 refcnt=0\n"

func TestDumpedSAsAreRead(t *testing.T) {
	r := parse(t, "sad.txt", dumpedSAs)
	want := []spd.SA{
		{
			Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 0x1000, Proto: spd.ProtoESP, ReqID: 7,
			Family: spd.IPv6, Flags: 1, Replay: spd.Replay{Window: 4},
			Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 128}, Auth: &spd.Algorithm{Name: "hmac(sha512)", KeyBits: 512, ICVBits: 256},
			Limits: spd.Lifetime{HardAdd: 3600, SoftAdd: 3000, HardUse: 5, SoftUse: 4, HardBytes: 8, SoftBytes: 7, HardPackets: 2, SoftPackets: 1},
			Used:   spd.Usage{Bytes: 9, Packets: 3, AddTime: 1795489088, UseTime: 1795489089},
		},
		{
			Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), SPI: 256, Proto: spd.ProtoESP, Mode: spd.Tunnel,
			Family: spd.IPv4, Encap: &spd.Encap{Type: 2, SrcPort: 4500, DstPort: 4501},
			Enc: &spd.Algorithm{Name: "ecb(cipher_null)"}, Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 96},
			Used: spd.Usage{AddTime: 1795489088},
		},
		{
			Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 256, Proto: spd.ProtoIPComp, Family: spd.IPv6,
			Comp: &spd.Algorithm{Name: "deflate"},
		},
	}
	if !reflect.DeepEqual(r.DB.SAs, want) {
		t.Errorf("got\n%+v\nwant\n%+v", r.DB.SAs, want)
	}
	if k := r.Keys[want[0].Key()]; k.Enc.Len() != 128 || k.Auth.Len() != 512 {
		t.Errorf("keys: %v", k)
	}
	spaces := Parse(Options{}, File{"sad.txt", []byte(strings.ReplaceAll(dumpedSAs, "\t", "        "))})
	if !reflect.DeepEqual(spaces, r) {
		t.Errorf("with tabs turned into blanks: %+v", spaces.Errors)
	}
	if r := parse(t, "both.txt", "# setkey -D\n"+dumpedSAs+"# setkey -DP\n"+dumpedPolicies); len(r.DB.SAs) != 3 || len(r.DB.Policies) != 6 {
		t.Errorf("one after the other: %d SAs, %d policies", len(r.DB.SAs), len(r.DB.Policies))
	}
}

func TestBadLinesOfSetkeysOutputAreNamed(t *testing.T) {
	sa := "fd00::1 fd00::2 \n\tesp mode=transport spi=4096(0x00001000) reqid=7(0x00000007)\n"
	policy := "fd00::1[any] fd00::2[any] any\n\tout ipsec\n\tesp/transport//require\n"
	tests := []struct {
		name, text, want string
		entries          int
	}{
		{"family", policy + "fd00::1[any] 10.0.0.1 any\n\tout none\n", "x:4: the second address", 1},
		{"protocol", policy + "fd00::1[any] fd00::3 quux\n\tout none\n", "x:4: not a known upper layer protocol", 1},
		{"direction missing", sa + "fd00::1[any] fd00::2[any] any\n", "x:3: a policy without the line of its direction", 1},
		{"priority", "::/0 ::/0 any\n\tout prio def - x none\n" + policy, "x:2: prio: not a priority", 1},
		{"request", strings.Replace(policy, "require", "perhaps", 1), "x:3: the level is not", 0},
		{"error of libipsec", policy + "\tPolicy:[Invalid mode]\n", "x:4: not a known line of setkey's output", 1},
		{"time", policy + "\tcreated: Nov 32 02:58:08 2026 lastused:\n", "x:4: not a time", 0},
		{"spid", policy + "\tspid=x seq=0 pid=1\n", "x:4: spid: not a number", 0},
		{"no SPI", policy + "fd00::1 fd00::2\n\tE: aes-cbc 00112233\n", "x:4: an SA without the line of its SPI", 1},
		{"mode", strings.Replace(sa, "transport", "teleport", 1) + sa, "x:2: mode: not transport or tunnel", 1},
		{"SPI", strings.Replace(sa, "spi=4096", "spi=many", 1) + sa, "x:2: spi: not a number", 1},
		{"algorithm", sa + "\tE: 251 00112233\n", "x:3: not a known algorithm", 0},
		{"key", sa + "\tE: aes-cbc  00112233 4455667\n", "x:3: the key is not a hexadecimal dump", 0},
		{"state", sa + "\tseq=0x00000000 replay=4 flags=0x00000000 state=odd \n", "x:3: state: not a known state", 0},
		{"no header", "\tin none\n", "x:1: not a line of setkey -D or setkey -DP", 0},
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
}
