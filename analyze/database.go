package analyze

import (
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// Database returns the SPD and SAD of the state, with the devices whose
// settings exempt packets from policies. It shares nothing with the state.
func (k *KernelState) Database() spd.Database {
	return spd.Database{
		Policies: slices.Clone(k.Policies), SAs: slices.Clone(k.SAs), Defaults: k.Defaults,
		Devices: k.devices(), Order: spd.OrderOn(k.Release),
	}
}

// devices returns the loopback device and those with disable_policy or
// disable_xfrm. A namespace's own setting and that of "all" are joined
// (IN_DEV_ORCONF, addrconf_f6i_alloc).
func (k *KernelState) devices() (out []spd.Device) {
	for _, l := range k.Links {
		d := spd.Device{
			Index: l.Index, Loopback: l.Name == "lo", // no other device may have that name (loopback_net_init)
			NoPolicy4: k.deviceSetting("ipv4", l.Name, "disable_policy"),
			NoXfrm4:   k.deviceSetting("ipv4", l.Name, "disable_xfrm"),
			NoPolicy6: k.deviceSetting("ipv6", l.Name, "disable_policy"),
		}
		if !d.Loopback && !d.NoPolicy4 && !d.NoXfrm4 && !d.NoPolicy6 {
			continue
		}
		d.Addrs = k.addressesOf(l.Index)
		out = append(out, d)
	}
	return out
}

func (k *KernelState) deviceSetting(family, device, name string) bool {
	return k.setting("net."+family+".conf."+sysctlDevice(device)+"."+name) || k.setting("net."+family+".conf.all."+name)
}

// setting reports whether a switch is on. One that is off may be missing.
func (k *KernelState) setting(name string) bool {
	v, ok := k.Sysctls[name]
	return ok && v != "0"
}

func (k *KernelState) addressesOf(ifindex int) (out []netip.Addr) {
	for _, a := range k.Addresses {
		if a.IfIndex == ifindex {
			out = append(out, a.Prefix.Addr())
		}
	}
	return out
}

// sysctlDevice writes the dots of an interface name as slashes, as sysctl(8)
// does and settings are named.
func sysctlDevice(name string) string { return strings.ReplaceAll(name, ".", "/") }
