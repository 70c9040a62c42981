package capture

import (
	"context"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

func TestIntegrationLiveFlows(t *testing.T) {
	a, b := twoHosts(t)
	w := watch(t, b, "vb")
	const packets = 20
	for i := range packets {
		sendFrames(t, a, "va", ethernet(etherIPv6, nil, ipv6(50, espPacket(0xf10, byte(100-i)))))
	}
	var sum analyze.Flow
	w.until(t, "a flow of 20 packets", func(events []analyze.Event) bool {
		sum = analyze.Flow{MinSeq: 1 << 31}
		for _, e := range events {
			if f, ok := e.(*analyze.Flow); ok && f.Key.SPI == 0xf10 {
				sum.Packets += f.Packets
				sum.Bytes += f.Bytes
				sum.MinSeq, sum.MaxSeq = min(sum.MinSeq, f.MinSeq), max(sum.MaxSeq, f.MaxSeq)
			}
		}
		return sum.Packets >= packets
	})
	const length = 14 + 40 + 1008
	if sum.Packets != packets || sum.Bytes != packets*length || sum.MinSeq != 81 || sum.MaxSeq != 100 {
		t.Errorf("packets %d, bytes %d, sequence %d to %d; want 20, %d, 81 to 100",
			sum.Packets, sum.Bytes, sum.MinSeq, sum.MaxSeq, packets*length)
	}
	frames := 0
	for _, e := range w.seen() {
		if f, ok := e.(*analyze.Frame); ok && strings.HasPrefix(describeFrame(f), "in spi f10 ") {
			frames++
			if len(f.Data) != 14+40+flowSnap || f.OrigLen != length {
				t.Errorf("%d of %d bytes, want %d of %d", len(f.Data), f.OrigLen, 14+40+flowSnap, length)
			}
		}
	}
	if frames != firstFrames {
		t.Errorf("%d frames, want %d", frames, firstFrames)
	}
}

// The last interval's flows are not lost when the stream is cancelled.
func TestIntegrationLiveFlowsAtEnd(t *testing.T) {
	a, b := twoHosts(t)
	w := watch(t, b, "vb")
	sendFrames(t, a, "va", ethernet(etherIPv6, nil, ipv6(50, espPacket(0xf11, 1))))
	w.untilFrame(t, "in spi f11 seq 1")
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	if countOf(w.seen(), "in flow f11 packets 1") != 1 {
		t.Errorf("the flow was not seen; seen:\n%s", strings.Join(described(w.seen()), "\n"))
	}
}

// Frames that find no room in the ring are counted: what was seen and what was
// lost is what there was.
func TestIntegrationLiveDrops(t *testing.T) {
	a, b := twoHosts(t)
	const sent = 10000 // of 1,000 bytes: more than twice what the ring holds
	frame := ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, make([]byte, 1000))))
	frames := make([][]byte, sent)
	for i := range frames {
		frames[i] = frame
	}
	opt := LiveOptions{Interfaces: []string{"vb"}, Netns: b, Host: "host", Started: func() { sendFrames(t, a, "va", frames...) }}
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	seen, lost, last := 0, 0, (*analyze.Lost)(nil)
	for e, err := range Live(ctx, opt) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := e.(type) {
		case *analyze.Frame:
			if len(e.Data) == len(frame) {
				seen++
			}
		case *analyze.Lost:
			lost += int(e.Count)
			last = e
		}
		if seen+lost >= sent {
			break
		}
	}
	if seen+lost < sent || last == nil || last.What != "frames dropped by the kernel on vb" {
		t.Errorf("%d frames seen and %d lost of %d; last loss %+v", seen, lost, sent, last)
	}
}
