package capture

import (
	"testing"

	"ipsecdiag/analyze"
)

func flowKey(spi uint32) analyze.FlowKey {
	return analyze.FlowKey{Src: teapot, Dst: glass, Proto: 50, SPI: spi}
}

func TestFlowMeterCounts(t *testing.T) {
	m := NewFlowMeter(0)
	other := kernelOf
	for i, seq := range []uint32{5, 3, 9, 7} {
		if seen := m.Add(flowKey(1), analyze.DirIn, &wire, int64(100+i), 8+i, seq); seen != uint64(i+1) {
			t.Errorf("packet %d is number %d", i+1, seen)
		}
	}
	m.Add(flowKey(1), analyze.DirOut, &wire, 1, 1, 1)
	m.Add(flowKey(1), analyze.DirIn, &other, 1, 1, 1)
	got := m.Flush(1000)
	if len(got) != 3 {
		t.Fatalf("%d flows, want one for each direction and origin", len(got))
	}
	f := got[0]
	if f.Packets != 4 || f.Bytes != 38 || f.Longest != 11 || f.FirstSeq != 5 || f.LastSeq != 7 || f.MinSeq != 3 || f.MaxSeq != 9 ||
		f.Start.UnixNano() != 100 || f.End.UnixNano() != 103 || f.Time.UnixNano() != 1000 || f.Origin != wire {
		t.Errorf("got %+v", f)
	}
	if again := m.Flush(2000); len(again) != 0 {
		t.Errorf("an interval without packets gave %d flows", len(again))
	}
	if seen := m.Add(flowKey(1), analyze.DirIn, &wire, 2001, 1, 10); seen != 5 {
		t.Errorf("after a flush the next packet is number %d, want 5", seen)
	}
	if next := m.Flush(3000); len(next) != 1 || next[0].Longest != 1 {
		t.Errorf("the next interval's flows are %+v, want one with a longest packet of 1 byte", next)
	}
}

// TestFlowMeterBounded holds that keys beyond the limit cost no packet: the one
// used longest ago is handed on early.
func TestFlowMeterBounded(t *testing.T) {
	m := NewFlowMeter(4)
	var packets, evicted uint64
	for i := range 1000 {
		m.Add(flowKey(7), analyze.DirIn, &wire, int64(i), 1, 1) // always in use
		m.Add(flowKey(uint32(1000+i%100)), analyze.DirIn, &wire, int64(i), 1, 1)
		for _, f := range m.Evicted() {
			if f.Key.SPI == 7 {
				t.Fatal("the key in use was forgotten")
			}
			evicted += f.Packets
		}
		if i%10 == 9 {
			for _, f := range m.Flush(int64(i)) {
				packets += f.Packets
			}
		}
	}
	if packets+evicted != 2000 || evicted == 0 || m.Lost() != 0 {
		t.Errorf("%d packets, %d of them early, want 2000", packets+evicted, evicted)
	}
	if len(m.entries) != 4 || len(m.index) != 4 {
		t.Errorf("%d entries, %d keys, want 4", len(m.entries), len(m.index))
	}
}

// TestFlowMeterLost holds that packets which nobody collects are told of.
func TestFlowMeterLost(t *testing.T) {
	m := NewFlowMeter(1)
	for i := range maxEvictedFlows + 11 {
		m.Add(flowKey(uint32(i)), analyze.DirIn, &wire, 0, 1, 1)
	}
	if kept, lost := len(m.Flush(0)), m.Lost(); kept != maxEvictedFlows+1 || lost != 10 || m.Lost() != 0 {
		t.Errorf("%d flows and %d packets lost", kept, lost)
	}
}

func TestFlowMeterAllocates(t *testing.T) {
	m := NewFlowMeter(0)
	spi := uint32(0)
	add := func() {
		spi++
		m.Add(flowKey(spi%1000), analyze.DirIn, &wire, 1, 1, 1)
	}
	for range 2000 {
		add()
	}
	if n := testing.AllocsPerRun(5000, add); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// What somebody else has counted does not make the first frames of a key fewer.
func TestFlowMeterTellsFramesFromCounts(t *testing.T) {
	m, origin := NewFlowMeter(0), new(analyze.Origin)
	key := analyze.FlowKey{SPI: 7}
	m.Add(key, analyze.DirIn, origin, 1, 100, 1)
	m.AddCounted(key, analyze.DirIn, origin, &countSum{Packets: 90, Start: 9, End: 99, First: 9, Last: 98, Smallest: 9, Largest: 98})
	if n := m.Add(key, analyze.DirIn, origin, 2, 100, 2); n != 2 || m.Frames(key, analyze.DirIn, origin) != 2 {
		t.Errorf("it was packet %d, and %d were told", n, m.Frames(key, analyze.DirIn, origin))
	}
	if f := m.Flush(100); len(f) != 1 || f[0].Packets != 92 || f[0].FirstSeq != 1 || f[0].MaxSeq != 98 {
		t.Errorf("flushed %+v", f)
	}
}
