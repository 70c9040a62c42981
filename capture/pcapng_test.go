package capture

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// stampOf is a time in units per second.
func stampOf(at time.Time, units uint64) uint64 {
	return uint64(at.Unix())*units + uint64(float64(at.Nanosecond())/1e9*float64(units))
}

func TestPcapngResolutions(t *testing.T) {
	tests := map[string]struct {
		resolution byte
		units      uint64
		offset     int64
	}{
		"seconds":      {0, 1, 0},
		"milliseconds": {3, 1000, 0},
		"microseconds": {6, 1e6, 0},
		"nanoseconds":  {9, 1e9, 0},
		"2^-10":        {0x8a, 1024, 0},
		"2^-30":        {0x9e, 1 << 30, 0},
		"offset":       {6, 1e6, 1_000_000_000},
		"minus offset": {9, 1e9, -1_000_000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
				shifted := t0.Add(-time.Duration(tt.offset) * time.Second)
				f := (&pcapngFile{}).section(o).iface(1, "eth0",
					uint16(optionIfTsresol), uint16(1), []byte{tt.resolution},
					uint16(optionIfTsoffset), uint16(8), uint64(tt.offset))
				f.frame(0, stampOf(shifted, tt.units), solicitation())
				events, _ := readAll(t, f.data)
				got := events[0].Head().Time
				if d := t0.Sub(got); d < 0 || d > time.Duration(1e9/tt.units)+time.Microsecond {
					t.Errorf("%v: time %v, want %v", o, got, t0)
				}
			}
		})
	}
}

func TestTimescaleBounds(t *testing.T) {
	for _, units := range []uint64{1, 1e6, 1e9, 1e19, 1 << 63} {
		for _, offset := range []int64{0, 1 << 62, -1 << 63} {
			for _, raw := range []uint64{0, 1, 1 << 62, 1<<64 - 1} {
				got := timescale{units, offset}.nanoseconds(raw)
				if got < 0 || got > maxTime {
					t.Errorf("units %d offset %d raw %d: %d", units, offset, raw, got)
				}
			}
		}
	}
}

// TestPcapngBlocks reads a file with everything: two sections of different byte
// orders, enhanced, simple and obsolete packet blocks, unknown blocks and a
// foreign journal, which counts as a frame and is otherwise ignored.
func TestPcapngBlocks(t *testing.T) {
	micro := uint64(t0.UnixMicro())
	ns := solicitation()
	n := uint32(len(ns))
	f := (&pcapngFile{}).section(binary.LittleEndian)
	f.iface(1, "eth0").iface(1, "eth1")
	f.frame(1, micro, ns, uint16(optionFlags), uint16(4), uint32(2), uint32(0)) // 1
	f.block(0x0bad, "an unknown block")
	f.block(blockJournal, "__REALTIME_TIMESTAMP=1\nMESSAGE=of somebody else\n")                                             // 2
	f.block(blockSimple, n, ns)                                                                                             // 3
	f.block(blockPacket, uint16(0), uint16(9), uint32(micro>>32), uint32(micro), n, n, ns, uint16(2), uint16(4), uint32(1)) // 4
	f.section(binary.BigEndian).iface(101, "tun0")
	f.frame(0, micro, ns[14:]) // 5
	events, warnings := readAll(t, f.data)
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
	want := []struct {
		number    uint64
		name      string
		direction analyze.Direction
		link      analyze.LinkType
	}{
		{1, "eth1", analyze.DirOut, 1},
		{3, "eth0", analyze.DirUnknown, 1},
		{4, "eth0", analyze.DirIn, 1},
		{5, "tun0", analyze.DirUnknown, 101},
	}
	got := frames(events)
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Number != w.number || g.Origin.Interface != w.name || g.Direction != w.direction || g.Link != w.link {
			t.Errorf("frame %d: %+v", i, g)
		}
		if !g.Time.Equal(t0.Truncate(time.Microsecond)) {
			t.Errorf("frame %d: time %v", i, g.Time)
		}
	}
}

// TestPcapngMixedLinks holds that frames of an interface that cannot be decoded
// are skipped with one warning where there is another.
func TestPcapngMixedLinks(t *testing.T) {
	f := (&pcapngFile{}).section(binary.LittleEndian).iface(105, "wlan0").iface(1, "eth0")
	f.frame(0, 1, tcpFrame()).frame(0, 2, tcpFrame()).frame(1, 3, solicitation())
	events, warnings := readAll(t, f.data)
	if len(frames(events)) != 1 || len(warnings) != 1 {
		t.Fatalf("%d frames, warnings %q", len(frames(events)), warnings)
	}
	if want := "standard input: some frames were skipped: link type 105 (IEEE 802.11) is not supported"; warnings[0] != want {
		t.Errorf("warning %q, want %q", warnings[0], want)
	}
}

func TestPcapngDamage(t *testing.T) {
	start := func() *pcapngFile {
		return (&pcapngFile{}).section(binary.LittleEndian).iface(1, "eth0").frame(0, 1, solicitation())
	}
	raw := func(b ...uint32) (data []byte) {
		for _, v := range b {
			data = binary.LittleEndian.AppendUint32(data, v)
		}
		return data
	}
	tests := map[string][]byte{
		"cut":                      start().frame(0, 2, solicitation()).data[:200],
		"block of no length":       append(start().data, raw(6, 0, 0)...),
		"odd length":               append(start().data, raw(6, 33, 0, 0, 0, 0, 0, 0, 0)...),
		"lengths differ":           append(start().data, raw(6, 32, 0, 0, 0, 0, 0, 36)...),
		"block above the bound":    append(start().data, raw(6, 1<<30, 0, 0)...),
		"unknown block cut":        append(start().data, raw(77, 1<<30, 0, 0)...),
		"unknown interface":        start().frame(7, 2, solicitation()).data,
		"captured beyond block":    start().block(blockEnhanced, uint32(0), uint64(0), uint32(5000), uint32(5000)).data,
		"short packet block":       start().block(blockEnhanced, uint32(0)).data,
		"short interface":          start().block(blockInterface, uint32(1)).data,
		"absurd resolution":        start().iface(1, "x", uint16(9), uint16(1), []byte{0xff}).data,
		"empty simple block":       start().block(blockSimple).data,
		"section of another major": start().block(blockSection, uint32(byteOrderMagic), uint16(9), uint16(0), ^uint64(0)).data,
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			events, warnings := readAll(t, data)
			if len(frames(events)) != 1 || len(lost(events)) != 1 || len(warnings) != 1 || strings.Contains(warnings[0], "\n") {
				t.Errorf("%d frames, lost %q, warnings %q", len(frames(events)), lost(events), warnings)
			}
		})
	}
}
