package remedy

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// BringUp plans both: neighbour discovery passes, and manual SAs protect all
// else between this host and the peer. The SAs come first: a kernel that cannot
// make them says so before anything else is changed. See NDBypass and ManualSA.
func BringUp(k *analyze.KernelState, o ManualOptions, random io.Reader) (Plan, Keyring, error) {
	room, err := bringUpND(k, o, nil) // the policies of the SAs must be worse than the bypass
	if err != nil {
		return Plan{}, nil, err
	}
	h := newHost(k)
	db := h.clone()
	if err := Model(&db, room.Steps); err != nil {
		return Plan{}, nil, err
	}
	then := *k
	then.Policies = db.Policies
	sas, ring, err := ManualSA(&then, o, random)
	if err != nil {
		return Plan{}, nil, err
	}
	// Now that they are known: what lets it pass today may not beat them.
	nd, err := bringUpND(k, o, added(sas.Steps))
	if err != nil {
		return Plan{}, nil, err
	}
	plan := Plan{
		Action: ActionBringUp, Params: maps.Clone(sas.Params), Order: nd.Order,
		Title: fmt.Sprintf("bring up IPsec between %s and %s without IKE", o.Local, o.Peer),
		Steps: sasFirst(nd.Steps, sas.Steps),
	}
	plan.Notes = joinNotes(&plan, nd.Notes, sas.Notes)
	return plan, ring, nil
}

// bringUpND plans the bypass, before policies that are to come: for the peer
// alone where it is a neighbour, for all where it is not and something catches
// the way to it.
func bringUpND(k *analyze.KernelState, o ManualOptions, coming []spd.Policy) (Plan, error) {
	h := newHost(k)
	peer := o.Peer.Unmap()
	if !peer.Is6() {
		return Plan{Steps: []Step{}}, nil // ARP, which no policy touches
	}
	if _, neighbour := h.onLink(peer); neighbour && !peer.IsMulticast() && !h.owns(peer) {
		return ndBypassBefore(k, NDOptions{Peers: []netip.Addr{peer}}, coming)
	}
	if len(NDCaught(k, NDOptions{})) == 0 {
		return Plan{Steps: []Step{}}, nil
	}
	return ndBypassBefore(k, NDOptions{}, coming)
}

// added returns the policies that steps add.
func added(steps []Step) []spd.Policy {
	var out []spd.Policy
	for _, s := range steps {
		if s.Op == AddPolicy {
			out = append(out, *s.Policy)
		}
	}
	return out
}

// nothing begins the note of a plan without steps.
const nothing = "nothing to do: "

// joinNotes joins the notes of both halves. That one half has nothing to do is
// no news where the other has.
func joinNotes(plan *Plan, halves ...[]string) []string {
	var out []string
	for _, n := range slices.Concat(halves...) {
		if !slices.Contains(out, n) && (plan.Empty() || !strings.HasPrefix(n, nothing)) {
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
