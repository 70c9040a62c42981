package secret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The key of these tests, and the forms in which it could get out: as bytes, in
// hexadecimal, in decimal as %v prints bytes, in base64 as json does.
const leakText = "Sixteen-Byte-Key"

var leaks = []string{"Sixteen", "53697874", "83 105 120 116", "U2l4dGVlbi", "53 69 78 74", "0x53, 0x69"}

func TestAKeyPrintsItsLengthOnly(t *testing.T) {
	k := New([]byte(leakText))
	hidden := struct{ k Key }{k} // fmt cannot call methods of unexported fields
	for _, v := range []any{k, &k, []Key{k}, map[string]Key{"x": k}, hidden, &hidden, struct{ K Key }{k}} {
		said := fmt.Sprint(v, &v)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%b", "%c", "%U", "%10v", "%T"} {
			said += fmt.Sprintf(verb, v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leaks {
			if strings.Contains(said+string(b), l) {
				t.Errorf("%T shows the key (%q)", v, l)
			}
		}
	}
	if got := fmt.Sprintf("%x %s %#v %v", k, k, k, Key{}); got != "(key, 128 bits) (key, 128 bits) (key, 128 bits) (no key)" {
		t.Error(got)
	}
}

func TestAKeyIsACopy(t *testing.T) {
	b := []byte(leakText)
	k := New(b)
	clear(b)
	k.Reveal()[0] = 0
	if !k.Equal(New([]byte(leakText))) || k.Equal(New(b)) || string(k.Reveal()) != leakText || k.Len() != 128 {
		t.Error("the key is not what it was made of")
	}
	if k.Equal(Key{}) || (Key{}).Equal(Key{}) || (Key{}).Known() || (Key{}).Len() != 0 || (Key{}).Reveal() != nil {
		t.Error("no key is taken for one")
	}
}
