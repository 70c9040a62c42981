package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// frames picks the frames of a stream.
func frames(events []analyze.Event) (list []*analyze.Frame) {
	for _, e := range events {
		if f, ok := e.(*analyze.Frame); ok {
			list = append(list, f)
		}
	}
	return list
}

// flows picks the flows of a stream.
func flows(events []analyze.Event) (list []*analyze.Flow) {
	for _, e := range events {
		if f, ok := e.(*analyze.Flow); ok {
			list = append(list, f)
		}
	}
	return list
}

// lost picks what was lost.
func lost(events []analyze.Event) (list []string) {
	for _, e := range events {
		if l, ok := e.(*analyze.Lost); ok {
			list = append(list, l.What)
		}
	}
	return list
}

func TestPcapVariants(t *testing.T) {
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		for _, nano := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v nano=%v", o, nano), func(t *testing.T) {
				f := newPcap(o, nano, 0xf0000001) // the upper bits tell of the FCS
				f.frame(t0, tcpFrame()).frame(t0.Add(time.Second), solicitation())
				events, warnings := readAll(t, f.data)
				got := frames(events)
				if len(got) != 1 || len(warnings) != 0 {
					t.Fatalf("%d frames, warnings %q", len(got), warnings)
				}
				want := t0.Add(time.Second)
				if !nano {
					want = want.Truncate(time.Microsecond)
				}
				g := got[0]
				if !g.Time.Equal(want) || g.Number != 2 || g.Link != analyze.LinkEthernet ||
					g.OrigLen != len(solicitation())+4 || !bytes.Equal(g.Data, solicitation()) {
					t.Errorf("got %+v", g)
				}
				if g.Origin != (analyze.Origin{Host: "stdin"}) {
					t.Errorf("origin %+v", g.Origin)
				}
			})
		}
	}
}

// TestPcapDamage holds that frames before the damage count, with one warning
// and a Lost event.
func TestPcapDamage(t *testing.T) {
	good := newPcap(binary.LittleEndian, false, 1).frame(t0, solicitation()).data
	second := newPcap(binary.LittleEndian, false, 1).frame(t0, solicitation()).data[24:]
	huge := bytes.Clone(second)
	binary.LittleEndian.PutUint32(huge[8:], 1<<31)
	for name, tail := range map[string][]byte{
		"cut in the header": second[:7], "cut in the frame": second[:50], "absurd length": huge,
	} {
		t.Run(name, func(t *testing.T) {
			events, warnings := readAll(t, append(bytes.Clone(good), tail...))
			if len(frames(events)) != 1 || len(lost(events)) != 1 || len(warnings) != 1 {
				t.Fatalf("%d frames, lost %q, warnings %q", len(frames(events)), lost(events), warnings)
			}
			if w := warnings[0]; !strings.HasPrefix(w, "standard input: ") || strings.Contains(w, "\n") {
				t.Errorf("warning %q", w)
			}
		})
	}
}

func TestRefusedInput(t *testing.T) {
	ng := func() *pcapngFile { return (&pcapngFile{}).section(binary.LittleEndian) }
	tests := map[string]struct {
		data []byte
		want error
		text string
	}{
		"empty":         {nil, ErrEmpty, "standard input: is empty"},
		"short":         {[]byte{0xd4, 0xc3}, ErrNotCapture, ""},
		"text":          {[]byte("#!/bin/sh\necho no capture\n"), ErrNotCapture, "standard input: is not a capture file (neither pcap nor pcapng)"},
		"header cut":    {newPcap(binary.LittleEndian, false, 1).data[:20], nil, "standard input: ends inside its file header: unexpected EOF"},
		"old version":   {append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 1}, make([]byte, 30)...), nil, "standard input: pcap version 1 is not supported"},
		"wifi":          {newPcap(binary.BigEndian, true, 127).data, &LinkTypeError{127}, "standard input: link type 127 (IEEE 802.11 with radiotap header) is not supported"},
		"unknown link":  {newPcap(binary.BigEndian, true, 4711).data, &LinkTypeError{4711}, "standard input: link type 4711 is not supported"},
		"wifi pcapng":   {ng().iface(105, "wlan0").frame(0, 1, tcpFrame()).data, &LinkTypeError{105}, "standard input: link type 105 (IEEE 802.11) is not supported"},
		"section cut":   {ng().data[:20], nil, ""},
		"no byte order": {append(ng().data[:8:8], make([]byte, 20)...), nil, "standard input: section header without byte-order magic at byte 0"},
		"broken gzip":   {append([]byte{0x1f, 0x8b}, make([]byte, 30)...), nil, ""},
		"broken zstd":   {append([]byte{0x28, 0xb5, 0x2f, 0xfd}, bytes.Repeat([]byte{0xff}, 30)...), nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			events, _, err := readBytes(tt.data)
			fe, ok := errors.AsType[*FileError](err)
			if !ok || fe.Path != "-" || len(events) != 0 {
				t.Fatalf("%d events, error %v", len(events), err)
			}
			var link *LinkTypeError
			if want, ok := tt.want.(*LinkTypeError); ok {
				if !errors.As(err, &link) || *link != *want {
					t.Errorf("error %v, want %v", err, want)
				}
			} else if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.text != "" && err.Error() != tt.text {
				t.Errorf("text %q, want %q", err, tt.text)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}
