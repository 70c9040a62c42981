package text

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
)

const key16, key20, key24 = "0x00112233445566778899aabbccddeeff", "0x00112233445566778899aabbccddeeff00112233",
	"0x00112233445566778899aabbccddeeff0011223344556677"

const exampleConf = `#!/usr/sbin/setkey -f
# glass
flush;
spdflush;

add fd00::1 fd00::2 esp 0x1000 -m transport -u 7 -r 32
	-E 3des-cbc ` + key24 + ` # 192 bits
	-A hmac-md5 "sixteen;bytes#ok";
add -6n fd00::2 fd00::1 ah 4097 -m tunnel -lh 3600 -ls 3000 -bh 9 -bs 8 -f zero-pad -A hmac-sha2-256 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff;
add 192.0.2.1[4501] 192.0.2.2 esp-udp 256 -E null -A aes-xcbc-mac ` + key16 + `;
add fd00::1 fd00::2 ipcomp 0x100 -C deflate -R;

spdadd ::/0 ::/0 icmp6 135,0 -P out none;
spdadd ::/0 ::/0 icmp6 -P in prio high + 5 none;
spdadd fd00::/64[any] fd00::2[80] tcp -P out prio def - 3 ipsec
	esp/transport//require
	ah/transport//use;
spdadd 10.0.0.0/8 10.2.0.0/16[any] any -P in priority -7 ipsec esp/tunnel/192.0.2.2-192.0.2.1/unique:5;
spdadd fd00::1 fd00::3 any -P out prio 9 discard;
spdadd fd00::5 fd00::6 udp -P fwd prio low ipsec esp/transport//unique ah/transport//unique;
`

func TestSetkeyConfDoesWhatSetkeyDoes(t *testing.T) {
	r := parse(t, "setkey.conf", exampleConf)
	var got []string
	for i := range r.DB.Policies {
		p := &r.DB.Policies[i]
		got = append(got, p.String()+" @"+lineNumber(r.PolicyAt(p)))
	}
	want := []string{
		"dir out src ::/0 dst ::/0 proto ipv6-icmp type 135 bypass priority 2147483648 @13",
		"dir in src ::/0 dst ::/0 proto ipv6-icmp bypass priority 1073741819 @14",
		"dir fwd src ::/0 dst ::/0 proto ipv6-icmp bypass priority 1073741819 @14",
		"dir out src fd00::/64 dst fd00::2/128 proto tcp dport 80 priority 2147483651, esp transport, ah transport level use @15",
		"dir in src 10.0.0.0/8 dst 10.2.0.0/16 priority 2147483655, esp tunnel 192.0.2.2 → 192.0.2.1 reqid 5 @18",
		"dir fwd src 10.0.0.0/8 dst 10.2.0.0/16 priority 2147483655, esp tunnel 192.0.2.2 → 192.0.2.1 @18",
		"dir out src fd00::1/128 dst fd00::3/128 action block priority 2147483639 @19",
		"dir fwd src fd00::5/128 dst fd00::6/128 proto udp priority 3221225472, esp transport reqid 16384, ah transport reqid 16385 @20",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("policies:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if tm := r.DB.Policies[3].Templates[0]; tm.Src != netip.IPv6Unspecified() || tm.Family != spd.IPv6 {
		t.Errorf("template %+v", tm)
	}
	glass, teapot := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	wantSAs := []spd.SA{
		{
			Src: glass, Dst: teapot, SPI: 0x1000, Proto: spd.ProtoESP, ReqID: 7, Family: spd.IPv6, Replay: spd.Replay{Window: 32},
			Enc: &spd.Algorithm{Name: "cbc(des3_ede)", KeyBits: 192}, Auth: &spd.Algorithm{Name: "hmac(md5)", KeyBits: 128, ICVBits: 96},
		},
		{
			Src: teapot, Dst: glass, SPI: 4097, Proto: spd.ProtoAH, Mode: spd.Tunnel, Family: spd.IPv6,
			Auth:   &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 96},
			Limits: spd.Lifetime{HardAdd: 3600, SoftAdd: 3000, HardBytes: 9, SoftBytes: 8},
		},
		{
			Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), SPI: 256, Proto: spd.ProtoESP, Family: spd.IPv4,
			Encap: &spd.Encap{Type: 2, SrcPort: 4501, DstPort: 4500},
			Enc:   &spd.Algorithm{Name: "ecb(cipher_null)"}, Auth: &spd.Algorithm{Name: "xcbc(aes)", KeyBits: 128, ICVBits: 96},
		},
		{Src: glass, Dst: teapot, SPI: 0x100, Proto: spd.ProtoIPComp, Family: spd.IPv6, Comp: &spd.Algorithm{Name: "deflate"}},
	}
	if !reflect.DeepEqual(r.DB.SAs, wantSAs) {
		t.Errorf("SAs:\n%+v\nwant\n%+v", r.DB.SAs, wantSAs)
	}
	if k := r.Keys[r.DB.SAs[0].Key()]; !k.Auth.Equal(secret.New([]byte("sixteen;bytes#ok"))) || k.Enc.Len() != 192 {
		t.Errorf("keys: %v", k)
	}
}

// TestPrioritiesOfSetkey holds policy_parse.y: more is more urgent, which is a
// smaller number of the kernel.
func TestPrioritiesOfSetkey(t *testing.T) {
	tests := map[string]uint32{
		"": 0x80000000, "prio 0": 0x80000000, "prio 100": 0x80000000 - 100, "priority -100": 0x80000000 + 100,
		"prio - 100": 0x80000000 + 100, "prio low": 0xc0000000, "prio def": 0x80000000, "prio high": 0x40000000,
		"prio def +100": 0x80000000 - 100, "prio high+1073741824": 0, "prio low - 1073741823": 0xffffffff,
	}
	for text, want := range tests {
		r := parse(t, "x", "spdadd ::/0 ::/0 any -P out "+text+" none;")
		if len(r.DB.Policies) != 1 || r.DB.Policies[0].Priority != want {
			t.Errorf("%q: %v, want %#x", text, r.DB.Policies, want)
		}
	}
}

// TestTheReadersCase is the bypass that did not help: equal priorities, and the
// order of the lines decides.
func TestTheReadersCase(t *testing.T) {
	esp := "spdadd fd00::1 fd00::2 any -P out ipsec esp/transport//require;\n"
	none := "spdadd ::/0 ::/0 icmp6 -P out none;\n"
	advertisement := spd.ICMPv6Flow(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), spd.NeighborAdvertisement)
	for conf, want := range map[string]spd.Decision{esp + none: spd.Protect, none + esp: spd.Clear} {
		r := parse(t, "x", conf)
		if v := r.DB.Lookup(spd.Out, advertisement); v.Decision != want {
			t.Errorf("%s: %s, want %s", conf, v.Decision, want)
		}
	}
}

func TestSetkeyConfDeletesAndReplaces(t *testing.T) {
	esp := " esp 0x1000 -E null;"
	conf := "add fd00::1 fd00::2" + esp + "add fd00::2 fd00::1 esp 7 -E null;add fd00::2 fd00::1 ah 7 -A null;add fd00::3 fd00::4" + esp +
		"delete fd00::2 fd00::1 esp 7;deleteall fd00::3 fd00::4 esp;flush ah;" +
		"spdadd fd00::1 fd00::2 any -P out none;spdadd fd00::2 fd00::1 any -P in none;" +
		"spdadd fd00::/64 fd00::/64 any -P out none;" +
		"spddelete fd00::2 fd00::1 any -P in;spdupdate fd00::1 fd00::2 any -P out discard; spddump; dump esp; quit; garbage"
	r := parse(t, "x", conf)
	if len(r.DB.SAs) != 1 || r.DB.SAs[0].SPI != 0x1000 || r.DB.SAs[0].Src.String() != "fd00::1" {
		t.Errorf("SAs: %v", r.DB.SAs)
	}
	if len(r.DB.Policies) != 2 || r.DB.Policies[1].Action != spd.Block || r.DB.Policies[0].Selector.Src.Bits() != 64 {
		t.Errorf("policies: %v", r.DB.Policies)
	}
	if r := parse(t, "x", conf[:len(conf)-13]+"flush;spdflush;"); len(r.DB.SAs)+len(r.DB.Policies) != 0 {
		t.Errorf("after a flush: %+v", r.DB)
	}
}

// TestBadCommandsOfSetkeyAreNamed gives each bad command between two good ones.
func TestBadCommandsOfSetkeyAreNamed(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"command", "spdad ::/0 ::/0 any -P out none;", "x:2: not a command of setkey"},
		{"name", "spdadd glass ::/0 any -P out none;", "x:2: source: not an IP address or range (names are not resolved)"},
		{"prefix", "spdadd ::/129 ::/0 any -P out none;", "x:2: source: not an IP address or range"},
		{"port", "spdadd ::/0\n::/0[http] any -P out none;", "x:3: destination: not an IP address or range"},
		{"families", "spdadd ::/0 10.0.0.0/8 any -P out none;", "x:2: source and destination are of different families"},
		{"protocol", "spdadd ::/0 ::/0 quux -P out none;", "x:2: not a known upper layer protocol"},
		{"type alone", "spdadd ::/0 ::/0 icmp6 135 -P out none;", "x:2: after the protocol setkey wants type and code with a comma"},
		{"type of tcp", "spdadd ::/0 ::/0 tcp 135,0 -P out none;", "x:2: a type and code, or a key"},
		{"no policy", "spdadd ::/0 ::/0 any;", "x:2: -P with the policy is missing"},
		{"direction", "spdadd ::/0 ::/0 any -P up none;", "x:2: the policy's direction"},
		{"action", "spdadd ::/0 ::/0 any -P out perhaps;", "x:2: the policy is not discard, none or ipsec"},
		{"no action", "spdadd ::/0 ::/0 any -P out;", "x:2: the policy is not discard, none or ipsec"},
		{"priority", "spdadd ::/0 ::/0 any -P out prio def + 1073741825 none;", "x:2: prio: not a priority that setkey takes"},
		{"request", "spdadd ::/0 ::/0 any -P out ipsec tls/transport//require;", "x:2: the policy asks for something else"},
		{"mode", "spdadd ::/0 ::/0 any -P out ipsec esp/teleport//require;", "x:2: the mode is not transport or tunnel"},
		{"tunnel", "spdadd ::/0 ::/0 any -P out ipsec esp/tunnel//require;", "x:2: a tunnel without the addresses"},
		{"ends", "spdadd ::/0 ::/0 any -P out ipsec esp/tunnel/fd00::1-10.0.0.1/require;", "x:2: the ends of the tunnel are of different families"},
		{"level", "spdadd ::/0 ::/0 any -P out ipsec esp/transport//maybe;", "x:2: the level is not"},
		{"tagged", `spdadd tagged "x" -P out none;`, "x:2: policies by tag"},
		{"SA address", "add fd00::/64 fd00::2 esp 1 -E null;", "x:2: source: not an IP address"},
		{"SA families", "add fd00::1 10.0.0.1 esp 1 -E null;", "x:2: source and destination are of different families"},
		{"SA protocol", "add fd00::1 fd00::2 esp-old 1 -E null;", "x:2: esp-old, ah-old and tcp"},
		{"SPI", "add fd00::1 fd00::2 esp 0x100000000 -E null;", "x:2: SPI: not a number"},
		{"encryption", "add fd00::1 fd00::2 esp 1 -E aes-gcm " + key16 + ";", "x:2: -E: not an encryption algorithm"},
		{"authentication", "add fd00::1 fd00::2 ah 1\n-A keyed-md5 " + key16 + ";", "x:3: -A: not an authentication algorithm"},
		{"key missing", "add fd00::1 fd00::2 ah 1 -A hmac-md5;", "x:2: the key is neither"},
		{"key", "add fd00::1 fd00::2 ah 1 -A hmac-md5 0xnothex;", "x:2: the key is neither"},
		{"key decimal", "add fd00::1 fd00::2 ah 1 -A hmac-md5 12345678;", "x:2: the key is neither"},
		{"no algorithm", "add fd00::1 fd00::2 esp 1 -A hmac-md5 " + key16 + ";", "x:2: esp without its encryption"},
		{"order", "add fd00::1 fd00::2 esp 1 -E null -m tunnel;", "x:2: more words than expected"},
		{"semicolon missing", "add fd00::1 fd00::2 esp 1 -E null\nadd fd00::1 fd00::2 esp 2 -E null;", "x:3: more words than expected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse(Options{}, File{"x", []byte("spdadd ::/0 ::/0 tcp -P out none;\n" + tt.text + "\nspdadd ::/0 ::/0 udp -P out none;")})
			if len(r.Errors.List) != 1 || !strings.HasPrefix(r.Errors.List[0].Error(), tt.want) {
				t.Errorf("errors %v, want %s", r.Errors.List, tt.want)
			}
			if len(r.DB.Policies) != 2 || len(r.DB.SAs) != 0 {
				t.Errorf("left are %v %v", r.DB.Policies, r.DB.SAs)
			}
		})
	}
	for text, want := range map[string]string{
		"flush\n":                            "x:1: the command that begins here has no semicolon",
		"flush;\n\nadd \"abc":                "x:3: a quotation mark is not closed",
		"flush quux;":                        "x:1: the protocol is not esp, ah",
		"flush; spdflush now;":               "x:1: more words than expected",
		"delete fd00::1 fd00::2 esp zero;\n": "x:1: SPI: not a number",
	} {
		if r := Parse(Options{}, File{"x", []byte(text)}); len(r.Errors.List) != 1 || !strings.HasPrefix(r.Errors.List[0].Error(), want) {
			t.Errorf("%q: %v, want %s", text, r.Errors.List, want)
		}
	}
}

func TestWhatTheKernelRefusesIsAWarning(t *testing.T) {
	r := Parse(Options{}, File{"x", []byte(`spdadd fd00::1 fd00::2 any -P out none;
spdadd fd00::1 fd00::2 any -P out discard;
add fd00::1 fd00::2 esp 256 -E null;
add fd00::9 fd00::2 esp 256 -E null;
spdadd fd00::1 fd00::3 any -P out ipsec;
spdadd fd00::3 fd00::1 any -P in none;
spdadd fd00::3 fd00::1 any -P fwd none;`)})
	if len(r.Errors.List) != 0 || len(r.Warnings.List) != 3 || len(r.DB.Policies) != 4 || len(r.DB.SAs) != 1 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []string{"x:2: the policy is refused by the kernel", "x:4: the SA is refused by the kernel", "x:5: the policy says ipsec and asks for no SA"} {
		if got := r.Warnings.List[i].Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
