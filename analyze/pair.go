package analyze

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze/spd"
)

// Bounds on what is kept of one pair.
const (
	maxIKESAs      = 32
	maxFlows       = 64
	maxResolutions = 8
	maxAcquires    = 64
)

// PairKey names two hosts that IPsec is to protect, or its two tunnel ends: A
// is the smaller address. Link-local addresses have a zone.
type PairKey struct{ A, B netip.Addr }

// MakePairKey orders two addresses into a key.
func MakePairKey(a, b netip.Addr) PairKey {
	if b.Less(a) {
		a, b = b, a
	}
	return PairKey{a, b}
}

// String renders the key as "A ↔ B".
func (k PairKey) String() string { return k.A.String() + " ↔ " + k.B.String() }

// Pair is two hosts and what every observer saw of them.
type Pair struct {
	Key   PairKey
	Order uint64 // pairs in the order in which they were first seen
	Views []*View

	regard    regard
	forgotten bool // evicted
}

// View is what one observer, a network stack or a capture file, saw of a pair.
type View struct {
	Pair        *Pair
	Host        *Host // the observer; its KernelSeen tells whether it was more than wire
	Resolutions []*Resolution
	// IKE SAs and the attempts at one, in the order in which they were first
	// seen: who gives up and tries again does so under a new initiator SPI.
	IKE   []*IKESA
	Flows []*FlowTotal
	// Errors are the ICMP errors about IKE, ESP and AH between the two.
	Errors []*ICMPError
	// InvalidSPIs are what the two said in the clear of SPIs that they do not know.
	InvalidSPIs []*InvalidSPI
	// Headless are datagrams of which the first IP fragment was not seen.
	Headless Headless
	// Need is the outbound SA that this host's traffic with the peer waits
	// for, or the last one it waited for; nil where it never did.
	Need *Need
	// Expiries are the ends of lifetimes of SAs between the two, as the
	// observer's kernel told them, the latest last.
	Expiries []*Expiry
	// Leaks are packets between the two that went in the clear though something
	// says that they are to be protected.
	Leaks []*Leak
	// Local and Peer are the pair's addresses from this host's side; both
	// invalid where neither or both are its own.
	Local, Peer netip.Addr

	sayings []SeenSaying
	latest  Run
	unicast [2]Sighting // last frame from Key.A to Key.B, and from B to A
	touched time.Duration
	weight  int // bytes, as last weighed
	standing
}

// Headless counts datagrams of UDP between two hosts that speak IKE of which IP
// fragments were seen, and never the first one, which alone names the ports.
type Headless struct {
	Count int
	From  netip.Addr // of the last
	Last  Sighting
}

func (h *Headless) saw(at Sighting, from netip.Addr) {
	h.Count++
	h.From, h.Last = from, at
}

// ESPAfter returns the first flow of ESP or AH that began at that time or later,
// nil for none: what an IKE SA brought up, or its predecessors.
func (v *View) ESPAfter(at Sighting) (first *FlowTotal) {
	for _, f := range v.Flows {
		if !f.First.Before(at) && (first == nil || f.First.Before(first.First)) {
			first = f
		}
	}
	return first
}

// LastUnicast returns when the last unicast frame from one address of the pair
// to the other was seen.
func (v *View) LastUnicast(from netip.Addr) Sighting {
	if from == v.Pair.Key.A {
		return v.unicast[0]
	}
	return v.unicast[1]
}

func (v *View) sawUnicast(from netip.Addr, at Sighting) {
	if from == v.Pair.Key.A {
		v.unicast[0] = at
	} else {
		v.unicast[1] = at
	}
}

// Resolution returns the search of asker for target, nil if none was seen.
func (v *View) Resolution(asker, target netip.Addr) *Resolution {
	for _, r := range v.Resolutions {
		if r.Asker == asker && r.Target == target {
			return r
		}
	}
	return nil
}

func (v *View) resolution(asker, target netip.Addr) *Resolution {
	if r := v.Resolution(asker, target); r != nil {
		return r
	}
	r := &Resolution{Asker: asker, Target: target}
	v.Resolutions = appendBounded(v.Resolutions, r, maxResolutions)
	return r
}

// Involved reports whether anything ties the pair to IPsec: IKE or ESP was
// seen, traffic waits for an SA, or the observer's policies protect it.
func (v *View) Involved() bool {
	if len(v.IKE) > 0 || len(v.Flows) > 0 || v.Need != nil {
		return true
	}
	if !v.Host.KernelSeen {
		return false
	}
	return v.named(v.Pair.Key.A, v.Pair.Key.B) || v.named(v.Pair.Key.B, v.Pair.Key.A)
}

// named reports whether a policy protects traffic between just these two hosts.
// One for a whole network says nothing of a single dead host in it.
func (v *View) named(src, dst netip.Addr) bool {
	p := v.Host.PolicyFor(src, dst)
	return p != nil && (hostToHost(p.Selector) || p.Templates[0].Dst == dst)
}

// PolicyFor returns the outbound policy that requires an SA for traffic from
// src to dst or for a tunnel between them, nil if there is none.
func (h *Host) PolicyFor(src, dst netip.Addr) *spd.Policy {
	src, dst = src.WithZone(""), dst.WithZone("")
	for p := range h.DB.Between(src, dst) {
		if demands(p, src, dst) {
			return p
		}
	}
	return nil
}

// demands reports whether an outbound policy requires an SA for traffic from
// src to dst or for a tunnel between them.
func demands(p *spd.Policy, src, dst netip.Addr) bool {
	if p.Direction != spd.Out || p.Socket || !p.Requires() {
		return false
	}
	t := &p.Templates[0]
	return (t.Mode == spd.Tunnel && t.Src == src && t.Dst == dst) ||
		(p.Selector.Src.Contains(src) && p.Selector.Dst.Contains(dst))
}

// appendBounded appends e and drops the oldest element past the bound.
func appendBounded[T any](s []T, e T, bound int) []T {
	if len(s) >= bound {
		copy(s, s[1:])
		s = s[:len(s)-1]
	}
	return append(s, e)
}
