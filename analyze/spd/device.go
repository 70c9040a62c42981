package spd

import "net/netip"

// Device is an interface whose settings exempt packets from policies.
type Device struct {
	Index    int
	Loopback bool
	// NoPolicy4 is net.ipv4.conf.DEV.disable_policy or that of "all": IPv4
	// packets that come in by the device are checked against no policy.
	NoPolicy4 bool
	// NoXfrm4 is net.ipv4.conf.DEV.disable_xfrm or that of "all": IPv4 packets
	// that leave by the device meet no policy.
	NoXfrm4 bool
	// NoPolicy6 is net.ipv6.conf.DEV.disable_policy or that of "all": IPv6
	// packets for the device's own unicast addresses are checked against no
	// policy, whichever way they came (addrconf_f6i_alloc), nor are IPv6
	// packets that come in by it and are forwarded (ip6_forward).
	NoPolicy6 bool
	Addrs     []netip.Addr
}

// Exemption is why a packet meets no policy.
type Exemption uint8

// The exemptions.
const (
	NotExempt     Exemption = iota
	DisablePolicy           // disable_policy of the device (DST_NOPOLICY, IPSKB_NOPOLICY)
	DisableXfrm             // disable_xfrm of the device (DST_NOXFRM)
)

var exemptionNames = names[Exemption]{NotExempt: "none", DisablePolicy: "disable_policy", DisableXfrm: "disable_xfrm"}

// String returns the name of the setting, "none" for NotExempt.
func (e Exemption) String() string { return exemptionNames.name(e) }

// exemption returns the device setting that spares f the policies of that
// direction (__xfrm_check_dev_nopolicy, ip6_forward, xfrm_lookup_with_ifid).
func (db *Database) exemption(dir Direction, f Flow) Exemption {
	for i := range db.Devices {
		d := &db.Devices[i]
		switch {
		case f.Dst.Is4() && d.Index != f.via(dir):
		case dir == Out:
			if f.Dst.Is4() && d.NoXfrm4 && f.IfID == 0 {
				return DisableXfrm
			}
		case f.Dst.Is4():
			if d.NoPolicy4 {
				return DisablePolicy
			}
		case d.NoPolicy6 && (dir == In && d.owns(f.Dst) || dir == Fwd && d.Index == f.via(dir)):
			return DisablePolicy
		}
	}
	return NotExempt
}

// sparedByDefault reports whether the default action does not reach f: a packet
// that disable_policy exempts, and what leaves by the loopback device
// (xfrm_lookup_with_ifid).
func (db *Database) sparedByDefault(v *Verdict, dir Direction, f Flow) bool {
	if v.Exempt == DisablePolicy {
		return true
	}
	for i := range db.Devices {
		if d := &db.Devices[i]; dir == Out && d.Loopback && d.Index == f.via(dir) {
			return true
		}
	}
	return false
}

func (d *Device) owns(a netip.Addr) bool {
	a = a.WithZone("")
	for _, o := range d.Addrs {
		if o.WithZone("") == a {
			return true
		}
	}
	return false
}

// via returns the device by which f leaves or came in, 0 where it is unknown.
func (f Flow) via(dir Direction) int {
	if f.Via == 0 && dir == Out {
		return f.IfIndex
	}
	return f.Via
}
