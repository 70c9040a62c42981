package main

import "testing"

// TestTheSharesOfMemoryFit holds that all that may be in use at once leaves room for
// garbage, and that without a bound each part keeps its own.
func TestTheSharesOfMemoryFit(t *testing.T) {
	for _, text := range []string{"100MB", "256MB", "1GiB", "64GiB"} {
		var m memory
		if err := m.Set(text); err != nil {
			t.Fatal(err)
		}
		state := m.state().Bytes
		all := state + state/3 + m.timeline().Bytes + 12_000*m.findings() + 1000*m.flows() + m.held()
		if most := int(m-fixedMemory) * 4 / 5; all > most || state <= 0 || m.findings() <= 0 || m.flows() <= 0 {
			t.Errorf("%s: %d bytes may be in use, want at most %d: %d of pairs, %d findings, %d flows", text, all, most, state, m.findings(), m.flows())
		}
	}
	var none memory
	if none.state().Bytes+none.timeline().Bytes+none.findings()+none.flows()+none.held() != 0 {
		t.Error("without a bound there is one")
	}
}
