package text

import (
	"bytes"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"ipsecdiag/analyze/spd"
)

// line is one line of a file, without its end.
type line struct {
	n    int
	text string
}

// lines yields the lines of b. Of longer ones than maxLine only so much is
// read, which no parser takes for whole.
func lines(b []byte) iter.Seq[line] {
	return func(yield func(line) bool) {
		for n := 1; len(b) > 0; n++ {
			text, rest, _ := bytes.Cut(b, []byte("\n"))
			b = rest
			text = bytes.TrimSuffix(text, []byte("\r"))
			if !yield(line{n: n, text: string(text[:min(len(text), maxLine)])}) {
				return
			}
		}
	}
}

// words reads the words of a line one after the other. The first failure
// sticks; after it every read returns nothing.
type words struct {
	w   []string
	bad string
}

func split(text string) *words { return &words{w: strings.Fields(text)} }

func (w *words) fail(what string) {
	if w.bad == "" {
		w.bad = what
	}
	w.w = nil
}

func (w *words) peek() string {
	if len(w.w) == 0 {
		return ""
	}
	return w.w[0]
}

func (w *words) next() string {
	s := w.peek()
	if s != "" {
		w.w = w.w[1:]
	}
	return s
}

// accept skips the next word if it is s.
func (w *words) accept(s string) bool {
	if w.peek() != s {
		return false
	}
	w.w = w.w[1:]
	return true
}

// expect skips the next words, which must be these.
func (w *words) expect(all ...string) {
	for _, s := range all {
		if !w.accept(s) {
			w.fail("expected the word " + strconv.Quote(s))
			return
		}
	}
}

// end fails if words are left.
func (w *words) end() {
	if len(w.w) > 0 {
		w.fail("more words than expected at the end of the line")
	}
}

func (w *words) uint(what string, bits int) uint64 {
	v, ok := printedNumber(w.next(), bits)
	if !ok {
		w.fail(what + ": not a number that fits")
	}
	return v
}

func (w *words) u32(what string) uint32 { return uint32(w.uint(what, 32)) }

func (w *words) addr(what string) netip.Addr {
	a, ok := address(w.next())
	if !ok {
		w.fail(what + ": not an IP address")
	}
	return a
}

func (w *words) prefix(what string) netip.Prefix {
	p, err := netip.ParsePrefix(w.next())
	if err != nil {
		w.fail(what + ": not an IP prefix")
	}
	return p
}

// number reads a decimal number, or a hexadecimal one after 0x.
func number(s string, bits int) (uint64, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = hex, 16
	}
	v, err := strconv.ParseUint(s, base, bits)
	return v, err == nil
}

// printedNumber reads a number as iproute2 and setkey print it: the same again
// or a unit in brackets behind it, a comma at the end, (INF) for no limit, which
// is stored as 0.
func printedNumber(s string, bits int) (uint64, bool) {
	s = strings.TrimSuffix(s, ",")
	if strings.HasPrefix(s, "(INF)") {
		return 0, true
	}
	s, behind, found := strings.Cut(s, "(")
	if found && !strings.HasSuffix(behind, ")") {
		return 0, false
	}
	return number(s, bits)
}

// address reads an IP address; a zone is dropped, as the kernel keeps none in
// policies and SAs.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.WithZone(""), err == nil
}

func familyOf(a netip.Addr) spd.Family {
	switch {
	case a.Is4():
		return spd.IPv4
	case a.Is6():
		return spd.IPv6
	}
	return spd.Unspecified
}

// unspecified returns 0.0.0.0 or ::.
func unspecified(f spd.Family) netip.Addr {
	if f == spd.IPv4 {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
