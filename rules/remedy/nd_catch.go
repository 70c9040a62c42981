package remedy

import (
	"net/netip"

	"ipsecdiag/analyze/spd"
)

// catches reports whether a policy that is no bypass can match a packet that is
// to pass: neighbour discovery has mark 0, if_id 0 and code 0
// (icmpv6_flow_init).
func (w *wanted) catches(p *spd.Policy) bool { return !p.Socket && !p.Bypass() && w.meets(p) }

// meets reports whether p can match a packet that is to pass.
func (w *wanted) meets(p *spd.Policy) bool {
	if p.Direction != w.dir || p.IfID != 0 || p.Mark.Value != 0 || !overlap(&w.sel, &p.Selector) {
		return false
	}
	return w.sel.SrcPortMask == 0 || p.Selector.DstPort&p.Selector.DstPortMask == 0
}

// really reports whether the packets that both w and p select exist on this
// host: neighbour discovery stays on the link, between this host's addresses
// and those on its links. Where the addresses are not known all may be, and so
// may those that a proxy forwards, which after a sub policy are asked of the
// inbound ones.
func (h *host) really(w *wanted, p *spd.Policy) bool {
	if len(h.Addresses) == 0 || w.sel.SrcPortMask == 0 || w.dir == spd.Fwd || (w.dir == spd.In && h.proxies()) {
		return true
	}
	near, far := longer(w.sel.Src, p.Selector.Src), longer(w.sel.Dst, p.Selector.Dst)
	if w.dir == spd.In {
		near, far = far, near
	}
	return h.near(near) && h.onLinks(far)
}

// near reports whether a prefix holds an address of this host, the unspecified
// one included, or groups of the link.
func (h *host) near(p netip.Prefix) bool {
	if p.Contains(netip.IPv6Unspecified()) || p.Overlaps(linkGroups) {
		return true
	}
	for _, a := range h.Addresses {
		if p.Contains(a.Prefix.Addr().WithZone("")) {
			return true
		}
	}
	return false
}

var linkGroups = netip.MustParsePrefix("ff02::/16")

// onLinks reports whether a prefix holds addresses of neighbours.
func (h *host) onLinks(p netip.Prefix) bool {
	if p.Overlaps(linkLocal) || p.Overlaps(linkGroups) || p.Contains(netip.IPv6Unspecified()) {
		return true
	}
	for _, a := range h.Addresses {
		if p.Overlaps(a.Prefix.Masked()) {
			return true
		}
	}
	for _, r := range h.Routes { // on-link without an address of the prefix
		if !r.Gateway.IsValid() && r.Dst.IsValid() && r.Dst.Addr().Is6() && p.Overlaps(r.Dst) {
			return true
		}
	}
	return false
}
