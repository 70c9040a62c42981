package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"ipsecdiag/analyze"
)

// TestTheSharesOfMemoryFit holds that all that may be in use at once leaves room for
// garbage, and that without a bound each part keeps its own.
func TestTheSharesOfMemoryFit(t *testing.T) {
	for _, text := range []string{"100MB", "256MB", "1GiB", "64GiB"} {
		var m memory
		if err := m.Set(text); err != nil {
			t.Fatal(err)
		}
		state := m.state().Bytes
		all := state + state/3 + m.timeline().Bytes + 12_000*m.findings() + 1000*m.flows() + m.held()
		if most := int(m-fixedMemory) * 4 / 5; all > most || state <= 0 || m.findings() <= 0 || m.flows() <= 0 {
			t.Errorf("%s: %d bytes may be in use, want at most %d: %d of pairs, %d findings, %d flows", text, all, most, state, m.findings(), m.flows())
		}
	}
	var none memory
	if none.state().Bytes+none.timeline().Bytes+none.findings()+none.flows()+none.held() != 0 {
		t.Error("without a bound there is one")
	}
}

// TestFlowsAreCountedWithinTheMemory holds that what a capture's ESP is counted in
// takes its share of --max-memory, as that of a watch does: packets under more SPIs
// than fit are told of one by one.
func TestFlowsAreCountedWithinTheMemory(t *testing.T) {
	spis := leastMemory.flows() + 100
	told := func(m memory) (flows int, packets uint64) {
		files := replayOnce(t.Context(), m, []string{"-"}, streams{in: bytes.NewReader(manySPIs(spis, 2)), err: io.Discard}, nil)
		for e, err := range files {
			if err != nil {
				t.Fatal(err)
			}
			if f, ok := e.(*analyze.Flow); ok {
				flows, packets = flows+1, packets+f.Packets
			}
		}
		return flows, packets
	}
	if flows, packets := told(0); flows != spis || packets != uint64(2*spis) {
		t.Errorf("without a bound %d flows of %d packets, want %d of %d", flows, packets, spis, 2*spis)
	}
	if flows, packets := told(leastMemory); flows != 2*spis || packets != uint64(2*spis) {
		t.Errorf("in little memory %d flows of %d packets, want each packet told by itself: %d", flows, packets, 2*spis)
	}
}

// manySPIs is a capture of ESP under so many SPIs in turn, so many packets of each, all
// at one time.
func manySPIs(spis, rounds int) []byte {
	be, le := binary.BigEndian, binary.LittleEndian
	b := pcap(byte(analyze.LinkRaw))
	for i := range spis * rounds {
		packet := make([]byte, 20+8+16)
		packet[0], packet[8], packet[9] = 0x45, 64, 50
		be.PutUint16(packet[2:], uint16(len(packet)))
		copy(packet[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
		be.PutUint32(packet[20:], uint32(0x1000+i%spis))
		be.PutUint32(packet[24:], uint32(1+i/spis))
		b = append(b, make([]byte, 8)...) // seconds and microseconds since 1970
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(packet))), uint32(len(packet)))
		b = append(b, packet...)
	}
	return b
}
