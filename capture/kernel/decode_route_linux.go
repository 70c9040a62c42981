package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"ipsecdiag/analyze"

	"golang.org/x/sys/unix"
)

// neighborStates names the NUD_* states as `ip neighbour` does.
var neighborStates = map[uint16]string{
	unix.NUD_NONE: "NONE", unix.NUD_INCOMPLETE: "INCOMPLETE", unix.NUD_REACHABLE: "REACHABLE",
	unix.NUD_STALE: "STALE", unix.NUD_DELAY: "DELAY", unix.NUD_PROBE: "PROBE",
	unix.NUD_FAILED: "FAILED", unix.NUD_NOARP: "NOARP", unix.NUD_PERMANENT: "PERMANENT",
}

// decodeNeighbor translates struct ndmsg (family, padding, ifindex, state,
// flags, type) with its attributes. ok is false for entries of other families.
func decodeNeighbor(b []byte) (n analyze.Neighbor, ok bool, err error) {
	if err := need(b, unix.SizeofNdMsg, "ndmsg"); err != nil {
		return n, false, err
	}
	state := binary.NativeEndian.Uint16(b[8:])
	n.IfIndex = int(int32(binary.NativeEndian.Uint32(b[4:])))
	n.Router = b[10]&unix.NTF_ROUTER != 0
	if n.State = neighborStates[state]; n.State == "" {
		n.State = fmt.Sprintf("%#x", state)
	}
	err = attrsAfter(b, unix.SizeofNdMsg, func(kind uint16, v []byte) error {
		switch kind {
		case unix.NDA_DST:
			n.Addr, _ = netip.AddrFromSlice(v)
		case unix.NDA_LLADDR:
			n.LinkAddr = linkAddr(v)
		}
		return nil
	})
	if err != nil {
		return n, false, fmt.Errorf("neighbour: %w", err)
	}
	return n, n.Addr.IsValid() && (b[0] == unix.AF_INET || b[0] == unix.AF_INET6), nil
}

// decodeAddress translates struct ifaddrmsg (family, prefix length, flags,
// scope, index) with its attributes. ok is false for other families.
func decodeAddress(b []byte) (a analyze.Address, ok bool, err error) {
	if err := need(b, unix.SizeofIfAddrmsg, "ifaddrmsg"); err != nil {
		return a, false, err
	}
	flags := uint32(b[2])
	a.IfIndex = int(binary.NativeEndian.Uint32(b[4:]))
	var addr, local netip.Addr
	err = attrsAfter(b, unix.SizeofIfAddrmsg, func(kind uint16, v []byte) (err error) {
		switch kind {
		case unix.IFA_ADDRESS: // on point-to-point links the other end
			addr, _ = netip.AddrFromSlice(v)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags, err = u32(v)
		}
		return err
	})
	if err != nil {
		return a, false, fmt.Errorf("address: %w", err)
	}
	if local.IsValid() {
		addr = local
	}
	a.Prefix = netip.PrefixFrom(addr, int(b[1]))
	a.Tentative = flags&unix.IFA_F_TENTATIVE != 0
	a.DADFailed = flags&unix.IFA_F_DADFAILED != 0
	return a, a.Prefix.IsValid(), nil
}

// mainTable is RT_TABLE_MAIN.
const mainTable = unix.RT_TABLE_MAIN

// decodeRoutes translates struct rtmsg (family, destination and source length,
// TOS, table, protocol, scope, type, flags) with its attributes: one Route for
// each next hop. It returns none for other tables than the main one and for
// routes that lead nowhere.
func decodeRoutes(b []byte) ([]analyze.Route, error) {
	if err := need(b, unix.SizeofRtMsg, "rtmsg"); err != nil {
		return nil, err
	}
	r, table := analyze.Route{}, uint32(b[4])
	dst := anyAddr(b[0])
	var hops []analyze.Route
	err := attrsAfter(b, unix.SizeofRtMsg, func(kind uint16, v []byte) (err error) {
		switch kind {
		case unix.RTA_DST:
			dst, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.Metric, err = u32(v)
		case unix.RTA_TABLE:
			table, err = u32(v)
		case unix.RTA_MULTIPATH:
			hops, err = decodeNextHops(v)
		default:
			err = nextHopAttr(&r, kind, v)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("route: %w", err)
	}
	r.Dst = netip.PrefixFrom(dst, int(b[1]))
	flags := binary.NativeEndian.Uint32(b[8:])
	if table != mainTable || b[7] != unix.RTN_UNICAST || flags&unix.RTM_F_CLONED != 0 || !r.Dst.IsValid() {
		return nil, nil
	}
	return spread(r, hops), nil
}

// spread returns r once for each of its next hops.
func spread(r analyze.Route, hops []analyze.Route) []analyze.Route {
	if len(hops) == 0 {
		return []analyze.Route{r}
	}
	for i := range hops {
		hops[i].Dst, hops[i].Metric = r.Dst, r.Metric
	}
	return hops
}

func anyAddr(af uint8) netip.Addr {
	switch af {
	case unix.AF_INET:
		return netip.IPv4Unspecified()
	case unix.AF_INET6:
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// nextHopAttr reads an attribute that says where a route leads.
func nextHopAttr(r *analyze.Route, kind uint16, v []byte) error {
	switch kind {
	case unix.RTA_OIF:
		i, err := u32(v)
		r.IfIndex = int(int32(i))
		return err
	case unix.RTA_GATEWAY:
		r.Gateway, _ = netip.AddrFromSlice(v)
	case unix.RTA_VIA: // struct rtvia: __u16 family, address of the other family
		r.Gateway, _ = netip.AddrFromSlice(v[min(2, len(v)):])
	}
	return nil
}

// decodeNextHops translates an array of struct rtnexthop (__u16 length, __u8
// flags, __u8 hops, int ifindex, attributes).
func decodeNextHops(b []byte) ([]analyze.Route, error) {
	var out []analyze.Route
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			return out, fmt.Errorf("rtnexthop: length %d, %d bytes left", n, len(b))
		}
		hop := analyze.Route{IfIndex: int(int32(binary.NativeEndian.Uint32(b[4:])))}
		err := eachAttr(b[unix.SizeofRtNexthop:n], func(kind uint16, v []byte) error {
			return nextHopAttr(&hop, kind, v)
		})
		if err != nil {
			return out, err
		}
		out = append(out, hop)
		b = b[min(align4(n), len(b)):]
	}
	return out, nil
}

// linkAddr renders a link-layer address, "" for one that is all zero.
func linkAddr(b []byte) string {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return ""
	}
	return net.HardwareAddr(b).String()
}
