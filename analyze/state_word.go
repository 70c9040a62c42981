package analyze

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze/ike"
)

// Bounds on what is kept of a daemon's words.
const (
	maxIKEDaemons  = 4 // daemons of one host
	maxConnections = 4096
	maxDaemonSAs   = 4096
	maxSayings     = 64 // of one pair, and of a host that belong to none
)

// IKEDaemon is an IKE daemon of a host that tells of itself. Without one nothing
// is missing but its word.
//
// A rule asks a view what its host's daemon said of the pair:
//
//	if s, ok := p.View.LastSaid(analyze.SaidAuthFailed); ok { … s.Connection, s.Line, s.At … }
//	p.View.Said(analyze.SaidProposals)   // all of them, the oldest first
//	p.View.Connections()                 // the names of the connections for the pair
//
// s.SPI, where it is known, is the InitiatorSPI of an IKESA of the view. What
// the other end's daemon said is in the other views of the pair (Pair.Said).
// What could not be tied to a pair is in Host.Sayings.
type IKEDaemon struct {
	Daemon, Version, Via string
	Since                Sighting // when it was first heard
	Heard                Sighting // when it was last heard
	// Silent says why it is not heard any more; empty while it is.
	Silent      string
	Connections []Connection
	SAs         []DaemonSA
}

// SeenSaying is a saying, with when it was said. What is said again in the same
// words is one, counted.
type SeenSaying struct {
	Saying
	First, At Sighting // when it was first and last said
	Times     uint64
	Daemon    string // StrongSwan or Libreswan
}

// applyWord folds what a daemon told.
func (s *State) applyWord(h *Host, w *Word) {
	d := h.ikeDaemon(s.Now, w)
	if d == nil {
		s.Evicted++
		return
	}
	d.fold(w)
	for i := range w.SAs {
		if k, ok := s.pairOfSA(h, &w.SAs[i]); ok {
			s.view(h, k.A, k.B)
		}
	}
	if w.Saying == nil {
		return
	}
	said := SeenSaying{Saying: *w.Saying, First: s.Now, At: s.Now, Times: max(1, w.Saying.Count), Daemon: w.Daemon}
	if k, ok := s.pairOfSaying(h, w.Saying); ok {
		v := s.view(h, k.A, k.B)
		v.sayings = addSaying(v.sayings, said)
		return
	}
	h.Sayings = addSaying(h.Sayings, said)
}

// ikeDaemon returns the host's daemon that said w, nil where there are too many.
func (h *Host) ikeDaemon(now Sighting, w *Word) *IKEDaemon {
	i := slices.IndexFunc(h.IKEDaemons, func(d *IKEDaemon) bool { return d.Daemon == w.Daemon && d.Via == w.Via })
	if i < 0 {
		if len(h.IKEDaemons) >= maxIKEDaemons {
			return nil
		}
		i = len(h.IKEDaemons)
		h.IKEDaemons = append(h.IKEDaemons, &IKEDaemon{Daemon: w.Daemon, Via: w.Via, Since: now})
	}
	h.IKEDaemons[i].Heard = now
	return h.IKEDaemons[i]
}

// fold takes in what a daemon holds.
func (d *IKEDaemon) fold(w *Word) {
	if w.Version != "" {
		d.Version = w.Version
	}
	d.Silent = w.Silent
	if w.Whole || w.Silent != "" {
		d.Connections, d.SAs = nil, nil
	}
	for _, c := range w.Connections {
		i := slices.IndexFunc(d.Connections, func(o Connection) bool { return o.Name == c.Name })
		d.Connections = putAt(d.Connections, i, c, maxConnections)
	}
	for _, sa := range w.SAs {
		i := slices.IndexFunc(d.SAs, func(o DaemonSA) bool { return o.ID == sa.ID })
		d.SAs = putAt(d.SAs, i, sa, maxDaemonSAs)
	}
	if len(w.Gone) > 0 {
		gone := map[string]bool{}
		for _, id := range w.Gone {
			gone[id] = true
		}
		d.SAs = slices.DeleteFunc(d.SAs, func(o DaemonSA) bool { return gone[o.ID] })
	}
}

// putAt replaces the element at i, or appends where i is negative and there is
// room.
func putAt[T any](s []T, i int, e T, bound int) []T {
	switch {
	case i >= 0:
		s[i] = e
	case len(s) < bound:
		s = append(s, e)
	}
	return s
}

// addSaying adds a saying; one that was said before in the same words is
// counted, and becomes the latest.
func addSaying(all []SeenSaying, said SeenSaying) []SeenSaying {
	for i := range all {
		if o := &all[i]; o.sameAs(&said) {
			said.First, said.Times = o.First, o.Times+said.Times
			all = slices.Delete(all, i, i+1)
			break
		}
	}
	return appendBounded(all, said, maxSayings)
}

// sameAs reports whether two sayings are one, said again: retransmissions of
// one request differ in their number alone.
func (a *SeenSaying) sameAs(b *SeenSaying) bool {
	return a.Topic == b.Topic && a.SA == b.SA && a.Connection == b.Connection && a.FromPeer == b.FromPeer &&
		a.Daemon == b.Daemon && (a.Line == b.Line || a.Topic == SaidRetransmit)
}

// pairOfSaying returns the pair that a saying is about: that of the IKE SA where
// its SPI is known on the wire, else that of the addresses.
func (s *State) pairOfSaying(h *Host, y *Saying) (PairKey, bool) {
	if k, ok := s.pairOfSPI(h, y.SPI); ok {
		return k, ok
	}
	local, remote := y.Local.Addr(), y.Remote.Addr()
	if !one(remote) {
		return PairKey{}, false
	}
	if !one(local) {
		if local = s.localFor(h, remote); !local.IsValid() {
			return PairKey{}, false
		}
	}
	return h.keyOf(local, remote), true
}

func (s *State) pairOfSA(h *Host, sa *DaemonSA) (PairKey, bool) {
	if k, ok := s.pairOfSPI(h, sa.InitiatorSPI); ok {
		return k, ok
	}
	local, remote := sa.Local.Addr(), sa.Remote.Addr()
	if !one(local) || !one(remote) {
		return PairKey{}, false
	}
	return h.keyOf(local, remote), true
}

// pairOfSPI returns the pair under which the host saw the IKE SA on the wire:
// its addresses may have changed since (RFC 4555, a NAT).
func (s *State) pairOfSPI(h *Host, spi ike.SPI) (PairKey, bool) {
	if spi == 0 {
		return PairKey{}, false
	}
	e := s.spis[ikeKey{h.order, spi}]
	if e == nil || e.view.Pair.forgotten {
		return PairKey{}, false
	}
	return e.view.Pair.Key, true
}

// one reports whether a is the address of one host.
func one(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() }

// keyOf returns the pair of two addresses as a daemon writes them: without a
// zone, also where they are link-local.
func (h *Host) keyOf(local, remote netip.Addr) PairKey {
	local, remote = local.Unmap(), remote.Unmap()
	for _, x := range h.Addresses {
		if x.Prefix.Addr() == local.WithZone("") {
			return MakePairKey(h.zoned(local, x.IfIndex), h.zoned(remote, x.IfIndex))
		}
	}
	return MakePairKey(local, remote)
}

// localFor returns the address from which the host speaks to a peer, where only
// one pair with it is known, or one own address is on the peer's network.
func (s *State) localFor(h *Host, peer netip.Addr) netip.Addr {
	var found, near []netip.Addr
	for _, x := range h.Addresses {
		a := x.Prefix.Addr()
		if s.Pair(a, peer) != nil {
			found = append(found, a)
		}
		if x.Prefix.Bits() < a.BitLen() && x.Prefix.Masked().Contains(peer) {
			near = append(near, a)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) == 0 && len(near) == 1:
		return near[0]
	}
	return netip.Addr{}
}

// Said returns what the observer's daemon said of the pair on these topics, on
// any where none is given; the oldest first.
func (v *View) Said(topics ...Topic) []SeenSaying { return onTopics(v.sayings, topics) }

// LastSaid returns the latest of what Said returns.
func (v *View) LastSaid(topics ...Topic) (SeenSaying, bool) {
	all := v.Said(topics...)
	if len(all) == 0 {
		return SeenSaying{}, false
	}
	return all[len(all)-1], true
}

// Said returns what the daemons of all observers said of the pair, the oldest
// first: SeenSaying.At tells whose daemon it was.
func (p *Pair) Said(topics ...Topic) []SeenSaying {
	var all []SeenSaying
	for _, v := range p.Views {
		all = append(all, v.Said(topics...)...)
	}
	slices.SortStableFunc(all, func(a, b SeenSaying) int { return int(a.At.Mono - b.At.Mono) })
	return all
}

func onTopics(all []SeenSaying, topics []Topic) []SeenSaying {
	var out []SeenSaying
	for _, s := range all {
		if len(topics) == 0 || slices.Contains(topics, s.Topic) {
			out = append(out, s)
		}
	}
	return out
}

// DaemonSAs returns the IKE SAs between the pair that the observer's daemon
// holds.
func (v *View) DaemonSAs() []DaemonSA {
	var out []DaemonSA
	for _, d := range v.Host.IKEDaemons {
		for _, sa := range d.SAs {
			if v.holds(&sa) {
				out = append(out, sa)
			}
		}
	}
	return out
}

// holds reports whether an IKE SA of the daemon is one between the pair.
func (v *View) holds(sa *DaemonSA) bool {
	for _, seen := range v.IKE {
		if sa.InitiatorSPI != 0 && seen.InitiatorSPI == sa.InitiatorSPI {
			return true
		}
	}
	return one(sa.Local.Addr()) && v.Host.keyOf(sa.Local.Addr(), sa.Remote.Addr()) == v.Pair.Key
}

// Connections returns the connections of the observer's daemon that are for the
// pair: those that it uses for an IKE SA with the peer or named when it spoke of
// it, and those that are configured for just these two addresses.
func (v *View) Connections() []Connection {
	used := map[string]bool{}
	for _, sa := range v.DaemonSAs() {
		used[sa.Connection] = true
	}
	for _, s := range v.sayings {
		used[s.Connection] = true
	}
	var out []Connection
	for _, d := range v.Host.IKEDaemons {
		for _, c := range d.Connections {
			if used[c.Name] || v.configured(&c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// configured reports whether a connection names the pair's two addresses. A
// local address that is not given is any of the host's.
func (v *View) configured(c *Connection) bool {
	k := v.Pair.Key
	for _, ends := range [][2]netip.Addr{{k.A, k.B}, {k.B, k.A}} {
		local, remote := ends[0].WithZone("").String(), ends[1].WithZone("").String()
		open := len(c.LocalAddrs) == 0 || slices.Contains(c.LocalAddrs, "%any")
		if slices.Contains(c.RemoteAddrs, remote) && (slices.Contains(c.LocalAddrs, local) || (open && v.Host.Owns(ends[0]))) {
			return true
		}
	}
	return false
}
