package capture

import (
	"encoding/binary"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// TestForeignFlows holds that ESP comes as flows by the second, and its first
// frames, cut, besides.
func TestForeignFlows(t *testing.T) {
	f := newPcap(binary.LittleEndian, true, 1)
	start := t0.Truncate(time.Second)
	for i := range 25 {
		f.frame(start.Add(time.Duration(i)*100*time.Millisecond), espFrame(0xc0de, uint32(i+1), 1000))
	}
	events, _ := readAll(t, f.data)
	if got := frames(events); len(got) != firstFrames || len(got[0].Data) != flowFrameLen || got[0].OrigLen < 1000 {
		t.Errorf("%d frames, the first of %d bytes", len(got), len(got[0].Data))
	}
	got := flows(events)
	if len(got) != 3 {
		t.Fatalf("%d flows, want one for each second", len(got))
	}
	for i, want := range []struct {
		packets     uint64
		first, last uint32
		at          time.Duration
	}{{10, 1, 10, time.Second}, {10, 11, 20, 2 * time.Second}, {5, 21, 25, 2400 * time.Millisecond}} {
		g := got[i]
		if g.Packets != want.packets || g.FirstSeq != want.first || g.LastSeq != want.last || g.Mono != want.at ||
			g.Bytes != want.packets*uint64(len(espFrame(0, 0, 1000))+4) || !g.Time.Equal(start.Add(want.at)) {
			t.Errorf("flow %d: %+v", i, g)
		}
		if g.Key != (analyze.FlowKey{Src: teapot, Dst: glass, Proto: 50, SPI: 0xc0de}) {
			t.Errorf("flow %d: key %+v", i, g.Key)
		}
	}
}

func TestCookedDirection(t *testing.T) {
	sll := func(typ byte) []byte { return append([]byte{0, typ}, make([]byte, 14)...) }
	sll2 := func(typ byte) []byte { return append(append(make([]byte, 10), typ), make([]byte, 9)...) }
	want := []analyze.Direction{analyze.DirIn, analyze.DirIn, analyze.DirIn, analyze.DirUnknown, analyze.DirOut, analyze.DirUnknown}
	for typ, d := range want {
		if got := cookedDirection(analyze.LinkSLL, sll(byte(typ))); got != d {
			t.Errorf("SLL type %d: %v, want %v", typ, got, d)
		}
		if got := cookedDirection(analyze.LinkSLL2, sll2(byte(typ))); got != d {
			t.Errorf("SLL2 type %d: %v, want %v", typ, got, d)
		}
	}
	if got := cookedDirection(analyze.LinkSLL2, nil); got != analyze.DirUnknown {
		t.Errorf("no bytes: %v", got)
	}
}
