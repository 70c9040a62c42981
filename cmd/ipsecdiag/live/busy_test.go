package live

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/capture"
	"ipsecdiag/fixtures/crowd"
	"ipsecdiag/rules"
)

// locked is a source that takes pictures while events are folded elsewhere.
type locked struct {
	sync.Mutex
	engine *rules.Engine
	feed   *Feed
}

func newLocked() *locked {
	engine := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	engine.Timeline = timeline.New(timeline.Limits{})
	return &locked{engine: engine, feed: NewFeed(engine)}
}

func (l *locked) Take(focus analyze.PairKey) *Snapshot {
	l.Lock()
	defer l.Unlock()
	return l.feed.Take(focus)
}

func (l *locked) Record() (string, error) { return "", nil }

func (l *locked) apply(e analyze.Event) {
	l.Lock()
	defer l.Unlock()
	l.engine.Apply(e)
	l.feed.Saw(e)
}

// crowdEvents returns the events of a capture of n pairs.
func crowdEvents(t testing.TB, n int) (events []analyze.Event) {
	t.Helper()
	var b bytes.Buffer
	if err := crowd.Write(&b, fixtures, n); err != nil {
		t.Fatal(err)
	}
	for e, err := range capture.Files(context.Background(), []string{"-"}, capture.FileOptions{Stdin: &b}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// screens draws a picture as every screen shows it.
func screens(s *Snapshot) (all string) {
	for _, keys := range []string{"", "enter", "enter enter", "f", "end enter enter"} {
		m := New(same{s}, Options{Rules: rules.All})
		m.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
		m.Update(tookMsg{s, 0})
		press(m, keys)
		all += screenOf(m)
	}
	return all
}

// TestSnapshotStays holds that a picture does not change when more happens.
func TestSnapshotStays(t *testing.T) {
	l := newLocked()
	events := crowdEvents(t, 20)
	focus := analyze.MakePairKey(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::9"))
	healthy := analyze.MakePairKey(netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::3"))
	var kept []*Snapshot
	var drawn []string
	for i, e := range events {
		l.apply(e)
		if i%(len(events)/8) == 0 {
			for _, k := range []analyze.PairKey{focus, healthy} {
				s := l.Take(k)
				kept, drawn = append(kept, s), append(drawn, screens(s))
			}
		}
	}
	for i, s := range kept {
		if got := screens(s); got != drawn[i] {
			t.Errorf("picture %d was\n%s\nand is now\n%s", i, drawn[i], got)
		}
	}
}

// TestViewWhileEventsCome draws while another goroutine folds. It is of most use
// under the race detector.
func TestViewWhileEventsCome(t *testing.T) {
	l := newLocked()
	m := open(l, 200, 50, false)
	events := crowdEvents(t, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, e := range events {
			l.apply(e)
		}
	}()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		press(m, "down")
		m.Update(m.take(false)())
		m.View()
	}
	if look(m); len(m.snap.Rows) != 100 {
		t.Errorf("%d rows", len(m.snap.Rows))
	}
}

// BenchmarkSecond is what one second costs of a watch with 1,000 pairs and
// 10,000 events: folding them, and showing them four times. Its share tells how
// much of one processor that is.
func BenchmarkSecond(b *testing.B) {
	const pairs, perSecond, pictures = 1000, 10_000, 4
	l := newLocked()
	for _, e := range crowdEvents(b, pairs) {
		l.apply(e)
	}
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			m := open(l, size[0], size[1], false)
			for b.Loop() {
				oneSecond(l, m, pairs, perSecond, pictures)
			}
			b.ReportMetric(100*b.Elapsed().Seconds()/float64(b.N), "%-of-a-processor")
		})
	}
}

// oneSecond folds one second of ESP of all pairs, and shows it.
func oneSecond(l *locked, m *Model, pairs, events, pictures int) {
	now := l.engine.State.Now
	for i := range events {
		h := analyze.Header{
			Time: now.Time.Add(time.Duration(i) * time.Second / time.Duration(events)),
			Mono: now.Mono + time.Duration(i)*time.Second/time.Duration(events), Origin: now.Origin(),
		}
		peer := netip.AddrFrom16([16]byte{0: 0xfd, 14: byte((i%pairs + 2) >> 8), 15: byte(i%pairs + 2)})
		key := analyze.FlowKey{Src: netip.MustParseAddr("fd00::1"), Dst: peer, Proto: 50, SPI: uint32(i%pairs + 1)}
		seq := uint32(now.Mono/time.Second)*uint32(events) + uint32(i)
		l.apply(&analyze.Flow{Header: h, Key: key, Start: h.Time, End: h.Time, Packets: 100, Bytes: 100_000, FirstSeq: seq, LastSeq: seq, MinSeq: seq, MaxSeq: seq})
		if i%(events/pictures) == 0 {
			m.Update(m.take(false)())
			m.View()
		}
	}
	l.apply(&analyze.Tick{Header: analyze.Header{Time: now.Time.Add(time.Second), Mono: now.Mono + time.Second, Origin: now.Origin()}})
}
