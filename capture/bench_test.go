package capture

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// espCapture is a capture of ESP in both directions, in memory.
func espCapture(n int) []byte {
	f := newPcap(binary.LittleEndian, false, 1)
	for i := range n {
		size := []int{90, 600, 1400, 1428}[i%4]
		f.frame(t0.Add(time.Duration(i)*10*time.Microsecond), espFrame(0xc0de+uint32(i%2), uint32(i/2), size))
	}
	return f.data
}

func BenchmarkReadESP(b *testing.B) {
	const n = 20_000
	data := espCapture(n)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		packets := uint64(0)
		events, err := collect(Files(b.Context(), []string{"-"}, FileOptions{Stdin: bytes.NewReader(data)}))
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range flows(events) {
			packets += f.Packets
		}
		if packets != n {
			b.Fatalf("%d packets", packets)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/frame")
}

// TestReadESPAllocates holds that reading ESP costs no allocation for each
// frame.
func TestReadESPAllocates(t *testing.T) {
	allocations := func(n int) float64 {
		data := espCapture(n)
		return testing.AllocsPerRun(5, func() {
			for _, err := range Files(t.Context(), []string{"-"}, FileOptions{Stdin: bytes.NewReader(data)}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	few, many := allocations(100), allocations(5000)
	if many > few+20 {
		t.Errorf("%v allocations for 5000 frames, %v for 100", many, few)
	}
}
