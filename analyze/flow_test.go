package analyze

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

// numbered folds an interval with these sequence numbers.
func (s *stream) numbered(packets uint64, first, last, low, high uint32) *FlowTotal {
	s.mono += time.Second
	s.apply(&Flow{Key: espFlow, Packets: packets, FirstSeq: first, LastSeq: last, MinSeq: low, MaxSeq: high})
	return s.state.Pair(glass, teapot).Views[0].flow(espFlow)
}

// run folds an interval without gaps.
func (s *stream) run(from, to uint32) *FlowTotal {
	return s.numbered(uint64(to-from)+1, from, to, from, to)
}

func TestNumbersThatNoPacketHadAreMissing(t *testing.T) {
	s := newStream(t)
	s.run(5, 10)
	s.numbered(7, 11, 20, 11, 20)
	f := s.numbered(1, 24, 24, 24, 24)
	if f.Missing != 6 || len(f.Gaps) != 2 || f.Gaps[0].Missing != 3 || f.Gaps[1].Missing != 3 || f.Gaps[1].Packets != 1 {
		t.Errorf("missing %d in %+v", f.Missing, f.Gaps)
	}
	f = s.numbered(4, 21, 25, 21, 25) // the latest gap was only late
	if f.Missing != 3 || len(f.Gaps) != 1 || f.Restarts != 0 {
		t.Errorf("missing %d in %+v, %d restarts, want the first gap alone", f.Missing, f.Gaps, f.Restarts)
	}
	f = s.numbered(3, 12, 14, 12, 14) // the rest, after a pause
	if f.Missing != 0 || len(f.Gaps) != 0 || f.Restarts != 0 {
		t.Errorf("missing %d in %+v, %d restarts, want none", f.Missing, f.Gaps, f.Restarts)
	}
}

// TestWhatIsOvertakenIsNotMissing: in each second ten packets of the last come late,
// and ten of its own have not come yet. The gap is always of now.
func TestWhatIsOvertakenIsNotMissing(t *testing.T) {
	s := newStream(t)
	s.numbered(90, 1, 100, 1, 100)
	var f *FlowTotal
	for n := uint32(1); n < 20; n++ {
		f = s.numbered(100, 100*n+1, 100*n+100, 100*n-20, 100*n+100)
		if len(f.Gaps) != 1 || f.Gaps[0].Missing != 10 || s.state.Now.Mono-f.Gaps[0].At.Mono > time.Second {
			t.Fatalf("second %d: %+v", n, f.Gaps)
		}
	}
	if f = s.numbered(10, 1985, 1999, 1985, 1999); f.Missing != 0 || len(f.Gaps) != 0 {
		t.Errorf("all have come, and %d are missing: %+v", f.Missing, f.Gaps)
	}
}

func TestNumbersThatBeginAgainAreARestart(t *testing.T) {
	for name, tt := range map[string]struct {
		feed func(s *stream) *FlowTotal
		want int
	}{
		"slow traffic": {func(s *stream) *FlowTotal {
			for n := range uint32(5) {
				s.run(n+1, n+1)
			}
			s.run(1, 1)
			return s.run(2, 2)
		}, 1},
		"a burst":         {func(s *stream) *FlowTotal { s.run(1, 900); return s.run(1, 30) }, 1},
		"after much loss": {func(s *stream) *FlowTotal { s.numbered(300, 1, 900, 1, 900); return s.run(1, 30) }, 1},
		"within an interval": {func(s *stream) *FlowTotal {
			s.run(1, 900)
			s.numbered(400, 901, 250, 1, 1050)
			return s.run(251, 300)
		}, 1},
		"a burst twice":      {func(s *stream) *FlowTotal { s.run(1, 900); s.run(800, 900); return s.run(901, 950) }, 0},
		"one late packet":    {func(s *stream) *FlowTotal { s.numbered(3, 2, 4, 2, 4); return s.run(1, 1) }, 0},
		"one packet twice":   {func(s *stream) *FlowTotal { s.run(1, 10); return s.run(10, 10) }, 0},
		"the end of 32 bits": {func(s *stream) *FlowTotal { s.run(1<<32-9, 1<<32-1); s.run(0, 20); return s.run(21, 30) }, 0},
		"the end within an interval": {func(s *stream) *FlowTotal {
			s.run(1<<32-9, 1<<32-5)
			s.numbered(10, 1<<32-4, 5, 0, 1<<32-1)
			return s.run(6, 9)
		}, 0},
	} {
		f := tt.feed(newStream(t))
		if f.Restarts != tt.want || f.Missing > 600 {
			t.Errorf("%s: %d restarts (%+v), %d missing; want %d restarts", name, f.Restarts, f.Restart, f.Missing, tt.want)
		}
	}
	s := newStream(t)
	s.run(1, 900)
	if f := s.run(1, 30); f.Restart.After != 900 || f.Restart.From != 1 || f.Restart.At.IsZero() {
		t.Errorf("%+v", *f.Restart)
	}
}

func TestAnSPITowardsSeveralIsShared(t *testing.T) {
	s := newStream(t)
	f := s.run(1, 10)
	if f.Shared {
		t.Error("one destination")
	}
	other := espFlow
	other.Dst = netip.MustParseAddr("ff02::5")
	s.flow(other, 0, 0, 1, 11, 11)
	if !f.Shared {
		t.Error("the same SPI goes to a group too")
	}
}

func TestCountingAnIntervalAllocatesNothing(t *testing.T) {
	s := newStream(t)
	f := s.run(1, 10)
	e := &Flow{Header: Header{Origin: here}, Key: espFlow, Packets: 1}
	v := s.onlyView()
	n := uint32(10)
	if got := testing.AllocsPerRun(100, func() {
		n++
		e.FirstSeq, e.LastSeq, e.MinSeq, e.MaxSeq = n, n, n, n
		s.state.addFlow(v, e)
	}); got != 0 || f.Missing != 0 {
		t.Errorf("%v allocations, %d missing", got, f.Missing)
	}
}

func TestRefusalsAreCountedFromBeforeTheFirst(t *testing.T) {
	s := newStream(t)
	sa := usable(teapot, glass, 5, 7)
	sa.Stats.IntegrityFailed, sa.Used.Packets = 100, 1000 // of long ago
	snap := kernel()
	snap.SAs = []spd.SA{sa}
	s.apply(snap)
	h := s.state.Host(here)
	generation := h.Generation
	if h.Refusals(&sa) != nil {
		t.Error("what an SA refused before it was watched is held against it")
	}
	sa.Stats.IntegrityFailed, sa.Used.Packets = 103, 1000
	s.apply(&SAChange{Change: Updated, SA: sa})
	r := h.Refusals(&sa)
	if r == nil || r.Refused.IntegrityFailed != 3 || r.Passed != 0 || h.Generation != generation {
		t.Fatalf("%+v, generation %d after %d", r, h.Generation, generation)
	}
	snap = kernel()
	sa.Used.Packets = 1010
	snap.SAs = []spd.SA{sa}
	s.apply(snap)
	if r := h.Refusals(&sa); r.Refused.IntegrityFailed != 3 || r.Passed != 10 || !r.Last.Before(s.state.Now) {
		t.Errorf("after packets that passed: %+v", r)
	}
	made := usable(teapot, glass, 5, 7)
	made.Stats.ReplayWindow = 2
	s.apply(&SAChange{Change: Deleted, SA: sa})
	s.apply(&SAChange{Change: Added, SA: usable(teapot, glass, 5, 7)})
	s.apply(&SAChange{Change: Updated, SA: made})
	if r := h.Refusals(&made); r.Refused != (spd.SAStats{ReplayWindow: 2}) {
		t.Errorf("its successor: %+v", r)
	}
}

func TestAnSAThatLeftIsRemembered(t *testing.T) {
	s := newStream(t)
	snap := kernel()
	snap.SAs = []spd.SA{usable(teapot, glass, 5, 7), usable(teapot, glass, 6, 7), usable(teapot, glass, 7, 7)}
	s.apply(snap)
	h := s.state.Host(here)
	s.apply(&SAChange{Change: Deleted, SA: snap.SAs[0]})
	again := kernel()
	again.SAs = snap.SAs[2:]
	s.apply(again)
	s.apply(&SAChange{Change: Flushed, SA: spd.SA{Proto: spd.ProtoAny}})
	for spi, want := range map[uint32]string{5: "it was deleted", 6: "it is gone", 7: "all SAs were flushed"} {
		if l, ok := h.LeftSA(glass, spd.ProtoESP, spi); !ok || l.How != want || l.SA.SPI != spi {
			t.Errorf("SPI %d: %+v, want %q", spi, l, want)
		}
		if h.DB.FindSA(glass, spd.ProtoESP, spi) != nil {
			t.Errorf("SPI %d still stands", spi)
		}
	}
	if _, ok := h.LeftSA(glass, spd.ProtoESP, 8); ok {
		t.Error("an SA that never was has left")
	}
	for i := range uint32(2 * maxPastSAs) {
		s.apply(&SAChange{Change: Deleted, SA: usable(teapot, glass, 100+i, 7)})
	}
	if n := len(h.sas.gone); n != maxPastSAs || len(h.sas.goneLog) != n {
		t.Errorf("%d SAs remembered", n)
	}
}

// TestLengthsAreThoseOnTheWire holds that the length of an ESP packet is told from its
// SPI on, whatever is before it and however much of the frame was kept.
func TestLengthsAreThoseOnTheWire(t *testing.T) {
	packet := cat(esp(espFlow.SPI, 1), make([]byte, 7)) // 79 octets
	inUDP := espFlow
	inUDP.SrcPort, inUDP.DstPort = 4500, 4500
	tests := []struct {
		name  string
		key   FlowKey
		frame []byte
	}{
		{"plain", espFlow, etherIP(ipFor(glass, teapot, spd.ProtoESP, packet))},
		{"with a VLAN tag", espFlow, ether(etherTypeVLAN, cat(u16(42), u16(etherTypeIPv6), ipFor(glass, teapot, spd.ProtoESP, packet)))},
		{"behind an extension header", espFlow, etherIP(ip6(glass, teapot, 0, ext(spd.ProtoESP, packet)))},
		{"in UDP", inUDP, etherIP(ipFor(glass, teapot, spd.ProtoUDP, udp(4500, 4500, packet)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t)
			s.apply(kernel())
			s.apply(&Flow{Key: tt.key, Packets: 1})
			s.apply(&Frame{Link: LinkEthernet, OrigLen: len(tt.frame), Data: slices.Clip(tt.frame[:len(tt.frame)-40])})
			if f := s.state.Pair(glass, teapot).Views[0].flow(tt.key); f.Lengths != 1<<(len(packet)%16) {
				t.Errorf("lengths %#b, want bit %d", f.Lengths, len(packet)%16)
			}
		})
	}
}
