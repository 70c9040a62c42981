package timeline

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

var (
	alice = netip.MustParseAddr("fd00::1")
	bob   = netip.MustParseAddr("fd00::2")
	pair  = analyze.MakePairKey(alice, bob)
)

func head(at time.Duration) analyze.Header {
	return analyze.Header{Time: time.Unix(1_800_000_000, 0).UTC().Add(at), Mono: at, Origin: analyze.Origin{Host: "alice", Interface: "eth0"}}
}

// recorder feeds events to a state and a timeline.
type recorder struct {
	*Timeline
	state *analyze.State
}

func newRecorder(l Limits) recorder { return recorder{New(l), analyze.NewState(analyze.Limits{})} }

func (r recorder) see(e analyze.Event) {
	r.state.Apply(e)
	r.Apply(r.state, e)
}

func esp(at time.Duration, src, dst netip.Addr, packets uint64, first uint32) *analyze.Flow {
	h := head(at)
	last := first + uint32(packets) - 1
	return &analyze.Flow{
		Header: h, Key: analyze.FlowKey{Src: src, Dst: dst, Proto: spd.ProtoESP, SPI: uint32(src.As16()[15])},
		Start: h.Time, End: h.Time, Packets: packets, Bytes: 100 * packets,
		FirstSeq: first, LastSeq: last, MinSeq: first, MaxSeq: last,
	}
}

func added(at time.Duration, spi uint32) *analyze.SAChange {
	h := head(at)
	h.Origin.Interface = ""
	return &analyze.SAChange{Header: h, Change: analyze.Added, SA: spd.SA{
		Src: alice, Dst: bob, SPI: spi, Proto: spd.ProtoESP, Enc: &spd.Algorithm{Name: "cbc(aes)"},
	}}
}

// soft is a soft expiry: it goes into the record and changes no database.
func soft(at time.Duration) *analyze.Expire {
	e := added(at, 1)
	return &analyze.Expire{Header: e.Header, SA: &e.SA}
}

func TestESPBothWaysIsTwoRuns(t *testing.T) {
	r := newRecorder(Limits{})
	for n := range 100 {
		at := time.Duration(n) * time.Second
		r.see(esp(at, alice, bob, 10, uint32(10*n+1)))
		r.see(esp(at+1, bob, alice, 5, uint32(5*n+1)))
	}
	items := r.Pair(pair).Items
	if len(items) != 2 {
		t.Fatalf("%d items, want one run each way", len(items))
	}
	f := items[0].Event.(*analyze.Flow)
	if f.Packets != 1000 || f.MinSeq != 1 || f.MaxSeq != 1000 || f.Bytes != 100_000 || items[0].From != alice {
		t.Errorf("the run is %+v from %s", f, items[0].From)
	}
	r.see(added(101*time.Second, 7))
	r.see(esp(102*time.Second, alice, bob, 1, 1001))
	if n := len(r.Pair(pair).Items); n != 4 {
		t.Errorf("%d items, want a new run after the SA", n)
	}
}

func TestATrackKeepsFirstPinnedAndLast(t *testing.T) {
	r := newRecorder(Limits{})
	const all = 100_000
	cited := 5000 * time.Second
	for n := 1; n <= all; n++ {
		at := time.Duration(n) * time.Second
		r.see(soft(at))
		if at == cited && !r.Pin(pair, "alice", at, head(at).Time) {
			t.Fatal("what was just seen cannot be pinned")
		}
	}
	track := r.Pair(pair)
	if track.Count != all || len(track.Items) > maxHeld+1 {
		t.Errorf("%d of %d items are held", len(track.Items), track.Count)
	}
	if track.Items[0].N != 1 || track.Items[len(track.Items)-1].N != all {
		t.Errorf("kept from %d to %d", track.Items[0].N, track.Items[len(track.Items)-1].N)
	}
	for n := uint64(5000 - near); n <= 5000+near; n++ {
		at := time.Duration(n) * time.Second
		if track.find(at, head(at).Time) < 0 {
			t.Errorf("item %d, which evidence needs, is not kept", n)
		}
	}
	for n := 1; n < len(track.Items); n++ {
		if track.Items[n].N <= track.Items[n-1].N {
			t.Fatalf("out of order at %d", n)
		}
	}
	if r.Pin(pair, "alice", time.Second/2, head(time.Second/2).Time) {
		t.Error("pinned what was never seen")
	}
}

func TestTheLongestUntouchedPairIsForgotten(t *testing.T) {
	r := newRecorder(Limits{Bytes: 64 << 10})
	for n := range 1000 {
		e := soft(time.Duration(n) * time.Second)
		e.SA.Dst = netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(n >> 8), 15: byte(n)})
		r.see(e)
	}
	if forgotten := r.Forgotten(); r.size > 64<<10 || forgotten == 0 || len(r.pairs) != r.recent.Len() {
		t.Errorf("%d bytes, %d pairs, %d forgotten", r.size, len(r.pairs), forgotten)
	}
	last := netip.AddrFrom16([16]byte{0: 0xfd, 14: 999 >> 8, 15: 999 & 0xff})
	if r.Pair(analyze.MakePairKey(alice, last)) == nil || r.Pair(analyze.MakePairKey(alice, netip.MustParseAddr("fd00::3"))) != nil {
		t.Error("the wrong pairs were forgotten")
	}
	size := 0
	for e := r.recent.Front(); e != nil; e = e.Next() {
		size += e.Value.(*pairTrack).size
	}
	if size != r.size {
		t.Errorf("tracks take %d bytes, counted are %d", size, r.size)
	}
}

// TestFilingLaterMakesNoDifference holds that the record is the same whether notes are
// filed one by one or many at a time, by another goroutine.
func TestFilingLaterMakesNoDifference(t *testing.T) {
	l := Limits{Bytes: 256 << 10, Pairs: 50}
	atOnce, later := newRecorder(l), newRecorder(l)
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 5 * maxNotes {
		at := time.Duration(n) * 100 * time.Millisecond
		peer := netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(2 + r.IntN(60))})
		see := func(t recorder) { t.see(esp(at, alice, peer, 1, uint32(n+1))) }
		if r.IntN(3) == 0 {
			see = func(t recorder) {
				e := soft(at)
				e.SA.Dst = peer
				t.see(e)
			}
		}
		see(atOnce)
		see(later)
		atOnce.settle()
	}
	if a, b := atOnce.Forgotten(), later.Forgotten(); a != b || a == 0 {
		t.Errorf("%d and %d pairs were forgotten", a, b)
	}
	var want []Track
	atOnce.Pairs(func(_ analyze.PairKey, t *Track) { want = append(want, *t.clone()) })
	n := 0
	later.Pairs(func(k analyze.PairKey, got *Track) {
		if n >= len(want) || !reflect.DeepEqual(*got.clone(), want[n]) {
			t.Errorf("the record of %v differs", k)
		}
		n++
	})
	if n != len(want) || n == 0 {
		t.Errorf("%d pairs, want %d", n, len(want))
	}
}

func TestSeriesKeepsItsSum(t *testing.T) {
	for _, start := range []time.Duration{0, 1500 * time.Millisecond, 7 * time.Second} {
		var s Series
		for n := range 10_000 {
			s.add(analyze.Sighting{Mono: start + time.Duration(n)*time.Second}, 2)
		}
		_, sums := s.Buckets()
		total, most := uint64(0), uint64(0)
		for _, v := range sums {
			total += v
			most = max(most, v)
		}
		if total != 20_000 || s.Total != total || len(sums) > buckets || s.Max != most {
			t.Errorf("start %v: %d in %d buckets of %v, max %d (%d), want 20000", start, total, len(sums), s.Width, s.Max, most)
		}
		if full := 2 * uint64(s.Width/time.Second); most != full {
			t.Errorf("start %v: the fullest bucket holds %d, want %d", start, most, full)
		}
	}
}

func TestCounterRises(t *testing.T) {
	r := newRecorder(Limits{})
	host := func(at time.Duration) analyze.Header {
		h := head(at)
		h.Origin.Interface = ""
		return h
	}
	r.see(&analyze.Snapshot{Header: host(0), KernelState: analyze.KernelState{Counters: map[string]uint64{"XfrmOutNoStates": 4, "Icmp6OutMsgs": 1}}})
	r.see(&analyze.Counters{Header: host(time.Second), Values: map[string]uint64{"XfrmOutNoStates": 7, "Icmp6OutMsgs": 9}})
	items := r.Host(analyze.Origin{Host: "alice"}).Items
	last := items[len(items)-1]
	if last.Kind != Counter || len(last.Rises) != 1 || last.Rises[0] != (Rise{"XfrmOutNoStates", 3}) {
		t.Errorf("got %+v", last)
	}
	late := host(time.Second) // polled later, and told of by a busy recorder at the same place
	late.Time, late.Number = late.Time.Add(5*time.Second), late.Number+1
	r.see(&analyze.Counters{Header: late, Values: map[string]uint64{"XfrmOutNoStates": 9}})
	items = r.Host(analyze.Origin{Host: "alice"}).Items
	if rises := items[len(items)-1].Rises; len(rises) != 1 || rises[0].By != 2 {
		t.Errorf("the second poll of one place rose by %+v, want 2", rises)
	}
	if c := r.Counters(); len(c) != 1 || c[0].Total != 5 || c[0].Name != "XfrmOutNoStates" {
		t.Errorf("rates are %+v", c)
	}
}
