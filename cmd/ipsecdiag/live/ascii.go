package live

import "strings"

// asASCII replaces the view's own signs, each by one character that every
// terminal knows, and whatever else is not ASCII by a question mark.
func asASCII(screen string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 {
			return r
		}
		if c, ok := asciiSigns[r]; ok {
			return c
		}
		return '?'
	}, screen)
}

var asciiSigns = map[rune]rune{
	'✗': 'x', '✓': '+', '·': '.', '●': 'o', '×': 'x', '≤': '<', '…': '~', '–': '-',
	'↔': '-', '→': '>', '←': '<', '↑': '^', '↓': 'v',
	'│': '|', '─': '-', '┄': '.', '▶': '>', '◀': '<',
}
