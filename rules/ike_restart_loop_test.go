package rules

import (
	"testing"
	"time"

	"ipsecdiag/analyze/ike"
)

// cycles are IKE SAs of a, begun at that distance and deleted by one end so long
// after they came up.
func cycles(n int, apart, lives time.Duration, by string) (all []line) {
	for i := range n {
		at := time.Duration(i) * apart
		all = append(all, comeUp(at, "a", uint64(i+1))...)
		if i < n-1 {
			all = append(all, deletion(at+lives, by, uint64(i+1))...)
		}
	}
	return all
}

func TestRestartLoops(t *testing.T) {
	const info = ike.ExchangeInformational
	dead := func(at time.Duration, spi uint64) (all []line) {
		for i := range 3 {
			all = append(all, line{at: at + time.Duration(i)*4*s, from: "a", spi: spi, exchange: info, id: 2, room: 15})
		}
		return all
	}
	many := func(at time.Duration, from uint64) (all []line) {
		for i := range uint64(10) {
			all = append(all, comeUp(at+time.Duration(i)*20*ms, "a", from+i)...)
			all = append(all, deletion(at+30*s+time.Duration(i)*20*ms, "b", from+i)...)
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"deleted by the other end three times", cycles(4, 21*s, 20*s, "b"), "error certain open"},
		{"deleted each three seconds", cycles(4, 3200*ms, 3*s, "b"), "error certain open"},
		{"twice only", cycles(3, 21*s, 20*s, "b"), ""},
		{"deleted, and begun again when there is traffic", cycles(5, 60*s, 20*s, "b"), ""},
		{"reauthenticated every two minutes", cycles(5, 110*s, 110*s-500*ms, "a"), ""},
		{"reauthenticated every twenty seconds", cycles(5, 20*s, 20*s-500*ms, "a"), "warning certain open"},
		{"a daemon with ten connections, restarted twice", together(many(0, 1), many(31*s, 100), many(62*s, 200)), ""},
		{"dead peer detection has no answer", together(comeUp(0, "a", 1), dead(5*s, 1), comeUp(20*s, "a", 2), dead(25*s, 2), comeUp(40*s, "a", 3),
			dead(45*s, 3), comeUp(60*s, "a", 4)), "error certain open"},
		{"one at a time, each rekeyed", together(comeUp(0, "a", 1), exchangeOf(5*s, "a", 1, ike.ExchangeCreateChildSA, 2, ike.PayloadNotify, 143, ike.PayloadSA, 143),
			exchangeOf(6*s, "a", 1, info, 3, ike.PayloadDelete, 15, ike.PayloadDelete, 15)), ""},
	} {
		if got := claims(played(t, IKERestartLoop, 5*s, tt.lines)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := claims(played(t, IKERestartLoop, 100*s, cycles(4, 21*s, 20*s, "b"))); got != "error certain resolved" {
		t.Errorf("a loop that ends: %q", got)
	}
}

func TestSimultaneousStarts(t *testing.T) {
	crossing := together(comeUp(0, "a", 1), comeUp(100*ms, "b", 2))
	held := comeUp(4*s, "a", 1)
	first := held[0]
	first.at = 0
	for _, tt := range []struct {
		name  string
		lines []line
		want  string
	}{
		{"both stand", crossing, "warning likely open"},
		{"both were held up", together([]line{first}, held, comeUp(4100*ms, "b", 2)), "info likely open"},
		{"one is taken back", together(crossing, deletion(10*s, "b", 1)), ""},
		{"one after the other", together(comeUp(0, "a", 1), comeUp(5*s, "b", 2)), ""},
		{"the same end twice", together(comeUp(0, "a", 1), comeUp(100*ms, "a", 2)), ""},
		{"several connections", together(crossing, comeUp(5*s, "a", 3)), ""},
		{"one of them fails", together(comeUp(0, "a", 1), authenticate(100*ms, "b", 2, ike.PayloadNotify, 15)), ""},
		{"one is taken back late", together(crossing, deletion(30*s, "b", 1)), "warning likely resolved"},
	} {
		if got := claims(played(t, IKESimultaneous, 25*s, tt.lines)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
