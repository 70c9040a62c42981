package analyze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// PlainJSON returns JSON text of the same meaning in which nothing is left that a
// terminal, a log or an editor might obey: control characters from DEL on (those
// below are escaped by encoding/json, as RFC 8259 section 7 wants), bidirectional
// overrides, line separators, and whatever else is not there to be printed, become
// \u escapes. Captured strings can hold anything. The result may be b itself.
func PlainJSON(b []byte) []byte {
	at := bytes.IndexFunc(b, unprintable)
	if at < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)+64), b[:at]...)
	for b = b[at:]; len(b) > 0; {
		r, size := utf8.DecodeRune(b)
		if unprintable(r) {
			out = appendEscaped(out, r)
		} else {
			out = append(out, b[:size]...)
		}
		b = b[size:]
	}
	return out
}

// unprintable reports whether a character of JSON text is to be escaped. The line
// feeds and spaces between values are not.
func unprintable(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }

func appendEscaped(b []byte, r rune) []byte {
	if r < 0x10000 {
		return fmt.Appendf(b, `\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
}

// WriteJSON writes a value as PlainJSON and a line feed: on one line, or indented by
// two blanks. It leaves <, > and & as they are.
func WriteJSON(w io.Writer, v any, indented bool) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if indented {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(PlainJSON(b.Bytes()))
	return err
}
