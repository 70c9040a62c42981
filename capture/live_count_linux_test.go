package capture

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// flowTotals adds up flows by key, interface and direction, and counts the
// frames of each SPI that were handed on.
func flowTotals(events []analyze.Event) (totals map[string]analyze.Flow, frames map[string]int) {
	totals, frames = map[string]analyze.Flow{}, map[string]int{}
	for _, e := range events {
		switch e := e.(type) {
		case *analyze.Flow:
			name := fmt.Sprint(e.Key, e.Direction, e.Origin)
			sum, ok := totals[name]
			if !ok {
				sum.FirstSeq, sum.MinSeq = e.FirstSeq, e.MinSeq
			}
			sum.LastSeq, sum.MinSeq, sum.MaxSeq = e.LastSeq, min(sum.MinSeq, e.MinSeq), max(sum.MaxSeq, e.MaxSeq)
			sum.Packets += e.Packets
			sum.Bytes += e.Bytes
			sum.Longest = max(sum.Longest, e.Longest)
			totals[name] = sum
		case *analyze.Frame:
			if line := describeFrame(e); !strings.Contains(line, "icmpv6") && !strings.Contains(line, "arp") {
				frames[line]++
			}
		}
	}
	return totals, frames
}

// mixed is traffic of all kinds, n times, with sequence numbers that go on from
// one time to the next.
func mixed(n int) (frames [][]byte) {
	for i := range n {
		seq := byte(i + 1)
		esp := func(spi uint32) []byte { return espPacket(spi, seq) }
		next, chain := chained("hdf", 50, esp(3))
		frames = append(frames,
			ethernet(etherIPv4, nil, ipv4(50, 0, esp(1))),
			ethernet(etherIPv6, nil, ipv6(50, esp(2))),
			ethernet(etherIPv6, nil, ipv6(next, chain)),
			ethernet(etherIPv4, nil, ipv4Options(50, esp(4))),
			ethernet(etherIPv4, nil, ipv4(50, 0x2000, esp(5))),
			ethernet(etherIPv4, []uint16{etherVLAN}, ipv4(50, 0, esp(6))),
			ethernet(etherIPv6, []uint16{etherQinQ, etherVLAN}, ipv6(50, esp(7))),
			ethernet(etherIPv4, nil, ipv4(17, 0, udp(4500, 61234, esp(8)))),
			ethernet(etherIPv6, nil, ipv6(17, udp(61234, 4500, esp(9)))),
			ethernet(etherIPv4, nil, ipv4(51, 0, append([]byte{59, 4, 0, 0}, esp(10)...))),
			ethernet(etherIPv4, nil, ipv4(50, 0, esp(11)[:8])), // short
			ethernet(etherIPv4, nil, ipv4(50, 0, esp(12)[:7])), // too short
			ethernet(etherIPv4, nil, ipv4(17, 0, udp(4500, 4500, []byte{0xff}))),
			ethernet(etherIPv4, nil, ipv4(17, 0, udp(500, 500, []byte("ike")))),
			ethernet(etherIPv4, nil, ipv4(6, 0, esp(13))),
		)
	}
	return frames
}

// checkAlike sends traffic to two streams that differ in who counts, and holds
// that both tell the same.
func checkAlike(t *testing.T, opt LiveOptions, n int, more func(t *testing.T, a, b string)) {
	t.Helper()
	a, b := twoHosts(t)
	opt.Netns = b
	if more != nil {
		more(t, a, b)
	}
	slow := opt
	slow.frameByFrame = true
	why := make(chan string, 1)
	opt.Counting = func(s string) { why <- s }
	fast, frame := watchWith(t, opt), watchWith(t, slow)
	if s := <-why; s != "" {
		t.Skipf("needs eBPF: %s", s)
	}
	sendFrames(t, a, "va", mixed(n)...)
	last := ethernet(etherIPv4, nil, ipv4(17, 0, udp(500, 500, []byte("last"))))
	sendFrames(t, a, "va", last)
	for _, w := range []*watching{fast, frame} {
		w.untilFrame(t, `in udp 500>500 "last"`)
		if err := w.end(t); err != nil {
			t.Fatal(err)
		}
	}
	gotTotals, gotFrames := flowTotals(fast.seen())
	wantTotals, wantFrames := flowTotals(frame.seen())
	checkSame(t, gotTotals, wantTotals)
	checkSame(t, gotFrames, wantFrames)
	if len(wantTotals) != 11 {
		t.Errorf("%d flows, want 11", len(wantTotals))
	}
	for name, total := range wantTotals {
		if total.Packets != uint64(n) {
			t.Errorf("%s: %d packets, want %d", name, total.Packets, n)
		}
	}
}

// checkSame holds that counting in the kernel gave what looking at each frame
// did.
func checkSame[T comparable](t *testing.T, kernel, frame map[string]T) {
	t.Helper()
	for name, want := range frame {
		if got := kernel[name]; got != want {
			t.Errorf("%s: counted in the kernel %+v, frame by frame %+v", name, got, want)
		}
	}
	for name, got := range kernel {
		if _, ok := frame[name]; !ok {
			t.Errorf("%s: counted in the kernel %+v, frame by frame not at all", name, got)
		}
	}
}

// watchWith is watch with options.
func watchWith(t *testing.T, opt LiveOptions) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{cancel: cancel, done: make(chan struct{})}
	opt.Host, opt.Warn = "host", w.warn
	w.start(t, ctx, opt)
	return w
}

func TestIntegrationCountedAlike(t *testing.T) {
	checkAlike(t, LiveOptions{Interfaces: []string{"vb"}}, 100, nil)
}

func TestIntegrationCountedAlikeAny(t *testing.T) {
	checkAlike(t, LiveOptions{Interfaces: []string{Any}}, 100, nil)
}

func TestIntegrationCountedAlikeSeveral(t *testing.T) {
	checkAlike(t, LiveOptions{Interfaces: []string{"vb", "lo"}}, 100, nil)
}

// Where the kernel has no room for a key, its frames are counted one by one.
func TestIntegrationCountedAlikeWithoutRoom(t *testing.T) {
	checkAlike(t, LiveOptions{Interfaces: []string{"vb"}, countedKeys: 4}, 100, nil)
}

// Copies that related devices show are told from packets, whoever counts.
func TestIntegrationCountedAlikeRelated(t *testing.T) {
	checkAlike(t, LiveOptions{Interfaces: []string{Any}}, 30, func(t *testing.T, _, b string) {
		tryIP(t, b, "link add br0 type bridge")
		ip(t, b, "link set br0 address 02:02:02:02:02:02")
		ip(t, b, "link set vb master br0")
		ip(t, b, "link set br0 up")
		awaitLink(t, b, "br0")
	})
}

// When most keys have gone quiet the other room is counted in, and no packet is
// lost between the two.
func TestIntegrationCounterRenewed(t *testing.T) {
	a, b := twoHosts(t)
	why := make(chan string, 1)
	w := watchWith(t, LiveOptions{Interfaces: []string{"vb"}, Netns: b, countedKeys: 16, Counting: func(s string) { why <- s }})
	if s := <-why; s != "" {
		t.Skipf("needs eBPF: %s", s)
	}
	const spis, packets, rounds = 14, 20, 3
	for round := range rounds {
		var frames [][]byte
		for i := range spis * packets {
			spi := uint32(0x100*(round+1) + i%spis)
			frames = append(frames, ethernet(etherIPv6, nil, ipv6(50, espPacket(spi, byte(i/spis+1)))))
		}
		sendFrames(t, a, "va", frames...)
		w.until(t, "all flows", func(events []analyze.Event) bool {
			totals, _ := flowTotals(events)
			return len(totals) == spis*(round+1)
		})
	}
	if err := w.end(t); err != nil {
		t.Fatal(err)
	}
	totals, _ := flowTotals(w.seen())
	for name, sum := range totals {
		if sum.Packets != packets || sum.MinSeq != 1 || sum.MaxSeq != packets {
			t.Errorf("%s: %+v, want %d packets", name, sum, packets)
		}
	}
}
