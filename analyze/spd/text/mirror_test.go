package text

import (
	"reflect"
	"strings"
	"testing"
)

func texts(ds []Difference) []string {
	var s []string
	for _, d := range ds {
		s = append(s, d.String())
	}
	return s
}

// otherEnd turns the files of one end into the peer's.
func otherEnd(s string) string {
	return strings.NewReplacer("_IN=", "_OUT=", "_OUT=", "_IN=", "SRC=fd00::1", "SRC=fd00::2", `DST="fd00::2"`, `DST="fd00::1"`).Replace(s)
}

func ifcfgResult(t *testing.T, host, ifcfg, keys string) Result {
	t.Helper()
	r := Parse(Options{}, File{host + "/ifcfg-ipsec0", []byte(ifcfg)}, File{host + "/keys-ipsec0", []byte(keys)})
	if len(r.Errors.List) > 0 {
		t.Fatal(r.Errors.List)
	}
	return r
}

func TestIfcfgFilesOfBothEndsMirrorEachOther(t *testing.T) {
	glass := ifcfgResult(t, "glass", glassIfcfg, glassKeys)
	ifcfg, keys := strings.Replace(otherEnd(glassIfcfg), "ESP_PROTO_IN=", "ESP_PROTO_OUT=", 1), otherEnd(glassKeys)
	if got := texts(Mirror(glass, ifcfgResult(t, "teapot", ifcfg, keys))); got != nil {
		t.Fatalf("files that fit differ:\n%s", strings.Join(got, "\n"))
	}
	tests := []struct{ name, old, new, want string }{
		{"SPI", "SPI_ESP_IN=0x1000", "SPI_ESP_IN=0x1001", "the ESP SA from fd00::1 to fd00::2 has SPI 0x1000 at glass/ifcfg-ipsec0:7 and 0x1001 at teapot/ifcfg-ipsec0:7"},
		{"IN is not turned", "SPI_ESP_IN=0x1000\nSPI_ESP_OUT=4097", "SPI_ESP_OUT=0x1000\nSPI_ESP_IN=4097", "the ESP SA from fd00::2 to fd00::1 has SPI 0x1001 at glass/ifcfg-ipsec0:8 and 0x1000 at teapot/ifcfg-ipsec0:7"},
		{"key", "KEY_ESP_IN=0x0011", "KEY_ESP_IN=0x0012", "the encryption keys of the ESP SA from fd00::1 to fd00::2 at glass/ifcfg-ipsec0:7 and at teapot/ifcfg-ipsec0:7 differ"},
		{"key length", "KEY_AH_OUT=" + key20, "KEY_AH_OUT=" + key16, "the key of the AH SA from fd00::2 to fd00::1 at teapot/ifcfg-ipsec0:10 has 128 bits, and hmac(sha1) takes 160; its counterpart is at glass/ifcfg-ipsec0:10"},
		{"algorithm", "AESP_PROTO=hmac-md5", "AESP_PROTO=hmac-sha1", "the authentication of the ESP SA from fd00::2 to fd00::1 is hmac(md5) at glass/ifcfg-ipsec0:8 and hmac(sha1) at teapot/ifcfg-ipsec0:8"},
		{"no AH", "ONBOOT=yes", "AH_PROTO=none", "the AH SA from fd00::2 to fd00::1 with SPI 0x2001 at glass/ifcfg-ipsec0:10 is missing in teapot/ifcfg-ipsec0"},
		{"policy", "ONBOOT=yes", "AH_PROTO=none", "the policy dir out src fd00::1/128 dst fd00::2/128 asks for esp transport and ah transport at glass/ifcfg-ipsec0:6, and its counterpart for esp transport at teapot/ifcfg-ipsec0:6"},
		{"address", `DST="fd00::1"`, `DST="fd00::9"`, "glass/ifcfg-ipsec0 is about fd00::1 and fd00::2, teapot/ifcfg-ipsec0 about fd00::2 and fd00::9: they have no pair of addresses in common"},
		{"tunnel", "ONBOOT=yes", "DSTNET=fd00:7::/64", "the ESP SA from fd00::2 to fd00::1 is in transport mode at glass/ifcfg-ipsec0:8 and in tunnel mode at teapot/ifcfg-ipsec0:8"},
		{"tunnel's policy", "ONBOOT=yes", "DSTNET=fd00:7::/64", "the policy dir in src fd00:7::/64 dst fd00::2/128 at teapot/ifcfg-ipsec0:6 has no counterpart, dir out, in glass/ifcfg-ipsec0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			change := strings.NewReplacer(tt.old, tt.new)
			if change.Replace(ifcfg+keys) == ifcfg+keys {
				t.Fatal("the change changes nothing")
			}
			teapot := ifcfgResult(t, "teapot", change.Replace(ifcfg), change.Replace(keys))
			got := texts(Mirror(glass, teapot))
			if !strings.Contains("\n"+strings.Join(got, "\n")+"\n", "\n"+tt.want+"\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), tt.want)
			}
		})
	}
}

// TestMirrorOfCompression has what strongSwan installs for compress = yes: the template
// of IPComp is optional on the way in, and packets that do not shrink go without it.
func TestMirrorOfCompression(t *testing.T) {
	sas := "src fd00::1 dst fd00::2\n\tproto comp spi 0x0000c0de reqid 1 mode tunnel\n\treplay-window 0\n\tcomp deflate 0x\n" +
		"src fd00::1 dst fd00::2\n\tproto esp spi 0xc0000001 reqid 1 mode transport\n\treplay-window 32\n\tauth-trunc hmac(sha256) 0x" + strings.Repeat("00", 32) + " 128\n\tenc cbc(aes) " + key16 + "\n"
	policy := func(dir, level string) string {
		return "src fd01::/64 dst fd02::/64\n\tdir " + dir + " priority 375423\n\ttmpl src fd00::1 dst fd00::2\n\t\tproto comp reqid 1 mode tunnel\n" + level +
			"\ttmpl src :: dst ::\n\t\tproto esp reqid 1 mode transport\n"
	}
	kernels := "src fd00::1 dst fd00::2\n\tproto 41 spi 0x00000001 reqid 0 mode tunnel\n\treplay-window 0\n"
	glass := parse(t, "glass.txt", sas+policy("out", ""))
	teapot := parse(t, "teapot.txt", sas+kernels+policy("in", "\t\tlevel use\n"))
	if got := texts(Mirror(glass, teapot)); len(got) > 0 {
		t.Errorf("found\n%s", strings.Join(got, "\n"))
	}
}

func TestMirrorOfSetkeyAndIP(t *testing.T) {
	const sha256 = "0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	conf := `add fd00::1 fd00::2 esp 0x1000 -E aes-cbc ` + key16 + ` -A hmac-sha256 ` + sha256 + `;
spdadd fd00::1 fd00::2 any -P out ipsec esp/transport//require;
spdadd fd00::1 fd00::5 any -P out ipsec esp/transport//require;
spdadd ::/0 ::/0 icmp6 136,0 -P out none;
`
	ip := "src fd00::1 dst fd00::2\n\tproto esp spi 0x00001000 reqid 0 mode transport\n\treplay-window 0 flag esn\n" +
		"\tauth-trunc hmac(sha256) " + sha256 + " 128\n\tenc cbc(aes) " + key16 + "\n" +
		"src fd00::7 dst fd00::2\n\tproto esp spi 0x00007000 reqid 0 mode transport\n\treplay-window 0\n" +
		"src fd00::1/128 dst fd00::2/128\n\tdir in priority 7 ptype main\n\ttmpl src :: dst ::\n\t\tproto esp reqid 1 mode transport\n\t\tlevel use\n"
	got := texts(Mirror(parse(t, "glass.conf", conf), parse(t, "teapot.txt", ip)))
	want := []string{
		"the authenticator of the ESP SA from fd00::1 to fd00::2 (hmac(sha256)) is cut to 96 bits at glass.conf:1 and to 128 bits at teapot.txt:1",
		"the ESP SA from fd00::1 to fd00::2 has 32 bit sequence numbers at glass.conf:1 and extended sequence numbers at teapot.txt:1",
		"the policy dir out src fd00::1/128 dst fd00::2/128 asks for esp transport at glass.conf:2, and its counterpart for esp transport level use at teapot.txt:9",
		// The bypass needs no counterpart: what is optional lets its packets in.
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	state := parse(t, "state.txt", ip[:strings.Index(ip, "src fd00::7")])
	got = texts(Mirror(parse(t, "glass.conf", conf), state))
	if last := got[len(got)-1]; last != "glass.conf has 3 policies and state.txt none" {
		t.Errorf("without policies: %s", strings.Join(got, "\n"))
	}
	if got := Mirror(Result{}, Result{}); got != nil {
		t.Errorf("nothing and nothing: %v", got)
	}
}

// TestRecordedEndsMirrorEachOther holds the comparison against what real IKE
// daemons negotiated.
func TestRecordedEndsMirrorEachOther(t *testing.T) {
	for _, scenario := range []string{"healthy-ikev1", "healthy-ikev2", "healthy-ipv4", "healthy-tunnel"} {
		if got := texts(Mirror(recorded(t, scenario, "glass"), recorded(t, scenario, "teapot"))); got != nil {
			t.Errorf("%s:\n%s", scenario, strings.Join(got, "\n"))
		}
	}
}

func TestKeyLengthsThatFit(t *testing.T) {
	tests := []struct {
		use  use
		name string
		good []int
		bad  []int
	}{
		{forEnc, "3des-cbc", []int{192}, []int{128, 168, 256}},
		{forEnc, "aes-cbc", []int{128, 192, 256}, []int{0, 64, 160}},
		{forEnc, "blowfish-cbc", []int{40, 128, 448}, []int{32, 456}},
		{forEnc, "des-cbc", []int{64}, []int{56}},
		{forEnc, "aes-ctr", []int{160, 224, 288}, []int{128}},
		{forAuth, "hmac-md5", []int{128}, []int{120, 160}},
		{forAuth, "hmac-sha1", []int{160}, []int{128}},
		{forAuth, "hmac-sha2-256", []int{256}, []int{128}},
		{forAuth, "hmac-sha512", []int{512}, []int{256}},
	}
	for _, tt := range tests {
		a := bySetkey(tt.use, tt.name)
		if a == nil {
			t.Fatalf("%s is not known", tt.name)
		}
		for _, bits := range tt.good {
			if !a.takes(bits) {
				t.Errorf("%s does not take %d", tt.name, bits)
			}
		}
		for _, bits := range tt.bad {
			if a.takes(bits) {
				t.Errorf("%s takes %d", tt.name, bits)
			}
		}
	}
	if got := bySetkey(forEnc, "aes-cbc").lengths() + "; " + bySetkey(forEnc, "blowfish-cbc").lengths() + "; " + bySetkey(forAuth, "hmac-md5").lengths(); got != "128, 192 or 256; 40 to 448; 128" {
		t.Error(got)
	}
}

// TestWhatNeedsNoCounterpart holds that ends whose policies differ and do the
// same with the packets between the two are not told to differ.
func TestWhatNeedsNoCounterpart(t *testing.T) {
	const (
		tmpl    = "\ttmpl src :: dst ::\n\t\tproto esp reqid 1 mode transport\n"
		waiting = "src fd00::1/128 dst fd00::2/128\n\tdir out priority 1703937\n\ttmpl src :: dst ::\n\t\tproto esp reqid 0 mode transport\n"
		setkeys = "src fd00::1/128 dst fd00::2/128\n\tdir out priority 2147483648\n\ttmpl src :: dst ::\n\t\tproto esp reqid 0 mode transport\n"
		glass   = "src fd00::1/128 dst fd00::2/128\n\tdir out priority 9\n" + tmpl + "src fd00::2/128 dst fd00::1/128\n\tdir in priority 9\n" + tmpl
		teapot  = "src fd00::2/128 dst fd00::1/128\n\tdir out priority 9\n" + tmpl + "src fd00::1/128 dst fd00::2/128\n\tdir in priority 9\n" + tmpl
		wide    = "src ::/0 dst ::/0 proto ipv6-icmp type 136\n\tdir out priority 1\nsrc ::/0 dst ::/0 proto ipv6-icmp type 136\n\tdir in priority 1\n"
	)
	narrow := strings.ReplaceAll(wide, "::/0", "fd00::/64")
	onlyTCP := func(s string) string { return strings.ReplaceAll(s, "/128\n\tdir", "/128 proto tcp\n\tdir") }
	for _, tt := range []struct {
		name, glass, teapot, want string
	}{
		{"a trap of libreswan", waiting, teapot, ""},
		{"one direction of setkey", setkeys, teapot, "the policy dir out src fd00::2/128 dst fd00::1/128 at teapot:1 has no counterpart"},
		{"bypasses of other widths", glass + wide, teapot + narrow, ""},
		{"a bypass of what the other end has no policy for", onlyTCP(glass) + wide, onlyTCP(teapot), ""},
		{"a bypass of what the other end protects", glass + wide, teapot, "proto ipv6-icmp type 136 at glass:"},
	} {
		a, b := Parse(Options{}, File{"glass", []byte(tt.glass)}), Parse(Options{}, File{"teapot", []byte(tt.teapot)})
		if len(a.Errors.List)+len(b.Errors.List) > 0 {
			t.Fatal(a.Errors.List, b.Errors.List)
		}
		got := strings.Join(texts(Mirror(a, b)), "\n")
		if !strings.Contains(got, tt.want) || (got != "") != (tt.want != "") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
