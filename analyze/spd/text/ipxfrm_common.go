package text

import (
	"strconv"
	"strings"
	"time"

	"ipsecdiag/analyze/spd"
)

func lineNumber(p Pos) string { return strconv.Itoa(p.Line) }

// skipLine takes a line that says nothing that is kept.
func skipLine(_ any, w *words) { w.w = nil }

// ipID reads "proto P [spi S] reqid R mode M" (xfrm_id_info_print).
func ipID(w *words) (proto uint8, spi, reqid uint32, mode spd.Mode) {
	w.expect("proto")
	proto, ok := ipsecProtocol(w.next())
	if !ok {
		w.fail("proto: not a protocol of IPsec")
	}
	if w.accept("spi") {
		spi = w.u32("spi")
	}
	w.expect("reqid")
	reqid = w.u32("reqid")
	w.expect("mode")
	if m := w.next(); m == "" || mode.UnmarshalText([]byte(m)) != nil {
		w.fail("mode: not a known mode")
	}
	return proto, spi, reqid, mode
}

// ipMark reads "mark V/M", old ones with V in decimal and perhaps negative,
// with the output mark on the same line.
func ipMark(w *words) spd.Mark {
	w.expect("mark")
	v, m, _ := strings.Cut(w.next(), "/")
	value, ok := number(v, 32)
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n < 0 {
		value, ok = uint64(uint32(n)), true
	}
	mask, ok2 := number(m, 32)
	if !ok || !ok2 {
		w.fail("mark: not a value and a mask")
	}
	if w.accept("output-mark") {
		w.next()
	}
	return spd.Mark{Value: uint32(value), Mask: uint32(mask)}
}

func ipIfID(w *words) uint32 {
	w.expect("if_id")
	return w.u32("if_id")
}

// ipOffload reads "crypto offload parameters: dev D dir in", since iproute2 6.2
// with "packet" for packet offload.
func ipOffload(r *Result, w *words) *spd.Offload {
	const inbound, packet = 2, 4
	var o spd.Offload
	if w.next() == "packet" {
		o.Flags |= packet
	}
	w.expect("offload", "parameters:", "dev")
	o.IfIndex = ipDevice(r, w)
	w.expect("dir")
	if w.next() == "in" {
		o.Flags |= inbound
	}
	return &o
}

// ipUsage reads "add TIME use TIME".
func (e *entry) ipUsage(w *words) (add, use uint64) {
	w.expect("add")
	add = e.clock(w)
	w.expect("use")
	return add, e.clock(w)
}

// clock reads "2026-11-24 02:58:08", or "-" for never.
func (e *entry) clock(w *words) uint64 {
	day := w.next()
	if day == "-" {
		return 0
	}
	t, err := time.ParseInLocation(time.DateTime, day+" "+w.next(), e.p.location)
	if err != nil || t.Unix() < 0 {
		w.fail("not a time")
		return 0
	}
	return uint64(t.Unix())
}

// ipFlags reads the words after "flag", up to the bits that -s prints in
// brackets; what is not known to iproute2 it prints in hexadecimal.
func ipFlags(w *words, names map[string]uint8) (flags uint8) {
	for s := w.peek(); s != "" && s != "extra_flag" && !strings.HasPrefix(s, "(0x"); s = w.peek() {
		w.next()
		bit, ok := names[s]
		if v, err := strconv.ParseUint(s, 16, 8); !ok && err == nil {
			bit, ok = uint8(v), true
		}
		if !ok {
			w.fail("flag: not a known flag")
		}
		flags |= bit
	}
	if strings.HasPrefix(w.peek(), "(0x") {
		w.next()
	}
	return flags
}
