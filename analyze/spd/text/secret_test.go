package text

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// The key of these tests in the forms in which it could get out: as bytes, in
// hexadecimal, in decimal as %v prints bytes, in base64 as json does.
const leakHex, leakText = "c0ffee15deadbeefc0ffee15deadbeef", "Sixteen-Byte-Key"

var leaks = []string{
	"c0ffee15", "C0FFEE15", "deadbeef", "192 255 238 21", "wP/uFd6tvu", "0xc0, 0xff, 0xee", "c0 ff ee",
	"Sixteen", "53697874", "83 105 120 116", "U2l4dGVlbi",
}

func leaked(t *testing.T, where, s string) {
	t.Helper()
	for _, l := range leaks {
		if strings.Contains(s, l) {
			t.Errorf("%s holds the key (%q): %s", where, l, s)
		}
	}
}

// prints returns v in every way in which fmt and the encoders print it.
func prints(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%b", "%c", "%U", "%10v", "%T"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	b, _ := json.Marshal(v)
	out["json"] = string(b)
	b, _ = xml.Marshal(v)
	out["xml"] = string(b)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	out["slog"] = log.String()
	out["Sprint"] = fmt.Sprint(v, &v)
	return out
}

func TestSecretPrintsItsLengthOnly(t *testing.T) {
	s, ok := hexKey(leakHex)
	if !ok {
		t.Fatal("not a key")
	}
	hidden := struct{ k Secret }{s} // fmt cannot call methods of unexported fields
	for _, v := range []any{s, &s, []Secret{s}, map[string]Secret{"x": s}, Keys{Enc: s}, &Keys{Auth: s}, hidden, &hidden, struct{ K Secret }{s}} {
		for how, got := range prints(v) {
			leaked(t, fmt.Sprintf("%T by %s", v, how), got)
		}
	}
	if got := fmt.Sprintf("%x %s %#v", s, s, s); got != "(key, 128 bits) (key, 128 bits) (key, 128 bits)" {
		t.Error(got)
	}
	if b, _ := json.Marshal(s); string(b) != `"(key, 128 bits)"` {
		t.Errorf("%s", b)
	}
	if got := fmt.Sprint(Secret{}); got != "(no key)" {
		t.Error(got)
	}
}

func TestSecretsCompare(t *testing.T) {
	a, _ := hexKey("0011")
	b, _ := hexKey("11") // shorter
	c, _ := hexKey("0012")
	d, _ := hexKey("011") // as setkey pads it
	if !a.Equal(a) || a.Equal(b) || a.Equal(c) || !a.Equal(d) || a.Equal(Secret{}) || (Secret{}).Equal(Secret{}) {
		t.Error("comparison is wrong")
	}
	if a.Len() != 16 || b.Len() != 8 || (Secret{}).Len() != 0 || (Secret{}).Known() {
		t.Error("lengths are wrong")
	}
}

// keyTexts hold the key in every format, right and broken in many ways.
func keyTexts() []string {
	base := []string{
		"src fd00::1 dst fd00::2\n\tproto esp spi 0x1000 reqid 0 mode transport\n\treplay-window 0 \n\tauth-trunc hmac(md5) 0x" + leakHex + " (128 bits) 96\n\tenc cbc(aes) 0x" + leakHex + "\n",
		"fd00::1 fd00::2 \n\tesp mode=transport spi=4096(0x00001000) reqid=7(0x00000007)\n\tE: aes-cbc  c0ffee15 deadbeef c0ffee15 deadbeef\n\tA: hmac-md5  c0ffee15 deadbeef c0ffee15 deadbeef\n\tseq=0x00000000 replay=4 flags=0x00000000 state=mature \n",
		"add fd00::1 fd00::2 esp 0x1000 -m transport -E aes-cbc 0x" + leakHex + " -A hmac-md5 \"" + leakText + "\";\nspdadd ::/0 ::/0 any -P out none;\n",
		"SRC=fd00::1\nDST=fd00::2\nSPI_ESP_IN=256\nSPI_ESP_OUT=257\nESP_PROTO=aes-cbc\nKEY_ESP=0x" + leakHex + "\nKEY_AESP=\"" + leakText + "\"\nKEY_AH_IN=0x" + leakHex + "\nSPI_AH_IN=0x300\nIKE_PSK=\n",
	}
	out := append([]string(nil), base...)
	for _, s := range base {
		words := strings.Fields(s)
		for _, w := range words { // without each word, and the key in place of it
			out = append(out, strings.Replace(s, w, "", 1), strings.Replace(s, w, "0x"+leakHex, 1), strings.Replace(s, w, `"`+leakText+`"`, 1), strings.Replace(s, w, leakHex, 1))
		}
		for i := range len(s) { // cut, broken by a line end, and garbled everywhere
			out = append(out, s[:i], s[i:], s[:i]+"\n"+s[i:], s[:i]+"\""+s[i:], s[:i]+"~ "+s[i:], s[:i]+";"+s[i:])
		}
	}
	return out
}

// TestNoKeyIsEverPrinted parses the key in every place and prints everything.
func TestNoKeyIsEverPrinted(t *testing.T) {
	good := Parse(Options{}, File{"good", []byte(keyTexts()[0])})
	known := 0
	for i, text := range keyTexts() {
		r := Parse(Options{}, File{"x", []byte(text)})
		known += len(r.Keys)
		for _, p := range append(r.Errors.List, r.Warnings.List...) {
			leaked(t, "an error", p.Error())
		}
		for _, d := range Mirror(r, good) {
			leaked(t, "a difference", d.String())
		}
		if i < 4 { // where no key stands for something else
			for how, s := range prints(r) {
				leaked(t, "a result by "+how, s)
			}
			for how, s := range prints(&r) {
				leaked(t, "a pointer to a result by "+how, s)
			}
		}
		for _, k := range r.Keys {
			leaked(t, "keys", fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k))
		}
		for _, s := range r.DB.SAs {
			leaked(t, "an SA's algorithms", fmt.Sprint(s.Enc, s.Auth, s.AEAD, s.Comp))
		}
	}
	if known < 1000 {
		t.Errorf("only %d texts had keys", known)
	}
}
