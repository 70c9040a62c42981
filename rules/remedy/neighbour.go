package remedy

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
)

// NeighbourOptions say which entry is wanted.
type NeighbourOptions struct {
	Peer     netip.Addr
	LinkAddr string // six octets in hexadecimal, or as many as the link has
	Device   string // empty: the interface on whose prefix the peer is
}

// permanent is the state of an entry that neighbour discovery does not touch.
const permanent = "PERMANENT"

// Neighbour plans a permanent neighbour entry: a way around neighbour discovery
// for a host whose policies may not be touched. Errors are *Refusal.
func Neighbour(k *analyze.KernelState, o NeighbourOptions) (Plan, error) {
	h := newHost(k)
	lladdr, err := linkAddr(o.LinkAddr)
	if err != nil {
		return Plan{}, err
	}
	peer := o.Peer.Unmap().WithZone("")
	link, err := h.linkTo(o)
	if err != nil {
		return Plan{}, err
	}
	if own := link.LinkAddr; own != "" && len(own) != len(lladdr) { // the kernel would cut it (net/core/neighbour.c, neigh_add)
		return Plan{}, refuse(BadValue, "%s is not as long as the link-layer addresses of %s, such as its own %s", lladdr, link.Name, own)
	}
	plan := Plan{
		Action: ActionNeighbour, Params: map[string]string{"peer": peer.String(), "lladdr": lladdr, "dev": link.Name},
		Title: fmt.Sprintf("tell the kernel the link-layer address of %s", peer), Steps: []Step{},
	}
	if a, ok := h.addressOn(link.Index, peer); ok && link.LinkAddr != "" {
		plan.Params["local"], plan.Params["local-lladdr"] = a.String(), link.LinkAddr
	}
	s := Step{
		Op: SetNeighbour, Device: link.Name, Why: "no neighbour discovery is needed towards the peer any more",
		Neighbour: &analyze.Neighbor{Addr: peer, IfIndex: link.Index, LinkAddr: lladdr, State: permanent},
	}
	if old := h.neighbour(peer, link.Index); old != nil {
		if old.State == permanent && strings.EqualFold(old.LinkAddr, lladdr) {
			plan.Notes = []string{nothing + "the entry stands already"}
			return plan, nil
		}
		s.FormerNeighbour = old
		plan.Notes = append(plan.Notes, fmt.Sprintf("replaces what the kernel knows now: %s is at %s (%s)", peer, old.LinkAddr, old.State))
	}
	plan.Steps = []Step{s}
	plan.Notes = append(plan.Notes,
		"the entry stays as it is: with another network card or another host behind that address nothing reaches the peer until it is taken back",
		"it is gone after a reboot, or when the interface goes down",
		"the peer has to learn this host's address as well: it needs the same, or a bypass")
	return plan, nil
}

// linkTo returns the interface on which the entry belongs.
func (h *host) linkTo(o NeighbourOptions) (analyze.Link, error) {
	peer, name := o.Peer.Unmap(), o.Device
	if name == "" {
		name = peer.Zone()
	}
	switch {
	case !peer.IsValid() || peer.IsUnspecified() || peer.IsLoopback():
		return analyze.Link{}, refuse(BadAddress, "%s is not the address of a neighbour", o.Peer)
	case peer.IsMulticast():
		return analyze.Link{}, refuse(Multicast, "%s is a group, not a host", peer)
	case h.owns(peer):
		return analyze.Link{}, refuse(PeerIsLocal, "the peer %s is this host itself", peer)
	}
	index := h.index(name)
	if name == "" {
		if peer.IsLinkLocalUnicast() {
			return analyze.Link{}, refuse(NoNeighbour, "%s is link-local: say on which link, as in %s%%eth0", peer, peer)
		}
		index, _ = h.onLink(peer)
	}
	for _, l := range h.Links {
		switch {
		case l.Index != index || index == 0:
		case !l.Up:
			return l, refuse(NoNeighbour, "the interface %s is down", l.Name)
		default:
			return l, nil
		}
	}
	if name != "" {
		return analyze.Link{}, refuse(NoNeighbour, "there is no interface %s", name)
	}
	return analyze.Link{}, refuse(NoNeighbour, "%s is not on a link of this host: the entry that counts is that of the gateway towards it", peer)
}

// neighbour returns the entry of a on an interface where it has a link-layer
// address.
func (h *host) neighbour(a netip.Addr, index int) *analyze.Neighbor {
	for i := range h.Neighbors {
		if n := h.Neighbors[i]; n.Addr == a && n.IfIndex == index && n.LinkAddr != "" {
			return &n
		}
	}
	return nil
}

// addressOn returns the address under which the peer knows this host.
func (h *host) addressOn(index int, peer netip.Addr) (netip.Addr, bool) {
	for _, a := range h.Addresses {
		if a.IfIndex == index && a.Prefix.Masked().Contains(peer) {
			return a.Prefix.Addr().WithZone(""), true
		}
	}
	return netip.Addr{}, false
}

// linkAddr reads the link-layer address of one station.
func linkAddr(s string) (string, error) {
	b, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(s))
	if err != nil || len(b) < 6 || len(b) > 20 {
		return "", refuse(BadValue, "%q is not a link-layer address, such as 02:00:5e:10:00:01", s)
	}
	if len(b) == 6 && (b[0]&1 != 0 || strings.Trim(string(b), "\x00") == "") {
		return "", refuse(BadValue, "the link-layer address %s is that of a group, or of nobody", s)
	}
	var parts []string
	for _, c := range b {
		parts = append(parts, hex.EncodeToString([]byte{c}))
	}
	return strings.Join(parts, ":"), nil
}
