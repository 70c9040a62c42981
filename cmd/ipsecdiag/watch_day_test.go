package main

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/capture"
)

// dayAllowance is by how much the memory of a watch may grow between the second hour
// and the last of a day, bytes: the SAs, flows and IKE SAs that are gone stay in
// bounded lists.
const dayAllowance = 4 << 20

// TestADayTakesNoMoreMemoryThanTwoHours watches a link for 24 hours of simulated time,
// recorded and as the full-screen view shows it: traffic each second, neighbour
// discovery, dead peer detection, policies and SAs that are read anew, and SAs that
// are rekeyed, with new SPIs each hour.
func TestADayTakesNoMoreMemoryThanTwoHours(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of CPU time")
	}
	w := newWatcher(watchOptions{record: filepath.Join(t.TempDir(), "it.pcapng"), ring: ring{keep: 2, bytes: 1 << 20}},
		streams{out: io.Discard, err: io.Discard}, func(error) {})
	w.engine.Timeline = timeline.New(timeline.Limits{})
	day := simulation{t: t, file: fixture("healthy-rekey", "glass.pcapng"), w: w}
	var settled, last uint64
	for hour := 1; hour <= 24; hour++ {
		day.until(time.Duration(hour) * time.Hour)
		if last = heapInUse(); hour == 2 {
			settled = last
		}
		if hour < 3 || hour%6 == 0 {
			t.Logf("after %2d h: %.2f MiB, %d findings", hour, float64(last)/(1<<20), len(w.engine.Findings()))
		}
	}
	if last > settled+dayAllowance {
		t.Errorf("grew from %d bytes after two hours to %d after 24", settled, last)
	}
	if err := w.stopRecording(); err != nil || w.failed != nil {
		t.Errorf("%v, %v", err, w.failed)
	}
}

// heapInUse returns how many bytes are reachable.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what had a finalizer
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// simulation folds a recording again and again, each time as another one that follows
// the last.
type simulation struct {
	t    *testing.T
	file string
	w    *watcher
	now  time.Duration
	hour uint32
}

// until folds rounds up to a time.
func (s *simulation) until(end time.Duration) {
	for s.now < end {
		begin := s.now.Truncate(time.Second)
		s.hour = uint32(begin / time.Hour)
		for e, err := range capture.Files(s.t.Context(), []string{s.file}, capture.FileOptions{}) {
			if err != nil {
				s.t.Fatal(err)
			}
			h := e.Head()
			analyze.Retime(e, func(ns int64) int64 { return ns + int64(begin) })
			h.Mono += begin
			s.now = h.Mono
			s.renumber(e)
			s.w.fold(e)
		}
		s.now += time.Second
	}
}

// renumber gives what an event tells of the hour's own SPIs.
func (s *simulation) renumber(e analyze.Event) {
	own := func(spi *uint32) {
		if *spi > 0xff {
			*spi ^= s.hour << 8
		}
	}
	switch e := e.(type) {
	case *analyze.Flow:
		own(&e.Key.SPI)
	case *analyze.SAChange:
		own(&e.SA.SPI)
	case *analyze.Snapshot:
		for i := range e.SAs {
			own(&e.SAs[i].SPI)
		}
	case *analyze.Expire:
		if e.SA != nil {
			own(&e.SA.SPI)
		}
	case *analyze.Frame:
		s.renumberFrame(e)
	}
}

func (s *simulation) renumberFrame(f *analyze.Frame) {
	var p analyze.Packet
	if p.Decode(f.Link, f.Data) != nil {
		return
	}
	b := p.Payload
	if p.Proto == spd.ProtoUDP && p.DstPort == analyze.PortNATT && len(b) > 4 && binary.BigEndian.Uint32(b) == 0 {
		b = b[4:] // the non-ESP marker
	}
	xor := func(b []byte) {
		if n := binary.BigEndian.Uint32(b); n > 0xff {
			binary.BigEndian.PutUint32(b, n^s.hour<<8)
		}
	}
	switch {
	case p.Proto == spd.ProtoESP && len(b) >= 4:
		xor(b)
	case p.Proto == spd.ProtoUDP && (p.DstPort == analyze.PortIKE || p.DstPort == analyze.PortNATT) && len(b) >= 28:
		xor(b)
		xor(b[8:])
	}
}
