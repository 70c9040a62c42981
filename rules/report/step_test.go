package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/fixtures/bounds"
	"ipsecdiag/rules/report/ladder"
)

// stepOf is a step of a ladder that was made of one frame.
func stepOf(link analyze.LinkType, data, message []byte) (*ladder.Ladder, *ladder.Step) {
	f := &analyze.Frame{Link: link, Direction: analyze.DirIn, OrigLen: len(data), Data: data}
	f.Header = analyze.Header{Time: time.Unix(0, 0), Number: 5, Origin: analyze.Origin{Host: "glass", Interface: "eth0"}}
	return &ladder.Ladder{}, &ladder.Step{
		Label: "a frame", Count: 1, Item: &timeline.Item{Kind: timeline.IKE, Event: f, IKE: message},
		Seen: []ladder.Seen{{Origin: "glass/eth0", Time: f.Time, Frame: 5}},
	}
}

func stepText(t *testing.T, l *ladder.Ladder, s *ladder.Step, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := Step(&b, l, s, Options{Width: width}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// advertisement is a neighbour advertisement as Linux sends it.
var advertisement = []byte{
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 32, 58, 255, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	136, 0, 0, 0, 0x60, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 0x02, 0, 0, 0, 0, 2,
}

func TestStepOfAdvertisement(t *testing.T) {
	l, s := stepOf(analyze.LinkEthernet, advertisement, nil)
	text := stepText(t, l, s, 80)
	for _, want := range []string{
		"glass/eth0 #5", "02:00:00:00:00:02 → 02:00:00:00:00:01", "fd00::2 → fd00::1, hop limit 255", "type 136 code 0, neighbour advertisement",
		"target         fd00::2", "solicited, override", "link-layer address 02:00:00:00:00:02", "86 bytes, from the link layer on", "0050  02 00 00 00 00 02",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestStepOfARP(t *testing.T) {
	reply := []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2,
		2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1,
	}
	l, s := stepOf(analyze.LinkEthernet, reply, nil)
	text := stepText(t, l, s, 80)
	for _, want := range []string{"operation 2, reply", "10.0.0.2 at 02:00:00:00:00:02", "10.0.0.1 at 02:00:00:00:00:01"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// TestStepOfEvent holds what is written of an event of a kernel, and of what
// nobody saw.
func TestStepOfEvent(t *testing.T) {
	e := &analyze.NeighborChange{Neighbor: analyze.Neighbor{State: "FAILED", IfIndex: 2}}
	l := &ladder.Ladder{Hosts: [2]ladder.Host{{Name: "glass"}, {Name: "teapot"}}}
	s := &ladder.Step{Label: "neighbour", Fate: ladder.Event, Count: 3, Item: &timeline.Item{Kind: timeline.Neighbor, Event: e}}
	text := stepText(t, l, s, 80)
	for _, want := range []string{"On glass.", "It happened 3 times", `"state": "FAILED"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	absent := &ladder.Step{Label: "NA", Why: "dropped", Fate: ladder.Held, To: ladder.Place{Host: 1}}
	text = stepText(t, l, absent, 80)
	for _, want := range []string{"From glass to teapot. It never left its host (likely).", "Nobody saw it"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// FuzzStep holds that no frame and no message brings a character to the terminal
// that is not clean, or makes the text too long.
func FuzzStep(f *testing.F) {
	f.Add(uint16(analyze.LinkEthernet), advertisement, []byte(nil))
	f.Add(uint16(analyze.LinkRaw), advertisement[14:], append([]byte("initiate"), 0, 0, 0, 0, 0, 0, 0, 0, 33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 12, 0, 0, 0, 8, 1, 1, 0, 0))
	f.Fuzz(func(t *testing.T, link uint16, data, message []byte) {
		defer bounds.Hold(t, len(data)+len(message), bounds.Memory{Fixed: 4 << 20, PerByte: 16 << 10})()
		l, s := stepOf(analyze.LinkType(link), data, message)
		text := stepText(t, l, s, 60)
		if plain := strings.ReplaceAll(text, "\n", ""); plain != Clean(plain) {
			t.Errorf("not clean: %q", text)
		}
		if len(text) > 1<<20 {
			t.Errorf("%d bytes", len(text))
		}
	})
}
