package text

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

// end is one end of a pair of hosts with an SA that has a lifetime, as IKE makes
// it, added at that time.
func end(name string, taken, added int64, spi uint32) Result {
	s := spd.SA{
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SPI: spi, Proto: spd.ProtoESP, Enc: &spd.Algorithm{Name: "cbc(aes)"},
		Limits: spd.Lifetime{SoftAdd: 3000, HardAdd: 3600}, Used: spd.Usage{AddTime: uint64(added)},
	}
	return FromDatabase(name, spd.Database{SAs: []spd.SA{s}}, time.Unix(taken, 0))
}

// TestSAsOfIKEMustBeOnBothEndsOnlyWhenTheyLast holds that two dumps between
// which IKE may have replaced an SA are no mismatch.
func TestSAsOfIKEMustBeOnBothEndsOnlyWhenTheyLast(t *testing.T) {
	const told = "has SPI"
	for name, c := range map[string]struct {
		a, b Result
		want bool
	}{
		"both old, same moment":     {end("a", 1000, 100, 1), end("b", 1000, 100, 2), true},
		"one has just been made":    {end("a", 1000, 980, 1), end("b", 1000, 980, 2), false},
		"looked at at another time": {end("a", 1000, 100, 1), end("b", 5000, 4000, 2), false},
		"nobody knows when":         {end("a", 1000, 0, 1), end("b", 1000, 0, 2), false},
		"the same, whenever":        {end("a", 1000, 0, 1), end("b", 9000, 0, 1), false},
	} {
		got := strings.Join(texts(Mirror(c.a, c.b)), "\n")
		if strings.Contains(got, told) != c.want || (!c.want && got != "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	byHand := end("b", 1000, 0, 2)
	byHand.DB.SAs[0].Limits = spd.Lifetime{}
	other := end("a", 9000, 0, 1)
	other.DB.SAs[0].Limits = spd.Lifetime{}
	if got := texts(Mirror(other, byHand)); len(got) != 1 || !strings.Contains(got[0], told) {
		t.Errorf("by hand: %q", got)
	}
}

// TestAReservedSPIIsNoSA holds that an SA whose keys are there at one end only, for
// the other is still at work on it, is no mismatch.
func TestAReservedSPIIsNoSA(t *testing.T) {
	a, b := end("a", 1000, 999, 1), end("b", 1000, 999, 1)
	a.DB.SAs[0].Enc = nil
	a.DB.SAs[0].Mode = spd.Tunnel
	for _, got := range [][]string{texts(Mirror(a, b)), texts(Mirror(b, a))} {
		if len(got) != 0 {
			t.Errorf("%q", got)
		}
	}
}
