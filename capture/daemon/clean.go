package daemon

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// cut bounds a stranger's text and makes it valid UTF-8. Control characters
// stay: whoever shows it escapes them.
func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func cutAll(list []string) []string {
	if len(list) > maxList {
		list = list[:maxList]
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, cut(s, maxText))
	}
	return out
}

// endpoint reads an address and a port; the zero value where it is no address.
func endpoint(host, port string) netip.AddrPort {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}
	}
	p, _ := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(p))
}

// bracketed reads "192.0.2.1[500]" or "fd00::1[500]" (strongSwan's %#H).
func bracketed(s string) netip.AddrPort {
	host, port, _ := strings.Cut(s, "[")
	return endpoint(host, strings.TrimSuffix(port, "]"))
}

func hexSPI(s string) ike.SPI {
	v, _ := strconv.ParseUint(s, 16, 64)
	return ike.SPI(v)
}

func hex32(s string) uint32 {
	v, _ := strconv.ParseUint(s, 16, 32)
	return uint32(v)
}

func decimal(s string) uint32 {
	v, _ := strconv.ParseUint(s, 10, 32)
	return uint32(v)
}

// portions splits a list into parts whose JSON is of a bounded size each.
func portions[T any](list []T) [][]T {
	var parts [][]T
	size, from := 0, 0
	for i := range list {
		blob, err := json.Marshal(list[i])
		if err != nil {
			continue
		}
		if size += len(blob); size > maxEventBytes && i > from {
			parts = append(parts, list[from:i])
			size, from = len(blob), i
		}
	}
	if from < len(list) {
		parts = append(parts, list[from:])
	}
	return parts
}

// words makes the words that tell what a daemon holds.
func words(base analyze.Word, conns []analyze.Connection, sas []analyze.DaemonSA, gone []string) []analyze.Word {
	var out []analyze.Word
	add := func(change func(*analyze.Word)) {
		w := base
		change(&w)
		out = append(out, w)
		base.Whole = false // the rest adds to it
	}
	for _, part := range portions(conns) {
		add(func(w *analyze.Word) { w.Connections = part })
	}
	for _, part := range portions(sas) {
		add(func(w *analyze.Word) { w.SAs = part })
	}
	for _, part := range portions(gone) {
		add(func(w *analyze.Word) { w.Gone = part })
	}
	if base.Whole { // it holds nothing
		add(func(*analyze.Word) {})
	}
	return out
}
