package report

import (
	"strings"
	"testing"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report/ladder"
)

// TestLadderWantsRoom: no ladder where its lines would be broken.
func TestLadderWantsRoom(t *testing.T) {
	l, step := stepOf(0, nil, nil)
	lines := []ladder.Role{ladder.Wire}
	l.Hosts = [2]ladder.Host{{Name: "glass", Roles: lines}, {Name: "teapot", Roles: lines}}
	step.To.Host = 1
	step.From.Role, step.To.Role = ladder.Wire, ladder.Wire
	l.Steps = []ladder.Step{*step}
	for width, want := range map[int]bool{ladderWidth - 1: false, ladderWidth: true} {
		var b strings.Builder
		o := Options{Width: width, Ladder: func(*rules.Finding) *ladder.Ladder { return l }}
		if err := Text(&b, []rules.Finding{deadlock()}, summary(), o); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "How it went"); got != want {
			t.Errorf("at %d columns a ladder is drawn: %v, want %v", width, got, want)
		}
	}
}
