package text

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
)

const glassIfcfg = `# glass's end
TYPE=IPSEC
ONBOOT=yes
IKE_METHOD=
SRC=fd00::1
export DST="fd00::2"   # teapot
SPI_ESP_OUT=0x1000
SPI_ESP_IN=4097
SPI_AH_OUT=0x2000
SPI_AH_IN=0x2001
ESP_PROTO=aes-cbc
ESP_PROTO_IN='3des-cbc'
AESP_PROTO=hmac-md5
`

const glassKeys = "KEY_ESP_OUT=" + key16 + "\nKEY_ESP_IN=" + key24 + "\nKEY_AESP=sixteen_bytes_ok\n" +
	"KEY_AH_OUT=" + key20 + "\nKEY_AH_IN=" + key20 + "\n"

// both returns the policies and SAs of a result as text.
func both(r Result) (policies, sas []string) {
	for i := range r.DB.Policies {
		policies = append(policies, r.DB.Policies[i].String())
	}
	for i := range r.DB.SAs {
		s := &r.DB.SAs[i]
		text := fmt.Sprintf("%s → %s %s %#x %s @%s", s.Src, s.Dst, spd.ProtocolName(s.Proto), s.SPI, s.Mode, r.SAAt(s))
		for _, a := range []*spd.Algorithm{s.Enc, s.Auth} {
			if a != nil {
				text += " " + a.Name
			}
		}
		sas = append(sas, text)
	}
	return policies, sas
}

func TestIfcfgDoesWhatIfupDoes(t *testing.T) {
	r := Parse(Options{}, File{"keys-ipsec0", []byte(glassKeys)}, File{"dir/ifcfg-ipsec0", []byte(glassIfcfg)})
	if len(r.Errors.List)+len(r.Warnings.List) != 0 {
		t.Fatalf("%v %v", r.Errors, r.Warnings)
	}
	policies, sas := both(r)
	wantSAs := []string{
		"fd00::2 → fd00::1 esp 0x1001 transport @dir/ifcfg-ipsec0:8 cbc(des3_ede) hmac(md5)",
		"fd00::1 → fd00::2 esp 0x1000 transport @dir/ifcfg-ipsec0:7 cbc(aes) hmac(md5)",
		"fd00::2 → fd00::1 ah 0x2001 transport @dir/ifcfg-ipsec0:10 hmac(sha1)",
		"fd00::1 → fd00::2 ah 0x2000 transport @dir/ifcfg-ipsec0:9 hmac(sha1)",
	}
	wantPolicies := []string{
		"dir out src fd00::1/128 dst fd00::2/128 priority 2147483648, esp transport, ah transport",
		"dir in src fd00::2/128 dst fd00::1/128 priority 2147483648, esp transport, ah transport",
		"dir fwd src fd00::2/128 dst fd00::1/128 priority 2147483648, esp transport, ah transport",
	}
	if !reflect.DeepEqual(sas, wantSAs) || !reflect.DeepEqual(policies, wantPolicies) {
		t.Errorf("SAs\n%s\npolicies\n%s", strings.Join(sas, "\n"), strings.Join(policies, "\n"))
	}
	if k := r.Keys[r.DB.SAs[0].Key()]; !k.Auth.Equal(secret.New([]byte("sixteen_bytes_ok"))) || k.Enc.Len() != 192 {
		t.Errorf("keys: %v", k)
	}
}

func TestIfcfgOfATunnelAndOfIKE(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{
			"tunnel inside the peer's network",
			"SRC=192.0.2.1\nDST=192.0.2.2\nSRCNET=10.1.0.0/16\nDSTNET=10.0.0.0/8\nAH_PROTO=none\nKEY_ESP=" + key24 + "\nSPI_ESP_IN=256\nSPI_ESP_OUT=257\n",
			`dir out src 10.1.0.0/16 dst 10.1.0.0/16 bypass priority 2147483648
dir in src 10.1.0.0/16 dst 10.1.0.0/16 bypass priority 2147483648
dir fwd src 10.1.0.0/16 dst 10.1.0.0/16 bypass priority 2147483648
dir out src 10.1.0.0/16 dst 10.0.0.0/8 priority 2147483648, esp tunnel 192.0.2.1 → 192.0.2.2
dir in src 10.0.0.0/8 dst 10.1.0.0/16 priority 2147483648, esp tunnel 192.0.2.2 → 192.0.2.1
dir fwd src 10.0.0.0/8 dst 10.1.0.0/16 priority 2147483648, esp tunnel 192.0.2.2 → 192.0.2.1
192.0.2.2 → 192.0.2.1 esp 0x100 tunnel @x:7 cbc(des3_ede)
192.0.2.1 → 192.0.2.2 esp 0x101 tunnel @x:8 cbc(des3_ede)`,
		},
		{
			"IKE asks for AH too unless it is told not to",
			"TYPE=IPSEC\nIKE_METHOD=PSK\nSRC=fd00::1\nDST=fd00::2\n",
			`dir out src fd00::1/128 dst fd00::2/128 priority 2147483648, esp transport, ah transport
dir in src fd00::2/128 dst fd00::1/128 priority 2147483648, esp transport, ah transport
dir fwd src fd00::2/128 dst fd00::1/128 priority 2147483648, esp transport, ah transport`,
		},
		{
			"half a tunnel",
			"IKE_PSK=secret\nSRC=fd00::1\nDST=fd00::2\nDSTNET=fd00:2::/64\nAH_PROTO=none\n",
			`dir out src fd00::1/128 dst fd00:2::/64 priority 2147483648, esp tunnel fd00::1 → fd00::2
dir in src fd00:2::/64 dst fd00::1/128 priority 2147483648, esp tunnel fd00::2 → fd00::1
dir fwd src fd00:2::/64 dst fd00::1/128 priority 2147483648, esp tunnel fd00::2 → fd00::1`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			policies, sas := both(parse(t, "x", tt.text))
			if got := strings.Join(append(policies, sas...), "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestBadLinesOfIfcfgAreNamed(t *testing.T) {
	const ends = "SRC=fd00::1\nDST=fd00::2\nAH_PROTO=none\nKEY_ESP=" + key24 + "\nSPI_ESP_IN=256\nSPI_ESP_OUT=257\n"
	tests := []struct{ name, text, want string }{
		{"misspelt", ends + "SPI_ESB_OUT=3\n", "x:7: not the assignment of a variable"},
		{"no assignment", ends + "echo hello\n", "x:7: not the assignment of a variable"},
		{"expansion", ends + "SPI_ESP_OUT=$SPI\n", "x:7: the value needs a shell"},
		{"expansion in quotes", ends + "SPI_ESP_OUT=\"`x`\"\n", "x:7: the value needs a shell"},
		{"quote", ends + "SPI_ESP_OUT='3\n", "x:7: a quotation mark is not closed"},
		{"two words", ends + "SPI_ESP_OUT=3 DST=fd00::4\n", "x:7: more than one word"},
		{"type", "TYPE=Ethernet\n" + ends, "x:1: TYPE is not IPSEC"},
		{"no SRC", "DST=fd00::2\n", "x: SRC is not an IP address"},
		{"DST", "SRC=fd00::1\nDST=teapot\n", "x:2: DST is not an IP address"},
		{"families", "SRC=fd00::1\nDST=192.0.2.1\n", "x:2: SRC and DST are of different families"},
		{"network", ends + "DSTNET=10.0.0.0/8\n", "x:7: DSTNET is not an IP prefix"},
		{"SPI", ends + "SPI_ESP_OUT=many\n", "x:7: SPI_ESP_OUT is not a number"},
		{"no SPI", "SRC=fd00::1\nDST=fd00::2\nAH_PROTO=none\nKEY_ESP=" + key24 + "\nSPI_ESP_IN=256\n", "x: SPI_ESP_OUT is not a number"},
		{"algorithm", ends + "ESP_PROTO=rot13\n", "x:7: ESP_PROTO is not an algorithm"},
		{"key", ends + "KEY_ESP_OUT=0xnothex\n", "x:7: the key is not a hexadecimal number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse(Options{}, File{"x", []byte(tt.text)})
			if len(r.Errors.List) == 0 || !strings.HasPrefix(r.Errors.List[0].Error(), tt.want) {
				t.Errorf("errors %v, want %s", r.Errors.List, tt.want)
			}
		})
	}
	if r := Parse(Options{}, File{"x", []byte(glassKeys)}); len(r.Errors.List) != 1 || !strings.Contains(r.Errors.List[0].What, "without the ifcfg file") {
		t.Errorf("keys alone: %v", r.Errors.List)
	}
	if r := Parse(Options{}, File{"x", []byte("SRC=fd00::1\nDST=fd00::2\n")}); len(r.Warnings.List) != 1 || !strings.Contains(r.Warnings.List[0].What, "in the clear") {
		t.Errorf("no keys: %v", r.Warnings.List)
	}
}
