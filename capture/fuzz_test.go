package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// fuzzMemory is what reading an input may allocate: a table of flows and the
// buffers to begin with, then for each byte of a block, which may be an event.
var fuzzMemory = bounds.Memory{Fixed: 32 << 20, PerByte: 4 << 10}

// checkStream reads an input and holds what is true of every stream.
func checkStream(t *testing.T, data []byte) {
	defer bounds.Hold(t, len(data), fuzzMemory)()
	checkEvents(t, data)
}

func checkEvents(t *testing.T, data []byte) {
	events, warnings, err := readBytes(data)
	if err != nil && len(warnings) > 0 && len(events) > 0 {
		t.Errorf("both read and refused: %q, %v", warnings, err)
	}
	var last time.Duration
	for i, e := range events {
		h := e.Head()
		if h.Seq != uint64(i+1) || h.Mono < last || h.Mono < 0 {
			t.Fatalf("event %d after %v: %+v", i, last, h)
		}
		last = h.Mono
		if analyze.Describe(e) == "" {
			t.Errorf("event %d has no description", i)
		}
	}
}

func FuzzPcap(f *testing.F) {
	f.Add(smallPcap(t0, 3))
	f.Add(newPcap(binary.BigEndian, false, uint32(analyze.LinkSLL2)).frame(t0, espFrame(1, 2, 3)).data)
	f.Add(newPcap(binary.LittleEndian, false, uint32(analyze.LinkNull)).frame(t0, solicitation()).data)
	f.Fuzz(checkStream)
}

func FuzzPcapng(f *testing.F) {
	ns := solicitation()
	file := (&pcapngFile{}).section(binary.LittleEndian).iface(1, "eth0", uint16(9), uint16(1), []byte{0x8a})
	file.frame(0, 1<<40, ns, uint16(2), uint16(4), uint32(1), uint32(0)).block(blockSimple, uint32(len(ns)), ns)
	f.Add(file.data)
	f.Add(file.section(binary.BigEndian).iface(276, "any").frame(0, 1, espFrame(1, 1, 9)).block(77, "?").data)
	f.Fuzz(checkStream)
}

func FuzzRecording(f *testing.F) {
	f.Add(recordAll(f, stamp(liveEvents(), 12*time.Second)))
	f.Add(recordAll(f, stamp(liveEvents()[:2], 0)))
	f.Add(partedRecording(f))
	f.Fuzz(checkStream)
}

// FuzzCompressed reads gzip (RFC 1952) and Zstandard (RFC 8878), whose few bytes
// may become any number: what is read is not kept.
func FuzzCompressed(f *testing.F) {
	for _, plain := range [][]byte{smallPcap(t0, 3), recordAll(f, stamp(liveEvents()[:2], 0)), bytes.Repeat(smallPcap(t0, 1), 50)} {
		f.Add(gzipped(f, plain))
		f.Add(zstandard(f, plain))
	}
	memory := bounds.Memory{Fixed: 2 * maxZstdWindow, PerByte: fuzzMemory.PerByte}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !compressed(data) {
			return
		}
		n := inflated(data)
		if n >= maxInflated {
			return
		}
		defer bounds.Hold(t, n, memory)()
		checkEvents(t, data)
	})
}

// maxInflated is what is read, decompressed: more takes its time.
const maxInflated = 16 << 20

// inflated returns how many bytes a file holds, decompressed.
func inflated(data []byte) int {
	var o opened
	defer o.close()
	r, err := o.decompress(bytes.NewReader(data))
	if err != nil {
		return 0
	}
	n, _ := io.Copy(io.Discard, io.LimitReader(r, maxInflated))
	return int(n)
}

// partedRecording is a small recording of a Snapshot in two parts.
func partedRecording(t testing.TB) []byte {
	blob, err := analyze.EncodeEvent(liveEvents()[0])
	if err != nil {
		t.Fatal(err)
	}
	file := &pcapngFile{order: binary.LittleEndian, data: recordAll(t, nil)}
	for _, part := range []string{`{"index":1,"of":2}`, `{"index":2,"of":2}`} {
		entry := appendField(nil, fieldPart, part)
		file.block(blockJournal, appendField(entry, fieldEvent, string(blob)))
	}
	return file.data
}

// TestPartedRecording holds that the seed above is what it says.
func TestPartedRecording(t *testing.T) {
	events, warnings := readAll(t, partedRecording(t))
	if len(events) != 2 || len(warnings) != 0 { // and a tick
		t.Fatalf("%d events, warnings %q", len(events), warnings)
	}
	if n := len(events[0].(*analyze.Snapshot).Policies); n != 2 {
		t.Errorf("%d policies, want one of each part", n)
	}
}
