package align

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// FuzzCompare compares the clocks of two observers who saw what a script says:
// twelve bytes for each packet. A clock that is fitted goes on, not back.
func FuzzCompare(f *testing.F) {
	var same []byte
	for i := range 40 {
		same = append(same, sightingOf(uint8(i), 0, i*700, 3)...)
		same = append(same, sightingOf(uint8(i), 1, i*700+5000, 3)...)
	}
	f.Add(same)
	f.Add(same[:24*4])
	f.Fuzz(bounds.Each(func(t *testing.T, script []byte) {
		defer bounds.Hold(t, len(script), bounds.Memory{Fixed: 4 << 20, PerByte: 8 << 10})()
		var observers [2]Marks
		for ; len(script) >= 12; script = script[12:] {
			at := int64(int32(binary.BigEndian.Uint32(script[4:])))*int64(time.Millisecond) + int64(binary.BigEndian.Uint32(script[8:]))
			m := analyze.Mark{Class: analyze.MarkClass(script[1] >> 1 & 7), Key: uint64(script[0]) << (script[2] & 31)}
			v := &observers[script[1]&1]
			v.Watched(at)
			v.Add(m, netip.AddrFrom4([4]byte{10, 0, 0, script[3]}), analyze.Direction(script[1]>>4%3), at)
		}
		fit, ok := Compare(&observers[0], &observers[1])
		if !ok {
			return
		}
		first, last := observers[1].Span()
		if fit.Matched == 0 || fit.Clock.Reference(last) < fit.Clock.Reference(first) {
			t.Errorf("%+v from %d to %d", fit, first, last)
		}
	}))
}

func sightingOf(key, observer uint8, millis int, sender uint8) []byte {
	b := []byte{key, observer | 1<<1, 8, sender}
	b = binary.BigEndian.AppendUint32(b, uint32(millis))
	return append(b, 0, 0, 0, 0)
}
