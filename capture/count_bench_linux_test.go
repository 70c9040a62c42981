package capture

import (
	"testing"

	"ipsecdiag/analyze"
)

// BenchmarkCountedFrame measures the program that counts ESP, on one flow of plain
// frames, by BPF_PROG_TEST_RUN.
func BenchmarkCountedFrame(b *testing.B) {
	c, err := newCounter(counterOptions{link: analyze.LinkEthernet})
	if err != nil {
		b.Skip("needs eBPF: ", err)
	}
	defer c.close()
	// For a socket filter the kernel takes 14 bytes off first.
	frame := append(make([]byte, 14), espFrame(0xc0de, 1, 1400)...)
	for b.Loop() {
		_, took, err := c.program.Benchmark(frame, 1_000_000, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(took.Nanoseconds()), "ns/frame")
	}
}
