package analyze

import (
	"testing"
	"time"
)

func TestFlowHistoryCountsBetweenTimes(t *testing.T) {
	f := new(FlowTotal)
	for i := 1; i <= 100; i++ { // two packets each second
		f.Packets += 2
		f.Last.Mono = time.Duration(i) * time.Second
		f.remember(&Flow{Longest: 100})
	}
	for _, c := range []struct {
		since, until time.Duration
		want         uint64
	}{
		{90 * time.Second, 100 * time.Second, 20},
		{90*time.Second - 1, 91 * time.Second, 4},
		{100 * time.Second, 200 * time.Second, 0},
		{99 * time.Second, 50 * time.Second, 0},
	} {
		if got := f.PacketsBetween(c.since, c.until); got != c.want {
			t.Errorf("between %v and %v: %d packets, want %d", c.since, c.until, got, c.want)
		}
	}
	kept := f.PacketsBetween(0, 100*time.Second)
	if len(f.history) > maxFlowPoints || kept == 0 || kept > 2*maxFlowPoints {
		t.Errorf("of 200 packets %d are told apart from %d points: want no more than the history holds", kept, len(f.history))
	}
}
