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

// TestFlowsBeyondTheirNumber holds that no more flows than were asked for are counted
// apart, of all files together, and that no packet of the others goes uncounted.
func TestFlowsBeyondTheirNumber(t *testing.T) {
	f := newPcap(binary.LittleEndian, true, 1)
	const spis, rounds = 3, 5
	for i := range uint32(spis * rounds) {
		f.frame(t0.Add(time.Duration(i)*time.Microsecond), espFrame(1+i%spis, 1+i/spis, 100))
	}
	a, b := writeFile(t, "a.pcap", f.data), writeFile(t, "b.pcap", f.data)
	for _, tt := range []struct {
		flows int
		paths []string
		told  int
	}{
		{0, []string{a}, spis}, {spis, []string{a}, spis}, {spis - 1, []string{a}, spis * rounds},
		{2 * spis, []string{a, b}, 2 * spis}, {2*spis - 1, []string{a, b}, 2 * spis * rounds}, {1, []string{a, b}, 2 * spis * rounds},
	} {
		events, err := collect(Files(t.Context(), tt.paths, FileOptions{Flows: tt.flows}))
		if err != nil {
			t.Fatal(err)
		}
		packets := uint64(0)
		told := flows(events)
		for _, e := range told {
			packets += e.Packets
		}
		if want := uint64(len(tt.paths) * spis * rounds); len(told) != tt.told || packets != want {
			t.Errorf("%d flows, %d files: %d are told, with %d packets; want %d with %d", tt.flows, len(tt.paths), len(told), packets, tt.told, want)
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
