package capture

import (
	"bytes"
	"context"
	"iter"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// t0 is when tests begin.
var t0 = time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)

var (
	glass  = netip.MustParseAddr("fd00::1")
	teapot = netip.MustParseAddr("fd00::2")
)

// wire and kernelOf are origins of host glass.
var (
	wire     = analyze.Origin{Host: "glass", Netns: "blue", Interface: "eth0"}
	kernelOf = wire.Kernel()
)

func headAt(at time.Duration, o analyze.Origin) analyze.Header {
	return analyze.Header{Time: t0.Add(at), Origin: o}
}

func frameAt(at time.Duration, data []byte) *analyze.Frame {
	return &analyze.Frame{
		Header: headAt(at, wire), Link: analyze.LinkEthernet, Direction: analyze.DirIn,
		OrigLen: len(data) + 10, Data: data,
	}
}

// liveEvents is one event of every kind, as live sources give them.
func liveEvents() []analyze.Event {
	sel := spd.Selector{
		Src: netip.PrefixFrom(teapot, 128), Dst: netip.PrefixFrom(glass, 128), Proto: spd.ProtoICMPv6,
		SrcPort: 136, SrcPortMask: 0xffff, DstPortMask: 0xffff, Family: spd.IPv6,
	}
	policy := spd.Policy{Selector: sel, Direction: spd.Out, Priority: 268928}
	sa := spd.SA{Src: teapot, Dst: glass, SPI: 0xc0de, Proto: spd.ProtoESP}
	return []analyze.Event{
		&analyze.Snapshot{Header: headAt(0, kernelOf), KernelState: analyze.KernelState{
			Release: "6.1.0", Policies: []spd.Policy{policy}, SAs: []spd.SA{}, Counters: map[string]uint64{"XfrmOutNoStates": 1},
		}},
		frameAt(300*time.Millisecond, bytes.Repeat([]byte{1}, 86)),
		&analyze.Acquire{Header: headAt(1200*time.Millisecond, kernelOf), Src: teapot, Dst: glass, Proto: 50, Selector: sel, Policy: policy},
		frameAt(1300*time.Millisecond, bytes.Repeat([]byte{2}, 87)),
		&analyze.Flow{
			Header: headAt(3*time.Second, wire), Key: analyze.FlowKey{Src: teapot, Dst: glass, Proto: 50, SPI: 7},
			Start: t0, End: t0.Add(time.Second), Packets: 3, Bytes: 300, FirstSeq: 1, LastSeq: 3, MinSeq: 1, MaxSeq: 3,
		},
		&analyze.SAChange{Header: headAt(4*time.Second, kernelOf), Change: analyze.Added, SA: sa},
		&analyze.PolicyChange{Header: headAt(4*time.Second, kernelOf), Change: analyze.Deleted, Policy: policy},
		&analyze.NeighborChange{Header: headAt(4*time.Second, kernelOf), Change: analyze.Updated, Neighbor: analyze.Neighbor{Addr: teapot, State: "STALE"}},
		&analyze.Expire{Header: headAt(5*time.Second, kernelOf), Hard: true, SA: &sa},
		&analyze.Counters{Header: headAt(5*time.Second, kernelOf), Values: map[string]uint64{"XfrmOutNoStates": 2}},
		&analyze.Daemon{Header: headAt(6*time.Second, kernelOf), Listeners: []analyze.Listener{{Via: "netlink", Name: "evil\x1b[2J\nname"}}},
		&analyze.Lost{Header: headAt(7*time.Second, kernelOf), What: "netlink overrun", Count: 3},
		frameAt(8*time.Second, []byte{3}),
	}
}

// stamp completes events as the sequencer does; end is the Mono of the end.
func stamp(events []analyze.Event, end time.Duration) (all []analyze.Event) {
	s := stamper{yield: func(e analyze.Event, _ error) bool {
		all = append(all, e)
		return true
	}}
	for _, e := range events {
		s.event(e, e.Head().Time.UnixNano())
	}
	s.end(s.base + int64(end))
	return all
}

var testOptions = RecorderOptions{
	Version: "0.1", Host: "glass", Netns: "blue", Kernel: "6.1.0", Start: t0, Interfaces: []string{"eth0"}, Link: analyze.LinkEthernet,
}

// recordAll writes a recording and returns it.
func recordAll(t testing.TB, events []analyze.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	r, err := NewRecorder(&b, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := r.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll reads a capture given as bytes.
func readAll(t testing.TB, data []byte) (events []analyze.Event, warnings []string) {
	t.Helper()
	events, warnings, err := readBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return events, warnings
}

func readBytes(data []byte) (events []analyze.Event, warnings []string, err error) {
	opt := FileOptions{Stdin: bytes.NewReader(data), Warn: func(s string) { warnings = append(warnings, s) }}
	events, err = collect(Files(context.Background(), []string{"-"}, opt))
	return events, warnings, err
}

func collect(stream iter.Seq2[analyze.Event, error]) (events []analyze.Event, err error) {
	for e, err := range stream {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

// sameEvents fails the test where two streams differ in anything.
func sameEvents(t *testing.T, got, want []analyze.Event) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("event %d:\n got %T %+v\nwant %T %+v", i+1, got[i], got[i], want[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
}

func TestRecordingRoundTrip(t *testing.T) {
	want := stamp(liveEvents(), 12*time.Second+5)
	got, warnings := readAll(t, recordAll(t, want))
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	sameEvents(t, got, want)
	kinds := map[analyze.Kind]bool{}
	for _, e := range got {
		kinds[analyze.KindOf(e)] = true
	}
	if len(kinds) != 12 {
		t.Errorf("%d kinds of events, want all 12", len(kinds))
	}
}

// TestRecordingNumbers holds that the number of an event is that of its block
// among frames and journal blocks.
func TestRecordingNumbers(t *testing.T) {
	events := stamp(liveEvents(), 0)
	recordAll(t, events)
	// 1 is the header; 3 is the clock that the first frame needs.
	want := map[int]uint64{0: 2, 1: 4}
	for i, n := range want {
		if got := events[i].Head().Number; got != n {
			t.Errorf("event %d has number %d, want %d", i, got, n)
		}
	}
}

// TestRecordingSplitsSnapshots holds that a snapshot above the size of a block
// comes back as one, and as it was.
func TestRecordingSplitsSnapshots(t *testing.T) {
	large := liveEvents()[0].(*analyze.Snapshot)
	for i := range 5000 {
		large.SAs = append(large.SAs, spd.SA{Src: glass, Dst: teapot, SPI: uint32(i), Proto: spd.ProtoESP})
		large.Neighbors = append(large.Neighbors, analyze.Neighbor{Addr: teapot, IfIndex: i, State: "STALE"})
	}
	want := stamp([]analyze.Event{large, frameAt(time.Second, []byte{1})}, 0)
	data := recordAll(t, want)
	got, warnings := readAll(t, data)
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	sameEvents(t, got, want)
	eachBlock(t, data, func(typ uint32, block []byte) {
		if len(block) > 256<<10 {
			t.Errorf("block of type %d has %d bytes", typ, len(block))
		}
	})
}

// eachBlock calls f for the blocks of a little-endian pcapng file.
func eachBlock(t *testing.T, data []byte, f func(typ uint32, block []byte)) {
	t.Helper()
	for len(data) > 0 {
		length := recordOrder.Uint32(data[4:])
		f(recordOrder.Uint32(data), data[:length])
		data = data[length:]
	}
}

// TestRecordingClockSteps holds that Mono comes back as it was where the wall
// clock was set between frames, with nothing but frames to tell.
func TestRecordingClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			var want []analyze.Event
			s := stamper{yield: func(e analyze.Event, _ error) bool { want = append(want, e); return true }}
			for i := range 6 {
				at := time.Duration(i) * 700 * time.Millisecond
				f := frameAt(at, []byte{byte(i)})
				if i >= 3 {
					f.Time = f.Time.Add(step)
				}
				s.event(f, t0.Add(at).UnixNano())
			}
			got, _ := readAll(t, recordAll(t, want))
			sameEvents(t, got, want)
		})
	}
}

// TestRecordingLateFrame holds the Mono of a frame that came after a tick that
// should have been behind it.
func TestRecordingLateFrame(t *testing.T) {
	var want []analyze.Event
	s := stamper{yield: func(e analyze.Event, _ error) bool { want = append(want, e); return true }}
	at := func(d time.Duration) { s.event(frameAt(d, []byte{1}), t0.Add(d).UnixNano()) }
	at(0)
	s.idle(2 * time.Second)
	at(1900 * time.Millisecond)
	at(1950 * time.Millisecond)
	at(2100 * time.Millisecond)
	got, _ := readAll(t, recordAll(t, want))
	sameEvents(t, got, want)
	if mono := got[3].Head().Mono; mono != 2*time.Second {
		t.Errorf("late frame has Mono %v, want 2s", mono)
	}
}

// TestRecordingNewer holds that a newer format is refused and newer events are
// skipped, with one line each.
func TestRecordingNewer(t *testing.T) {
	data := recordAll(t, stamp(liveEvents(), 0))
	newer := bytes.Replace(data, []byte(`"format":"ipsecdiag","version":1`), []byte(`"format":"ipsecdiag","version":2`), 1)
	if _, _, err := readBytes(newer); err == nil || err.Error() !=
		"standard input: was recorded by a newer version of ipsecdiag (recording format 2; this program reads up to 1)" {
		t.Errorf("newer format: %v", err)
	}
	unknown := bytes.ReplaceAll(data, []byte(`"kind":"sa"`), []byte(`"kind":"zz"`))
	events, warnings := readAll(t, unknown)
	if len(warnings) != 1 || len(events) == 0 {
		t.Errorf("unknown events: %d events, warnings %q", len(events), warnings)
	}
}

// TestRecordingOtherHosts holds that the origins of frames survive even where
// they are not the recorder's.
func TestRecordingOtherHosts(t *testing.T) {
	f := frameAt(0, []byte{1})
	f.Origin = analyze.Origin{Host: "teapot", Netns: "red", Interface: "eth0"}
	want := stamp([]analyze.Event{f, frameAt(1500*time.Millisecond, []byte{2})}, 0)
	got, _ := readAll(t, recordAll(t, want))
	sameEvents(t, got, want)
}

// TestRecordingCut holds that a recording cut anywhere gives what came before,
// and no error.
func TestRecordingCut(t *testing.T) {
	data := recordAll(t, stamp(liveEvents(), 0))
	whole, _ := readAll(t, data)
	for n := 28; n < len(data); n++ {
		events, warnings, err := readBytes(data[:n])
		if err != nil && n >= 200 {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if len(events) > len(whole)+1 || len(warnings) > 1 {
			t.Fatalf("cut to %d bytes: %d events, warnings %q", n, len(events), warnings)
		}
	}
}
