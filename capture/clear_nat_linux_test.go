package capture

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// What goes where a guard looks, from another source, is told if NAT has changed
// it; the table is read seldom, and ever more seldom while it tells nothing.
func TestTranslator(t *testing.T) {
	wire := analyze.ClearKey{Src: netip.MustParseAddr("10.0.1.1"), Dst: netip.MustParseAddr("10.0.2.2"), Proto: spd.ProtoUDP, SrcPort: 1, DstPort: 53}
	before := wire
	before.Src = netip.MustParseAddr("10.9.0.9")
	var answer map[analyze.ClearKey]analyze.ClearKey
	var failure error
	readings := 0
	tr := translator{read: func([]analyze.ClearKey) (map[analyze.ClearKey]analyze.ClearKey, error) {
		readings++
		return answer, failure
	}}
	now := time.Unix(1000, 0)
	seconds := func(n int) (told int) {
		for range n {
			now = now.Add(time.Second)
			for _, c := range tr.changed([]*analyze.Clear{{Key: wire}}, now) {
				if c.Was == nil || *c.Was != before {
					t.Errorf("it was %v", c.Was)
				}
				told++
			}
		}
		return told
	}
	if told := len(tr.changed(nil, now)); told != 0 || readings != 0 {
		t.Errorf("without packets %d are told after %d readings", told, readings)
	}
	if told := seconds(1000); told != 0 || readings > 10 {
		t.Errorf("without NAT %d are told after %d readings", told, readings)
	}
	answer = map[analyze.ClearKey]analyze.ClearKey{wire: before}
	seconds(300)
	if told := seconds(10); told != 10 {
		t.Errorf("with NAT %d of 10 are told", told)
	}
	answer, failure = nil, errors.New("no such file")
	seconds(10)
	if told := seconds(10); told != 0 {
		t.Errorf("where the table cannot be read %d are told", told)
	}
}

func TestAimed(t *testing.T) {
	guards := []analyze.Guard{{Direction: analyze.DirOut, Selector: spd.Selector{
		Src: netip.MustParsePrefix("10.9.0.0/24"), Dst: netip.MustParsePrefix("10.0.2.0/24"), Proto: spd.ProtoUDP,
	}}}
	for _, tt := range []struct {
		src, dst string
		proto    uint8
		dir      analyze.Direction
		want     bool
	}{
		{"10.0.1.1", "10.0.2.2", spd.ProtoUDP, analyze.DirOut, true},
		{"10.0.1.1", "10.0.2.2", spd.ProtoUDP, analyze.DirIn, false},
		{"10.0.1.1", "10.0.2.2", protoTCP, analyze.DirOut, false},
		{"10.0.1.1", "10.0.3.2", spd.ProtoUDP, analyze.DirOut, false},
		{"10.9.0.9", "10.0.2.2", spd.ProtoUDP, analyze.DirOut, false}, // as the guard means it
	} {
		k := analyze.ClearKey{Src: netip.MustParseAddr(tt.src), Dst: netip.MustParseAddr(tt.dst), Proto: tt.proto}
		if got := aimed(guards, k, tt.dir); got != tt.want {
			t.Errorf("%s, %s: %v, want %v", k, tt.dir, got, tt.want)
		}
	}
}
