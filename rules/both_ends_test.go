package rules

import (
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// TestALossThatBothEndsRecordedIsNotToBeRecordedAgain: the remedy goes on from there.
func TestALossThatBothEndsRecordedIsNotToBeRecordedAgain(t *testing.T) {
	for _, both := range []bool{false, true} {
		w := newWire(ESPLoss)
		if both {
			w.Apply(twoFiles(9))
		}
		w.pass(6, func(i int) {
			if both {
				w.sees("glass", toTeapot, 9)
				w.seq[toTeapot] -= 9
			}
			w.sees("teapot", toTeapot, 9)
			if i == 3 {
				w.seq[toTeapot] += 4
			}
		})
		f := w.Findings()
		if len(f) != 1 || len(f[0].Remedies) != 1 {
			t.Fatalf("found %+v", f)
		}
		if again := strings.HasPrefix(f[0].Remedies[0].Command, "ipsecdiag watch"); again == both {
			t.Errorf("both ends recorded: %v, and the remedy is %s", both, f[0].Remedies[0].Command)
		}
	}
}

// TestARemedyNamesItsHostWhereSeveralWereRecorded: with one host it is that one.
func TestARemedyNamesItsHostWhereSeveralWereRecorded(t *testing.T) {
	for _, hosts := range []int{1, 2} {
		s := analyze.NewState(analyze.Limits{})
		w := &wire{Engine: NewEngine(s, nil), seq: map[analyze.FlowKey]uint32{}}
		w.host("glass", glass)
		if hosts == 2 {
			w.host("teapot", teapot)
		}
		p := &Pass{State: s, Host: s.Hosts[0]}
		r := p.runHere(append(p.runHere(nil), startDaemon(), watchOn(teapot)))
		if named := strings.HasSuffix(r[0].Title, "; run this on glass"); named != (hosts == 2) {
			t.Errorf("with %d hosts: %s", hosts, r[0].Title)
		}
		if strings.Count(r[1].Title, "run this") != 1 {
			t.Errorf("with %d hosts: %s", hosts, r[1].Title)
		}
	}
}
