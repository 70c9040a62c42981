package analyze

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

// TestPlainJSON holds that every character which is not there to be printed is
// escaped, and that what is read from the text is what was written.
func TestPlainJSON(t *testing.T) {
	var hostile []rune
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsPrint(r) && (r < 0xd800 || r > 0xdfff) && (r < 0x3000 || r%97 == 0) {
			hostile = append(hostile, r)
		}
	}
	hostile = append(hostile, []rune("\u200b\u202e\u2066\u2028\ufeff\U000e0041\U0010fffd, and é ↔ 漢 🙂 <&>")...)
	for _, indented := range []bool{false, true} {
		want := map[string]string{"a": string(hostile), string(hostile): "b"}
		var b bytes.Buffer
		if err := WriteJSON(&b, want, indented); err != nil {
			t.Fatal(err)
		}
		for i, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%U at %d is not escaped", r, i)
			}
		}
		var got map[string]string
		if err := json.Unmarshal(b.Bytes(), &got); err != nil || got["a"] != want["a"] || got[string(hostile)] != "b" {
			t.Errorf("%v: what is read is not what was written", err)
		}
		if !bytes.Contains(b.Bytes(), []byte("é ↔ 漢 🙂 <&>")) {
			t.Error("what can be printed is escaped")
		}
	}
}

func TestPlainJSONLeavesAlone(t *testing.T) {
	for _, text := range []string{``, `{"a":"b","c":[1,2.5e3,null]}`, `{"a":"é \\ \" \u001b"}` + "\n"} {
		if got := string(PlainJSON([]byte(text))); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}
