package ike

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// maxShown bounds how many characters of one value from the wire go into a
// line.
const maxShown = 160

// Printable renders bytes from the wire so that they are safe in a terminal,
// a log and a report: printable ASCII as it is, the backslash doubled,
// everything else as \xNN. Long values are cut, and say so.
func Printable(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if s.Len() >= maxShown {
			s.WriteString("… (" + strconv.Itoa(len(b)) + " bytes)")
			break
		}
		switch {
		case c == '\\':
			s.WriteString(`\\`)
		case c >= 0x20 && c < 0x7f:
			s.WriteByte(c)
		default:
			s.WriteString(`\x` + hex.EncodeToString([]byte{c}))
		}
	}
	return s.String()
}

// hexText renders bytes as hexadecimal, cut where they are many.
func hexText(b []byte) string {
	const most = 16
	if len(b) > most {
		return hex.EncodeToString(b[:most]) + "… (" + strconv.Itoa(len(b)) + " bytes)"
	}
	return hex.EncodeToString(b)
}

// isText tells whether bytes read as text throughout.
func isText(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(b) > 0
}

// plural gives "1 proposal", "2 proposals".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
