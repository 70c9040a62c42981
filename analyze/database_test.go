package analyze

import (
	"net/netip"
	"reflect"
	"testing"

	"ipsecdiag/analyze/spd"
)

func TestTheSettingsOfDevicesReachTheDatabase(t *testing.T) {
	k := KernelState{
		Links: []Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0"}, {Index: 3, Name: "eth0.7"}, {Index: 4, Name: "eth1"}},
		Addresses: []Address{
			{Prefix: netip.MustParsePrefix("fd00::1/64"), IfIndex: 2},
			{Prefix: netip.MustParsePrefix("fd07::1/64"), IfIndex: 3},
			{Prefix: netip.MustParsePrefix("10.7.0.1/24"), IfIndex: 3},
		},
		Sysctls: map[string]string{
			"net.ipv4.conf.lo.disable_xfrm":       "1",
			"net.ipv6.conf.eth0/7.disable_policy": "1",
			"net.ipv4.conf.eth0/7.disable_policy": "1",
			"net.ipv4.conf.eth1.disable_xfrm":     "0",
		},
		Policies: []spd.Policy{{Priority: 1}}, SAs: []spd.SA{{SPI: 1}}, Defaults: spd.Defaults{Out: spd.Block},
	}
	vlan := []netip.Addr{netip.MustParseAddr("fd07::1"), netip.MustParseAddr("10.7.0.1")}
	want := []spd.Device{
		{Index: 1, Loopback: true, NoXfrm4: true},
		{Index: 3, NoPolicy4: true, NoPolicy6: true, Addrs: vlan},
	}
	db := k.Database()
	if !reflect.DeepEqual(db.Devices, want) {
		t.Errorf("devices\n%+v, want\n%+v", db.Devices, want)
	}
	if !reflect.DeepEqual(db.Policies, k.Policies) || !reflect.DeepEqual(db.SAs, k.SAs) || db.Defaults != k.Defaults {
		t.Errorf("database %+v", db)
	}
	db.Policies[0].Priority, db.SAs[0].SPI = 2, 2
	if k.Policies[0].Priority != 1 || k.SAs[0].SPI != 1 {
		t.Error("a change of the database changes the state")
	}
	k.Sysctls = map[string]string{"net.ipv4.conf.all.disable_xfrm": "1"}
	if got := k.devices(); len(got) != 4 || !got[1].NoXfrm4 || got[1].NoPolicy4 {
		t.Errorf("with all: %+v", got)
	}
}
