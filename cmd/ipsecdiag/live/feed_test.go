package live

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// wire folds made events: flows are counts, not packets.
type wire struct {
	engine *rules.Engine
	feed   *Feed
	start  time.Time
}

func newWire() *wire {
	engine := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	engine.Timeline = timeline.New(timeline.Limits{})
	return &wire{engine, NewFeed(engine), time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)}
}

func (w *wire) at(seconds float64) analyze.Header {
	mono := time.Duration(seconds * float64(time.Second))
	return analyze.Header{Time: w.start.Add(mono), Mono: mono, Origin: analyze.Origin{Host: "glass", Interface: "eth0"}}
}

func (w *wire) apply(e analyze.Event) {
	w.engine.Apply(e)
	w.feed.Saw(e)
}

func (w *wire) flow(seconds float64, src, dst string, first uint32, packets uint64, last uint32) {
	h := w.at(seconds)
	w.apply(&analyze.Flow{
		Header: h, Key: analyze.FlowKey{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Proto: spd.ProtoESP, SPI: 7},
		Start: h.Time, End: h.Time, Packets: packets, Bytes: packets * 100, FirstSeq: first, LastSeq: last, MinSeq: first, MaxSeq: last,
	})
}

func (w *wire) row(t *testing.T) *Row {
	t.Helper()
	s := w.feed.Take(analyze.PairKey{})
	if len(s.Rows) != 1 {
		t.Fatalf("%d rows", len(s.Rows))
	}
	return &s.Rows[0]
}

func TestRates(t *testing.T) {
	w := newWire()
	for second := range 6 {
		n := uint32(second)
		w.flow(float64(second)+0.5, "fd00::1", "fd00::2", n*100+1, 100, n*100+100)
		if second < 2 {
			w.flow(float64(second)+0.6, "fd00::2", "fd00::1", n*10+1, 10, n*10+10)
		}
		w.apply(&analyze.Tick{Header: w.at(float64(second + 1))})
	}
	r := w.row(t)
	if r.Out.PacketRate != 100 || r.Out.ByteRate != 10000 || r.Out.Packets != 600 {
		t.Errorf("out is %+v", r.Out)
	}
	if r.In.PacketRate != 0 || r.In.Packets != 20 {
		t.Errorf("in is %+v", r.In)
	}
	if r.standing != works || r.Lost.Text != "" {
		t.Errorf("got %+v", r)
	}
	w.apply(&analyze.Tick{Header: w.at(300)}) // long silent: no longer active
	if r := w.row(t); r.Out.PacketRate != 0 || r.Out.Packets != 600 || len(w.feed.meters.pairs) != 0 {
		t.Errorf("out is %+v, %d meters", r.Out, len(w.feed.meters.pairs))
	}
}

func TestLostInSequence(t *testing.T) {
	w := newWire()
	w.flow(0.5, "fd00::1", "fd00::2", 1, 90, 100)
	if r := w.row(t); r.Lost.Text != "10" || r.Lost.Tone != Doubtful || r.standing != quiet {
		t.Errorf("got %+v", r)
	}
}

// TestOwnEndFirst holds that the observer's own address stands left, and that
// out is what it sends.
func TestOwnEndFirst(t *testing.T) {
	w := newWire()
	h := w.at(0)
	h.Origin.Interface = ""
	w.apply(&analyze.Snapshot{Header: h, KernelState: analyze.KernelState{
		Addresses: []analyze.Address{{Prefix: netip.MustParsePrefix("fd00::2/64"), IfIndex: 2}},
		Neighbors: []analyze.Neighbor{{Addr: netip.MustParseAddr("fd00::1"), IfIndex: 2, State: "FAILED"}},
		SAs: []spd.SA{{
			Src: netip.MustParseAddr("fd00::2"), Dst: netip.MustParseAddr("fd00::1"), Proto: spd.ProtoESP, SPI: 9,
			AEAD: &spd.Algorithm{Name: "rfc4106(gcm(aes))"},
		}},
	}})
	w.flow(0.5, "fd00::2", "fd00::1", 1, 5, 5)
	r := w.row(t)
	if r.From != netip.MustParseAddr("fd00::2") || r.Out.Packets != 5 || r.In.Packets != 0 {
		t.Errorf("got %+v", r)
	}
	if r.SAs != (Cell{"1/0", Doubtful}) || r.Neighbor != (Cell{"FAILED", Bad}) || !slices.Equal(r.Seen, []string{"glass"}) {
		t.Errorf("got %+v", r)
	}
}

// TestOrder holds what stands first.
func TestOrder(t *testing.T) {
	rows := []Row{
		{Subject: "g", standing: quiet, order: 1},
		{Subject: "f", standing: works, order: 2, involved: true},
		{Subject: "e", standing: remarked}, {Subject: "d", standing: over}, {Subject: "c", standing: warned},
		{Subject: "b", standing: failing, order: 9, involved: true}, {Subject: "a", standing: failing, order: 3, involved: true},
	}
	slices.SortFunc(rows, compareRows)
	got := ""
	for _, r := range rows {
		got += r.Subject
	}
	if got != "abcdefg" {
		t.Errorf("the order is %s", got)
	}
}

// TestEveryFindingHasARow holds that nothing found is missing in the list,
// whatever its subject is.
func TestEveryFindingHasARow(t *testing.T) {
	for _, path := range []string{"nd-deadlock-ikev2/glass.pcapng", "no-daemon-ipv6/glass.pcapng", "peer-off/glass.pcapng", "healthy-tunnel/glass.pcapng"} {
		s := replay(t, path).Take(analyze.PairKey{})
		seen := map[string]int{}
		for _, r := range s.Rows {
			for _, i := range r.Findings {
				seen[s.Findings[i].ID]++
			}
		}
		for _, f := range s.Findings {
			if seen[f.ID] != 1 {
				t.Errorf("%s: %s stands in %d rows", path, f.ID, seen[f.ID])
			}
		}
	}
}
