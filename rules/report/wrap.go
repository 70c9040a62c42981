package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// displayWidth returns how many terminal columns a clean string takes.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) { // combining marks
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks a clean paragraph at spaces into lines of at most columns; a word
// that is longer than a line is broken where the line ends.
func wrap(s string, columns int) []string {
	columns = max(columns, 8)
	var lines []string
	var line strings.Builder
	used := 0
	for _, word := range strings.Fields(s) {
		w := displayWidth(word)
		if line.Len() > 0 && used+1+w > columns {
			lines, used = append(lines, line.String()), 0
			line.Reset()
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
			used++
		}
		for w > columns {
			var head string
			head, word = split(word, columns)
			lines = append(lines, head)
			w = displayWidth(word)
		}
		line.WriteString(word)
		used += w
	}
	if line.Len() > 0 || len(lines) == 0 {
		lines = append(lines, line.String())
	}
	return lines
}

// split cuts a word after at most that many columns.
func split(word string, columns int) (head, rest string) {
	used := 0
	for i, r := range word {
		if used += runeWidth(r); used > columns {
			return word[:i], word[i:]
		}
	}
	return word, ""
}
