package report

import (
	"slices"
	"strings"
	"testing"

	"ipsecdiag/fixtures/bounds"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ↔ 漢字 §":       "plain ↔ 漢字 §",
		"a\x1b[31mb":         `a\x1b[31mb`,
		"\xff\xfe":           `\xff\xfe`,
		"\u009b\u202e\ufeff": `\x9b\u{202e}\u{feff}`,
		"\ufffd":             "\ufffd",
		"a\tb\r\n":           `a\x09b\x0d\x0a`,
	} {
		got := Clean(in)
		if got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
		if again := Clean(got); again != got {
			t.Errorf("Clean(%q) = %q: cleaning twice changes it", got, again)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    []string
	}{
		{"", 10, []string{""}},
		{"one two three", 9, []string{"one two", "three"}},
		{"one two three", 80, []string{"one two three"}},
		{"abcdefghijklmno", 10, []string{"abcdefghij", "klmno"}},
		{"ab abcdefghijklmno pq", 10, []string{"ab", "abcdefghij", "klmno pq"}},
		{"漢字漢字 漢字", 9, []string{"漢字漢字", "漢字"}},
		{"漢字漢字漢字", 9, []string{"漢字漢字", "漢字"}},
		{"e\u0301e\u0301e\u0301e\u0301 e\u0301e\u0301e\u0301", 8, []string{"e\u0301e\u0301e\u0301e\u0301 e\u0301e\u0301e\u0301"}},
	} {
		if got := wrap(c.in, c.columns); !slices.Equal(got, c.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("one 漢字 \x1b[0m", 10)
	f.Fuzz(func(t *testing.T, s string, columns int) {
		defer bounds.Hold(t, len(s), bounds.Memory{Fixed: 4 << 20, PerByte: 4 << 10})()
		columns = 8 + (columns&0xff)%100
		s = Clean(s)
		for _, l := range wrap(s, columns) {
			if displayWidth(l) > columns {
				t.Errorf("%q is wider than %d", l, columns)
			}
		}
		if got, want := strings.Join(wrap(s, columns), ""), strings.Join(strings.Fields(s), ""); strings.ReplaceAll(got, " ", "") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
