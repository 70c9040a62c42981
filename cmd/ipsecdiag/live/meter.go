package live

import (
	"time"

	"ipsecdiag/analyze"
)

// meterWindow is the number of ticks, one second apart, over which a rate is
// taken: enough to be calm, few enough to follow.
const meterWindow = 3

// meter measures the ESP and AH rates of one pair.
type meter struct {
	samples []sample // the latest last, at most meterWindow+1
	tick    uint64   // when it was last read
}

// sample is what had gone from Key.A to Key.B (0) and back (1) at a moment.
type sample struct {
	at    time.Duration
	total [2]Traffic
}

// meters reads all pairs that are active, at each tick.
type meters struct {
	pairs map[analyze.PairKey]*meter
	ticks uint64
}

func newMeters() *meters { return &meters{pairs: map[analyze.PairKey]*meter{}} }

// read samples the active pairs and forgets the others: what nothing touches
// any more carries nothing.
func (m *meters) read(s *analyze.State) {
	m.ticks++
	for _, v := range s.Active() {
		if len(v.Flows) > 0 {
			m.sample(v.Pair, s.Now.Mono)
		}
	}
	for k, p := range m.pairs {
		if p.tick != m.ticks {
			delete(m.pairs, k)
		}
	}
}

func (m *meters) sample(p *analyze.Pair, at time.Duration) {
	t := m.pairs[p.Key]
	if t == nil {
		t = &meter{}
		m.pairs[p.Key] = t
	}
	if t.tick == m.ticks { // the other end's view
		return
	}
	t.tick = m.ticks
	if len(t.samples) > meterWindow {
		t.samples = append(t.samples[:0], t.samples[1:]...)
	}
	t.samples = append(t.samples, sample{at, totals(p)})
}

// rates returns the totals of a pair with its rates.
func (m *meters) rates(p *analyze.Pair) [2]Traffic {
	total := totals(p)
	t := m.pairs[p.Key]
	if t == nil || len(t.samples) < 2 {
		return total
	}
	first, last := t.samples[0], t.samples[len(t.samples)-1]
	seconds := (last.at - first.at).Seconds()
	if seconds <= 0 {
		return total
	}
	for i := range total {
		total[i].PacketRate = rise(last.total[i].Packets, first.total[i].Packets) / seconds
		total[i].ByteRate = rise(last.total[i].Bytes, first.total[i].Bytes) / seconds
	}
	return total
}

// rise is 0 where an SPI was forgotten and its packets with it.
func rise(now, before uint64) float64 { return float64(max(now, before) - before) }

// totals adds up all SPIs each way, as the observer who saw most tells.
func totals(p *analyze.Pair) (most [2]Traffic) {
	for _, v := range p.Views {
		var t [2]Traffic
		for _, f := range v.Flows {
			way := &t[direction(p, f)]
			way.Packets += f.Packets
			way.Bytes += f.Bytes
		}
		for i := range most {
			if t[i].Packets > most[i].Packets {
				most[i] = t[i]
			}
		}
	}
	return most
}

// direction is 0 for a flow from the pair's A to its B.
func direction(p *analyze.Pair, f *analyze.FlowTotal) int {
	if f.Key.Src.WithZone("") == p.Key.A.WithZone("") {
		return 0
	}
	return 1
}
