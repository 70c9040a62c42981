package analyze

import "net/netip"

// NextHop returns the route of the main table by which a packet goes to dst,
// the one with the longest prefix and of several the smallest metric. ok is
// false where there is none, or where several of them are equal and lead to
// different gateways. Other tables (policy routing) are not known.
func (h *Host) NextHop(dst netip.Addr) (r Route, ok bool) {
	dst = dst.WithZone("")
	for _, c := range h.Routes {
		if !c.Dst.IsValid() || !c.Dst.Contains(dst) {
			continue
		}
		better := r.Dst.Bits() < c.Dst.Bits() || (r.Dst.Bits() == c.Dst.Bits() && c.Metric < r.Metric)
		switch {
		case !r.Dst.IsValid() || better:
			r, ok = c, true
		case c.Dst.Bits() == r.Dst.Bits() && c.Metric == r.Metric && c.Gateway != r.Gateway:
			ok = false
		}
	}
	return r, ok
}

// Gateway returns the gateway by which packets go to dst, in the zone of its
// link where it needs one; the zero Addr where dst is a direct neighbour or the
// way is not known.
func (h *Host) Gateway(dst netip.Addr) netip.Addr {
	r, ok := h.NextHop(dst)
	if !ok || !r.Gateway.IsValid() || r.Gateway.IsUnspecified() {
		return netip.Addr{}
	}
	return h.zoned(r.Gateway, r.IfIndex)
}
