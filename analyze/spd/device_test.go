package spd

import (
	"net/netip"
	"testing"
)

// TestSettingsOfDevicesExemptPackets holds DST_NOXFRM, DST_NOPOLICY and what
// the default action makes of them.
func TestSettingsOfDevicesExemptPackets(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	v4 := Flow{Src: a, Dst: b, Proto: ProtoUDP}
	on := func(f Flow, ifindex, via int) Flow { f.IfIndex, f.Via = ifindex, via; return f }
	demand := func(dir Direction) []Policy {
		return []Policy{pol(dir, between("::/0", "::/0"), 1, withESP), pol(dir, between("0.0.0.0/0", "0.0.0.0/0"), 1, withESP),
			pol(dir, between("0.0.0.0/0", "0.0.0.0/0"), 1, withESP, ifID(9))}
	}
	eth0 := Device{Index: 3, NoPolicy4: true, NoXfrm4: true, NoPolicy6: true, Addrs: []netip.Addr{glass}}
	lo := Device{Index: 1, Loopback: true}
	throughXfrm := v4
	throughXfrm.IfID = 9
	tests := []struct {
		name  string
		dir   Direction
		flow  Flow
		block bool
		want  Decision
		why   Exemption
	}{
		{"IPv4 leaves by it", Out, on(v4, 3, 0), false, Clear, DisableXfrm},
		{"IPv4 leaves by it, the selector sees no device", Out, on(v4, 0, 3), false, Clear, DisableXfrm},
		{"IPv4 leaves by another", Out, on(v4, 4, 0), false, Protect, NotExempt},
		{"nobody knows by what", Out, v4, false, Protect, NotExempt},
		{"an xfrm interface's packet", Out, on(throughXfrm, 3, 0), false, Protect, NotExempt},
		{"disable_xfrm does not lift the default", Out, on(v4, 3, 0), true, Discard, DisableXfrm},
		{"IPv6 has no disable_xfrm", Out, on(answer, 3, 0), false, Protect, NotExempt},
		{"IPv4 came by it", In, on(v4, 1, 3), false, Clear, DisablePolicy},
		{"disable_policy lifts the default", In, on(v4, 1, 3), true, Clear, DisablePolicy},
		{"IPv4 came by another", In, on(v4, 1, 4), false, Protect, NotExempt},
		{"the selector's device says nothing of it", In, on(v4, 3, 0), false, Protect, NotExempt},
		{"forwarded IPv4 came by it", Fwd, on(v4, 4, 3), false, Clear, DisablePolicy},
		{"IPv6 for the device's address", In, answer, false, Clear, DisablePolicy},
		{"IPv6 for another address", In, ICMPv6Flow(glass, teapot, NeighborSolicitation), false, Protect, NotExempt},
		{"IPv6 came by it and is forwarded", Fwd, on(answer, 4, 3), false, Clear, DisablePolicy},
		{"IPv6 came by another and is forwarded", Fwd, on(answer, 3, 4), false, Protect, NotExempt},
		{"IPv6 came by it for another address", In, on(ICMPv6Flow(glass, teapot, NeighborSolicitation), 1, 3), false, Protect, NotExempt},
	}
	for _, tt := range tests {
		db := Database{Policies: demand(tt.dir), Devices: []Device{lo, eth0}}
		if tt.block {
			db.Policies, db.Defaults = nil, Defaults{In: Block, Out: Block, Fwd: Block}
		}
		if v := db.Lookup(tt.dir, tt.flow); v.Decision != tt.want || v.Exempt != tt.why {
			t.Errorf("%s: %s, exempt by %s; want %s, %s", tt.name, v.Decision, v.Exempt, tt.want, tt.why)
		}
	}
	db := Database{Devices: []Device{lo}, Defaults: Defaults{Out: Block, In: Block}}
	for via, want := range map[int]Decision{1: Clear, 2: Discard} {
		if v := db.Lookup(Out, on(answer, 0, via)); v.Decision != want {
			t.Errorf("default block, by device %d: %s, want %s", via, v.Decision, want)
		}
	}
	if v := db.Lookup(In, on(answer, 1, 1)); v.Decision != Discard {
		t.Errorf("in by lo: %s; only out is spared", v.Decision)
	}
}
