package kernel

import (
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Bounds of the tables that can be huge on routers.
const (
	maxRoutes    = 10000
	maxNeighbors = 16384
)

// dumpPolicies reads the SPD, the oldest policy first. The kernel lists all
// types at once, socket policies among them, the newest first (policy_all,
// xfrm_policy_walk).
func dumpPolicies(w *waiter) ([]spd.Policy, error) {
	q := request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETPOLICY, answer: nl.XFRM_MSG_NEWPOLICY}
	out, err := dump(w, q, nil, one(decodePolicy))
	slices.Reverse(out)
	return out, err
}

// dumpSAs reads the SAD, without keys, into room as far as that goes.
func dumpSAs(w *waiter, room []spd.SA) ([]spd.SA, error) {
	q := request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSA, answer: nl.XFRM_MSG_NEWSA}
	return dump(w, q, room, one(decodeSA))
}

// readDefaults reads the default actions. Kernels before 5.14 have none and
// answer EINVAL.
func readDefaults(w *waiter) (d spd.Defaults, err error) {
	q := request{protocol: unix.NETLINK_XFRM, kind: msgGetDefault, answer: msgGetDefault, data: make([]byte, 4)}
	err = ask(w, q, func(b []byte) (err error) {
		d, err = decodeDefaults(b)
		return err
	})
	return d, err
}

// countSAs asks for the number of SAs, which is cheap.
func countSAs(w *waiter) (n uint32, err error) {
	q := request{
		protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSADINFO, answer: nl.XFRM_MSG_NEWSADINFO,
		data: make([]byte, infoHeader),
	}
	err = ask(w, q, func(b []byte) (err error) {
		n, err = decodeSADCount(b)
		return err
	})
	return n, err
}

// countSocketPolicies asks for the number of socket policies, whose coming and
// going the kernel does not notify.
func countSocketPolicies(w *waiter) (n uint32, err error) {
	q := request{
		protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSPDINFO, answer: nl.XFRM_MSG_NEWSPDINFO,
		data: make([]byte, infoHeader),
	}
	err = ask(w, q, func(b []byte) (err error) {
		n, err = decodeSocketPolicies(b)
		return err
	})
	return n, err
}

// dumpNeighbors reads the IPv4 and IPv6 neighbour tables.
func dumpNeighbors(w *waiter) ([]analyze.Neighbor, error) {
	q := request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETNEIGH, answer: unix.RTM_NEWNEIGH,
		data: make([]byte, unix.SizeofNdMsg), limit: maxNeighbors,
	}
	return dump(w, q, nil, some(decodeUnicastNeighbor))
}

// decodeUnicastNeighbor leaves out what needs no resolution: multicast groups,
// and entries of devices without link-layer addresses, such as lo.
func decodeUnicastNeighbor(b []byte) (analyze.Neighbor, bool, error) {
	n, ok, err := decodeNeighbor(b)
	nothing := n.State == "NOARP" && n.LinkAddr == ""
	return n, ok && !nothing && !n.Addr.IsMulticast(), err
}

func dumpLinks(w *waiter) ([]analyze.Link, error) {
	q := request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETLINK, answer: unix.RTM_NEWLINK,
		data: make([]byte, unix.SizeofIfInfomsg),
	}
	return dump(w, q, nil, one(decodeLink))
}

func dumpAddresses(w *waiter) ([]analyze.Address, error) {
	q := request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETADDR, answer: unix.RTM_NEWADDR,
		data: make([]byte, unix.SizeofIfAddrmsg),
	}
	return dump(w, q, nil, some(decodeAddress))
}

// dumpRoutes reads the main table of both families.
func dumpRoutes(w *waiter) ([]analyze.Route, error) {
	var out []analyze.Route
	for _, af := range []byte{unix.AF_INET, unix.AF_INET6} {
		header := make([]byte, unix.SizeofRtMsg)
		header[0] = af
		routes, err := dump(w, request{
			protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETROUTE, answer: unix.RTM_NEWROUTE,
			data: header, limit: maxRoutes,
		}, nil, func(out []analyze.Route, b []byte) ([]analyze.Route, error) {
			routes, err := decodeRoutes(b)
			return append(out, routes...), err
		})
		out = append(out, routes...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}
