package analyze

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/fixtures/bounds"
	"ipsecdiag/fixtures/flood"
)

// flooded folds so many frames of strangers, and a flow for each of ESP.
func (s *stream) flooded(frames int) {
	sender := flood.New(7, bounds.Frames(s.t, "../fixtures"), glassMAC, glass4, glass)
	var p Packet
	for i := range frames {
		s.mono -= 99_950 * time.Microsecond // 50 µs apart
		data := slices.Clone(sender.Next())
		s.apply(&Frame{Link: LinkEthernet, Direction: DirIn, OrigLen: len(data), Data: data})
		if p.Decode(LinkEthernet, data) != nil {
			continue
		}
		if k, seq, ok := p.Flow(); ok {
			s.apply(&Flow{Key: k, Direction: DirIn, Packets: 1, FirstSeq: seq, LastSeq: seq, MinSeq: seq, MaxSeq: seq})
		}
		if i%20_000 == 0 {
			s.apply(&Tick{})
		}
		s.log = s.log[:0]
	}
}

// TestAFloodTakesNoMoreThanItMay holds that what is kept stays within the bytes that
// the limits give, by the state's own account and by the heap's, and that a flood
// pushes out neither whom the kernel's policies are about nor whom there is IKE and
// ESP with.
func TestAFloodTakesNoMoreThanItMay(t *testing.T) {
	const limit = 16 << 20
	s := newStream(t)
	s.state = NewState(Limits{Bytes: limit})
	bob := netip.MustParseAddr("fd00::b0b")
	s.apply(kernel(protect(toTeapot, 100, 7, 9)))
	s.ike(init2(1))
	s.apply(&Flow{Key: FlowKey{Src: glass, Dst: bob, Proto: 50, SPI: 1}, Direction: DirOut, Packets: 1})
	s.apply(&Flow{Key: FlowKey{Src: bob, Dst: glass, Proto: 50, SPI: 2}, Direction: DirIn, Packets: 1})
	old := s.state.Pair(glass, teapot).Views[0].IKE[0]
	before := heap()
	s.flooded(200_000)
	used := int(heap() - before)
	if s.state.size > limit || s.state.Evicted == 0 {
		t.Errorf("%d bytes by its own account, %d evicted", s.state.size, s.state.Evicted)
	}
	// What is not part of pairs takes a share as well.
	if used > 2*limit || used < limit/2 {
		t.Errorf("%d bytes in use, %d by its own account", used, s.state.size)
	}
	t.Logf("%d bytes in use, %d by its own account; %d pairs, %d evicted", used, s.state.size, len(s.state.pairs), s.state.Evicted)
	if s.state.Pair(glass, bob) == nil {
		t.Error("the pair with ESP both ways was forgotten")
	}
	if v, sa := s.state.IKEAt(s.glass(), 0xa1); v == nil || sa != old || v.Pair.Key != MakePairKey(glass, teapot) {
		t.Error("the IKE SA of the pair with policies was forgotten")
	}
	s.checkSize()
}

// checkSize holds that the account is right, and that nothing forgotten is followed.
func (s *stream) checkSize() {
	size := 0
	for _, v := range s.views() {
		size += v.weigh()
	}
	if s.state.limits.Bytes > 0 && size != s.state.size {
		s.t.Errorf("%d bytes by account, %d by count", s.state.size, size)
	}
	for k, e := range s.state.spis {
		if e.alive() && (e.view.Pair.forgotten || !slices.Contains(e.view.IKE, e.sa)) {
			s.t.Errorf("SPI %s leads to what is forgotten", k.spi)
		}
	}
	for _, v := range s.state.Active() {
		if v.active && v.Pair.forgotten {
			s.t.Errorf("%s is under judgement and forgotten", v.Pair.Key)
		}
	}
}

// TestWhatWasForgottenIsTold holds that each kind is told of once, as a loss.
func TestWhatWasForgottenIsTold(t *testing.T) {
	s := newStream(t)
	s.state = NewState(Limits{Pairs: 2})
	for i := range 5 {
		s.frame(arp(t, arpRequest, broadcast, glass4, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})))
	}
	s.state.Evict("findings")
	told := s.state.Forgotten()
	if len(told) != 2 || told[0].What != "findings forgotten for lack of room" || told[1].What != "pairs forgotten for lack of room" || told[1].Count != 3 {
		t.Errorf("got %+v", told)
	}
	if again := s.state.Forgotten(); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
}

// TestSPIsWithoutEnd holds that the IKE SAs of known pairs outlive those that
// somebody invents for a pair of strangers.
func TestSPIsWithoutEnd(t *testing.T) {
	s := newStream(t)
	s.state = NewState(Limits{Bytes: 4 << 20})
	s.apply(kernel(protect(toTeapot, 100, 7, 9)))
	s.ike(init2(1))
	most := s.state.limits.spis()
	for i := range 3 * most {
		src := glass4.As4()
		binary.BigEndian.PutUint16(src[2:], uint16(i%50))
		m := ikeMessage(uint64(i)+1<<32, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 10)
		s.frame(etherIP(ipFor(netip.AddrFrom4(src), teapot4, 17, udp(500, 500, m))))
		s.log = s.log[:0]
	}
	if len(s.state.spis) > most || len(s.state.spiLog) > most {
		t.Errorf("%d SPIs, %d in order, want %d", len(s.state.spis), len(s.state.spiLog), most)
	}
	if v, _ := s.state.IKEAt(s.glass(), 0xa1); v == nil {
		t.Error("the IKE SA of the pair with policies was forgotten")
	}
	s.checkSize()
}

// TestNoMoreThanAFewSPIsArePassedOver holds that the IKE SAs of pairs that are no
// strangers are spared only where a stranger's is near: eight at a time, else each
// message of a flood would have to look through all of them.
func TestNoMoreThanAFewSPIsArePassedOver(t *testing.T) {
	s := newStream(t)
	known := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }
	const spis, each = 1040, 20
	for i := range spis {
		a := known(i / each)
		if i%each == 0 {
			s.apply(&Flow{Key: FlowKey{Src: glass4, Dst: a, Proto: 50, SPI: 1}, Packets: 1})
			s.apply(&Flow{Key: FlowKey{Src: a, Dst: glass4, Proto: 50, SPI: 2}, Packets: 1})
		}
		m := ikeMessage(uint64(i)+1, ike.ExchangeIKESAInit, ike.FlagInitiator, 0, 10)
		s.frame(etherIP(ipFor(glass4, a, spd.ProtoUDP, udp(500, 500, m))))
	}
	s.state.limits.Bytes = 1 // 1,024 SPIs are followed at least
	most := s.state.limits.spis()
	s.state.roomForSPI()
	for i := range spis {
		v, _ := s.state.IKEAt(s.glass(), ike.SPI(i+1))
		if kept := v != nil; kept != (i < maxSpared || i > maxSpared+spis-most) {
			t.Errorf("SPI %d is kept: %v", i+1, kept)
		}
	}
	if n := len(s.state.spiLog); n != most-1 || s.state.spiLog[n-1].spi != maxSpared {
		t.Errorf("%d SPIs in order, want %d, and those that were spared last", n, most-1)
	}
}
