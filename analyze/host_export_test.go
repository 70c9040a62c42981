package analyze

import (
	"net/netip"
	"reflect"
	"testing"

	"ipsecdiag/analyze/spd"
)

// TestHostKernel holds that what a host returns of its kernel makes the same
// picture in a new state.
func TestHostKernel(t *testing.T) {
	prefix := netip.MustParsePrefix
	told := KernelState{
		Release:   "6.1.0",
		Policies:  []spd.Policy{{Selector: spd.Selector{Src: prefix("fd00::1/128"), Dst: prefix("fd00::2/128")}, Direction: spd.Out, Priority: 7}},
		SAs:       []spd.SA{{Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 9, Proto: spd.ProtoESP}},
		Links:     []Link{{Index: 2, Name: "eth0"}},
		Addresses: []Address{{Prefix: prefix("fd00::1/64"), IfIndex: 2}},
		Routes:    []Route{{Dst: prefix("::/0"), IfIndex: 2}},
		Neighbors: []Neighbor{
			{Addr: netip.MustParseAddr("fd00::2"), IfIndex: 2, State: "FAILED"},
			{Addr: netip.MustParseAddr("fd00::3"), IfIndex: 2, State: "STALE"},
		},
		Counters:  map[string]uint64{XfrmOutNoStates: 5, XfrmInTmplMismatch: 0},
		Sysctls:   map[string]string{"net.core.xfrm_larval_drop": "1"},
		Listeners: []Listener{{Via: "netlink", PID: 3, Name: "charon"}},
		Missing:   []string{"routes: of IPv4"},
	}
	s := NewState(Limits{})
	header := Header{Seq: 1, Origin: Origin{Host: "glass"}}
	s.Apply(&Snapshot{Header: header, KernelState: told})
	if got := s.Hosts[0].Kernel(); !reflect.DeepEqual(got, told) {
		t.Errorf("got %+v\nwant %+v", got, told)
	}
	s.Apply(&Counters{Header: header, Values: map[string]uint64{XfrmOutNoStates: 8}})
	if got := s.Hosts[0].Kernel().Counters[XfrmOutNoStates]; got != 8 || !s.Hosts[0].Told() {
		t.Errorf("the counter is %d", got)
	}
	s.Apply(&Frame{Header: Header{Origin: Origin{Host: "file"}}})
	if s.Hosts[1].Told() {
		t.Error("a capture has told of a kernel")
	}
}
