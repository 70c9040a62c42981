package remedy

import (
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// host is the kernel's state with the questions that plans ask of it.
type host struct {
	*analyze.KernelState
	db spd.Database
}

func newHost(k *analyze.KernelState) *host {
	return &host{k, spd.Database{Policies: k.Policies, SAs: k.SAs, Defaults: k.Defaults}}
}

// readable refuses a state that says nothing of the policies and SAs: a plan
// from it would be a guess.
func (h *host) readable() error {
	for _, m := range h.Missing {
		if strings.HasPrefix(m, analyze.PartPolicies+":") || strings.HasPrefix(m, analyze.PartSAs+":") {
			return refuse(NoKernel, "the policies and SAs could not be read, so that nothing can be planned: %s", m)
		}
	}
	return nil
}

// clone returns a copy of the databases on which steps can be tried.
func (h *host) clone() spd.Database {
	return spd.Database{Policies: slices.Clone(h.db.Policies), SAs: slices.Clone(h.db.SAs), Defaults: h.db.Defaults}
}

// owns reports whether a is an address of this host.
func (h *host) owns(a netip.Addr) bool {
	return slices.ContainsFunc(h.Addresses, func(x analyze.Address) bool { return x.Prefix.Addr().WithZone("") == a.WithZone("") })
}

// device returns the name of the interface with that index, "" where it is not
// known or index is 0.
func (h *host) device(index int) string {
	for _, l := range h.Links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}

// index returns the index of the interface of that name, 0 where there is none.
func (h *host) index(name string) int {
	for _, l := range h.Links {
		if l.Name == name {
			return l.Index
		}
	}
	return 0
}

// onLink returns the interface on which a is a direct neighbour, by the
// prefixes of the host's own addresses.
func (h *host) onLink(a netip.Addr) (ifindex int, ok bool) {
	for _, x := range h.Addresses {
		if x.Prefix.Bits() < x.Prefix.Addr().BitLen() && x.Prefix.Masked().Contains(a.WithZone("")) {
			return x.IfIndex, true
		}
	}
	return 0, false
}

// proxies reports whether the host answers for others (proxy_ndp): only then
// neighbour discovery is asked of the forward policies (ip6_forward).
func (h *host) proxies() bool {
	for name, v := range h.Sysctls {
		if strings.HasPrefix(name, "net.ipv6.conf.") && strings.HasSuffix(name, ".proxy_ndp") && v != "0" {
			return true
		}
	}
	return false
}

// daemons returns the listeners that may be IKE daemons.
func (h *host) daemons() []analyze.Listener {
	return slices.DeleteFunc(slices.Clone(h.Listeners), func(l analyze.Listener) bool { return l.Monitor })
}
