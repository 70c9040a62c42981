package remedy

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
)

// BringUp plans both: neighbour discovery passes, and manual SAs protect all
// else between this host and the peer. The SAs come first: a kernel that cannot
// make them says so before anything else is changed. See NDBypass and ManualSA.
func BringUp(k *analyze.KernelState, o ManualOptions, random io.Reader) (Plan, Keyring, error) {
	nd, err := bringUpND(k, o)
	if err != nil {
		return Plan{}, nil, err
	}
	h := newHost(k)
	db := h.clone()
	if err := Model(&db, nd.Steps); err != nil {
		return Plan{}, nil, err
	}
	then := *k
	then.Policies = db.Policies
	sas, ring, err := ManualSA(&then, o, random)
	if err != nil {
		return Plan{}, nil, err
	}
	plan := Plan{
		Action: ActionBringUp, Params: maps.Clone(sas.Params), Order: nd.Order,
		Title: fmt.Sprintf("bring up IPsec between %s and %s without IKE", o.Local, o.Peer),
		Steps: sasFirst(nd.Steps, sas.Steps),
		Notes: appendNotes(nd.Notes, sas.Notes),
	}
	return plan, ring, nil
}

// bringUpND plans the bypass: for the peer alone where it is a neighbour, for
// all where it is not and something catches the way to it.
func bringUpND(k *analyze.KernelState, o ManualOptions) (Plan, error) {
	h := newHost(k)
	peer := o.Peer.Unmap()
	if !peer.Is6() {
		return Plan{Steps: []Step{}}, nil // ARP, which no policy touches
	}
	if _, neighbour := h.onLink(peer); neighbour && !peer.IsMulticast() && !h.owns(peer) {
		return NDBypass(k, NDOptions{Peers: []netip.Addr{peer}})
	}
	if len(NDCaught(k, NDOptions{})) == 0 {
		return Plan{Steps: []Step{}}, nil
	}
	return NDBypass(k, NDOptions{})
}

// appendNotes joins notes; what only one half has nothing to do with is left out.
func appendNotes(a, b []string) []string {
	var out []string
	for _, n := range append(slices.Clone(a), b...) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// sasFirst joins the steps of both halves: SAs, bypass, policies.
func sasFirst(nd, manual []Step) []Step {
	notSA := func(s Step) bool { return s.Op != AddSA }
	n := slices.IndexFunc(manual, notSA)
	if n < 0 {
		n = len(manual)
	}
	return slices.Concat(manual[:n], nd, manual[n:])
}
