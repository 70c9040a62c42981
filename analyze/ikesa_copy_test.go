package analyze

import (
	"testing"
	"time"
)

// TestACopyIsNoRetransmission: a mirror port shows each packet twice, at once.
func TestACopyIsNoRetransmission(t *testing.T) {
	s := Speaker{Messages: 1, hash: 7, LastSent: Sighting{Mono: time.Second}}
	for after, want := range map[time.Duration]bool{0: true, 49 * time.Millisecond: true, 500 * time.Millisecond: false} {
		if got := s.copied(&heardMessage{hash: 7, at: Sighting{Mono: time.Second + after}}); got != want {
			t.Errorf("the same bytes %v later: a copy is %v, want %v", after, got, want)
		}
	}
	if s.copied(&heardMessage{hash: 8, at: s.LastSent}) {
		t.Error("other bytes are taken for a copy")
	}
}
