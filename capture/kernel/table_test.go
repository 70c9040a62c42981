//go:build linux

package kernel

import (
	"net/netip"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

func neighbor(addr, state string) analyze.Neighbor {
	return analyze.Neighbor{Addr: netip.MustParseAddr(addr), IfIndex: 2, State: state}
}

func TestNeighborTable(t *testing.T) {
	var table neighborTable
	table.reset([]analyze.Neighbor{neighbor("fd00::1", "REACHABLE"), neighbor("fd00::2", "STALE"), neighbor("fd00::3", "STALE")})
	if e := table.notified(neighbor("fd00::1", "REACHABLE"), false); e != nil {
		t.Errorf("a notification that says nothing new gave %+v", e)
	}
	if e := table.notified(neighbor("fd00::9", "STALE"), true); e != nil {
		t.Errorf("the deletion of an unknown entry gave %+v", e)
	}
	table.begin()
	if e := table.notified(neighbor("fd00::2", "PROBE"), false); e == nil || e.Change != analyze.Updated {
		t.Errorf("a notification during a dump gave %+v", e)
	}
	if e := table.notified(neighbor("fd00::4", "STALE"), false); e == nil || e.Change != analyze.Added {
		t.Errorf("a new entry during a dump gave %+v", e)
	}
	got := table.differences([]analyze.Neighbor{
		neighbor("fd00::1", "DELAY"),
		neighbor("fd00::2", "STALE"), // older than the notification
		neighbor("fd00::5", "INCOMPLETE"),
	})
	want := []analyze.NeighborChange{
		{Change: analyze.Updated, Neighbor: neighbor("fd00::1", "DELAY")},
		{Change: analyze.Added, Neighbor: neighbor("fd00::5", "INCOMPLETE")},
		{Change: analyze.Deleted, Neighbor: neighbor("fd00::3", "STALE")},
	}
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if *got[i] != want[i] {
			t.Errorf("change %d is %+v, want %+v", i, *got[i], want[i])
		}
	}
}

func larvalSA(seq uint32) spd.SA {
	return spd.SA{Dst: netip.MustParseAddr("fd00::2"), Proto: spd.ProtoESP, Seq: seq}
}

func reservedSA(spi uint32) spd.SA {
	return spd.SA{Dst: netip.MustParseAddr("fd00::1"), Proto: spd.ProtoESP, SPI: spi}
}

func keyedSA(spi uint32) spd.SA {
	sa := reservedSA(spi)
	sa.AEAD = &spd.Algorithm{Name: "rfc4106(gcm(aes))", KeyBits: 160}
	return sa
}

func changesOf(es []*analyze.SAChange) (added, deleted int) {
	for _, e := range es {
		if e.Change == analyze.Added {
			added++
		} else {
			deleted++
		}
	}
	return added, deleted
}

func TestYoungSAs(t *testing.T) {
	var y youngSAs
	y.reset([]spd.SA{larvalSA(1), keyedSA(0x200)})
	if !y.wanted(2) {
		t.Error("a larval SA is watched until it is gone")
	}
	y.begin(3)
	if a, d := changesOf(y.differences([]spd.SA{larvalSA(1), keyedSA(0x200), larvalSA(2)})); a != 1 || d != 0 {
		t.Errorf("a second larval SA: %d added, %d deleted", a, d)
	}
	y.begin(3)
	if a, d := changesOf(y.differences([]spd.SA{reservedSA(0x300), larvalSA(2), keyedSA(0x200)})); a != 1 || d != 1 {
		t.Errorf("one gone, an SPI reserved: %d added, %d deleted", a, d)
	}
	// The reserved SPI gets its keys, which is notified while a dump that does
	// not know of it is made.
	y.begin(3)
	y.notified(&analyze.SAChange{Change: analyze.Updated, SA: keyedSA(0x300)})
	if a, d := changesOf(y.differences([]spd.SA{reservedSA(0x300), keyedSA(0x200)})); a != 0 || d != 1 {
		t.Errorf("grown up: %d added, %d deleted; want the larval one deleted only", a, d)
	}
	if y.wanted(3) {
		t.Error("nothing young is left, and still a dump is wanted")
	}
	if !y.wanted(4) {
		t.Error("another SA came and no dump is wanted")
	}
}

// TestRefusedSAs: an SA is told of when it has refused something more, and not
// from a dump that is older than news of it.
func TestRefusedSAs(t *testing.T) {
	refusing := func(spi, n uint32) spd.SA {
		sa := keyedSA(spi)
		sa.Stats.IntegrityFailed = n
		return sa
	}
	var r refusedSAs
	r.reset([]spd.SA{refusing(1, 7), keyedSA(2)})
	told := func(want int, now ...spd.SA) {
		t.Helper()
		if got := r.differences(now); len(got) != want {
			t.Errorf("%d SAs told of, want %d: %+v", len(got), want, got)
		}
	}
	r.begin()
	told(0, refusing(1, 7), keyedSA(2))
	r.begin()
	told(1, refusing(1, 7), refusing(2, 1))
	r.begin()
	r.notified(analyze.Deleted, &spd.SA{Dst: refusing(2, 1).Dst, Proto: refusing(2, 1).Proto, SPI: 2})
	told(1, refusing(1, 8), refusing(2, 3))
	r.begin()
	r.notified(analyze.Flushed, &spd.SA{})
	told(0, refusing(1, 9))
	r.begin()
	told(1, refusing(1, 1))
}

// TestYoungKnowsOtherProtocols: the SAs of Mobile IPv6 have no SPI and no keys.
func TestYoungKnowsOtherProtocols(t *testing.T) {
	sa := larvalSA(0)
	sa.Proto = spd.ProtoRouting
	if young(&sa) {
		t.Error("an SA for the routing header is taken for a larval one")
	}
}
