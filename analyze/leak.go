package analyze

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze/spd"
)

// LeakKind is what says that packets that went in the clear are to be protected.
type LeakKind uint8

// The kinds. All but LeakArrives are of packets on their way out.
const (
	LeakNone     LeakKind = iota
	LeakOptional          // an outbound policy with optional templates only ("level use"), and no SA
	LeakRemoved           // an outbound policy that was removed while this host was watched
	LeakInbound           // the inbound policy, which wants the answers protected
	LeakArrives           // packets that come in: the inbound policy wants them protected
	LeakChanged           // an outbound policy wants what they were before NAT changed them
)

// maxLeaks bounds the leaks kept of one pair.
const maxLeaks = 16

// Leak is packets from one address to another that went in the clear though
// something says that they are to be protected.
type Leak struct {
	Kind      LeakKind
	Key       ClearKey   // of the first
	Was       ClearKey   // the same before NAT; LeakChanged only
	Policy    spd.Policy // that says so
	Removed   Sighting   // when that policy went; LeakRemoved only
	Direction Direction
	First     Sighting
	Last      Sighting
	Packets   uint64
}

// String renders the key: "tcp 10.0.0.1 port 40000 → 10.0.0.2 port 22".
func (k ClearKey) String() string {
	name := spd.ProtocolName(k.Proto)
	switch {
	case k.Proto == spd.ProtoICMP || k.Proto == spd.ProtoICMPv6:
		return fmt.Sprintf("%s type %d, %s → %s", name, k.SrcPort, k.Src, k.Dst)
	case k.SrcPort == 0 && k.DstPort == 0:
		return fmt.Sprintf("%s, %s → %s", name, k.Src, k.Dst)
	}
	return fmt.Sprintf("%s, %s port %d → %s port %d", name, k.Src, k.SrcPort, k.Dst, k.DstPort)
}

// applyClear folds packets in the clear. Those that nothing wants protected leave
// no trace.
func (s *State) applyClear(h *Host, e *Clear) {
	k := &e.Key
	if !h.KernelSeen || !k.Src.IsValid() || !k.Dst.IsValid() || h.virtual(e.Origin.Interface) {
		return
	}
	kind, q, removed := h.leak(e)
	if kind == LeakNone {
		return
	}
	v := s.view(h, zoned(k.Src, e.Origin), zoned(k.Dst, e.Origin))
	l := v.leak(kind, k)
	if kind == LeakChanged {
		l.Was = *e.Was
	}
	at := s.Now
	if l.Packets == 0 {
		l.First, l.Direction, l.Removed = at.earlier(e.Start), e.Direction, removed
	}
	l.Policy, l.Last = *q, at.earlier(e.End)
	l.Packets += e.Packets
}

// leak returns what the host has against packets in the clear, if anything: what
// its policies let pass on purpose is none.
func (h *Host) leak(e *Clear) (LeakKind, *spd.Policy, Sighting) {
	k := &e.Key
	f := k.flow(h.InterfaceIndex(e.Origin.Interface))
	switch e.Direction {
	case DirOut:
		if kind, q, removed := h.leakOut(f); kind != LeakNone || e.Was == nil {
			return kind, q, removed
		}
		return h.leakChanged(f, e.Was.flow(f.IfIndex))
	case DirIn:
		if v := h.DB.Lookup(spd.In, f); h.Owns(k.Dst) && v.Exempt == spd.NotExempt && v.Decision == spd.Protect && !offloaded(&v) {
			return LeakArrives, v.Policies[0], Sighting{}
		}
	}
	return LeakNone, nil, Sighting{}
}

func (h *Host) leakOut(f spd.Flow) (LeakKind, *spd.Policy, Sighting) {
	v := h.DB.Lookup(spd.Out, f)
	if v.Exempt != spd.NotExempt || v.Decision != spd.Clear {
		return LeakNone, nil, Sighting{}
	}
	for _, q := range v.Policies {
		if len(q.Templates) > 0 {
			return LeakOptional, q, Sighting{}
		}
	}
	if len(v.Policies) > 0 {
		return LeakNone, nil, Sighting{} // a bypass
	}
	if in := h.DB.Lookup(spd.In, turned(f)); in.Exempt == spd.NotExempt && in.Decision == spd.Protect && h.Owns(f.Src) {
		if r := h.removedFor(f); r != nil {
			return LeakRemoved, &r.Policy, r.At
		}
		return LeakInbound, in.Policies[0], Sighting{}
	}
	if r := h.removedFor(f); r != nil {
		return LeakRemoved, &r.Policy, r.At
	}
	return LeakNone, nil, Sighting{}
}

// leakChanged judges packets that NAT changed on their way out: the kernel looks for
// a policy again then (nf_xfrm_me_harder), and finds none for what they have become.
func (h *Host) leakChanged(f, was spd.Flow) (LeakKind, *spd.Policy, Sighting) {
	now, before := h.DB.Lookup(spd.Out, f), h.DB.Lookup(spd.Out, was)
	if now.Exempt != spd.NotExempt || now.Decision != spd.Clear || len(now.Policies) > 0 {
		return LeakNone, nil, Sighting{}
	}
	if before.Exempt != spd.NotExempt || before.Decision != spd.Protect || offloaded(&before) {
		return LeakNone, nil, Sighting{}
	}
	return LeakChanged, before.Policies[0], Sighting{}
}

// flow is what a policy is looked for with, for such packets that leave by an
// interface.
func (k *ClearKey) flow(ifIndex int) spd.Flow {
	return spd.Flow{Src: k.Src, Dst: k.Dst, Proto: k.Proto, SrcPort: k.SrcPort, DstPort: k.DstPort, IfIndex: ifIndex}
}

// removedFor returns the policy for a packet that was removed last.
func (h *Host) removedFor(f spd.Flow) *RemovedPolicy {
	for i := len(h.removed) - 1; i >= 0; i-- {
		if h.removed[i].Policy.Matches(f) {
			return &h.removed[i]
		}
	}
	return nil
}

// turned is the answer to a packet.
func turned(f spd.Flow) spd.Flow {
	f.Src, f.Dst = f.Dst, f.Src
	if f.Proto == spd.ProtoICMP || f.Proto == spd.ProtoICMPv6 {
		return f
	}
	f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
	return f
}

// offloaded reports whether a verdict's policies or SAs are offloaded: a card
// encrypts behind the tap.
func offloaded(v *spd.Verdict) bool {
	return slices.ContainsFunc(v.Policies, func(q *spd.Policy) bool { return q.Offload != nil }) ||
		slices.ContainsFunc(v.Needs, func(n spd.Need) bool { return n.SA != nil && n.SA.Offload != nil })
}

// virtual reports whether what an interface shows is wrapped or encrypted behind
// it, or never leaves the host.
func (h *Host) virtual(name string) bool {
	i := slices.IndexFunc(h.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return name == "lo"
	}
	return name == "lo" || slices.ContainsFunc(wrapping, func(k string) bool { return strings.HasPrefix(h.Links[i].Kind, k) })
}

// wrapping are the beginnings of the kinds of such interfaces (rtnetlink's
// IFLA_INFO_KIND).
var wrapping = []string{"xfrm", "vti", "ipsec", "gre", "erspan", "ip6gre", "ipip", "ip6tnl", "sit", "wireguard", "tun", "vxlan", "geneve", "ppp", "dummy", "ipvlan"}

func (v *View) leak(kind LeakKind, k *ClearKey) *Leak {
	for _, l := range v.Leaks {
		if l.Kind == kind && l.Key.Src == k.Src && l.Key.Dst == k.Dst {
			return l
		}
	}
	l := &Leak{Kind: kind, Key: *k}
	v.Leaks = appendBounded(v.Leaks, l, maxLeaks)
	return l
}

// Guard is packets that a live observer is to look for in the clear.
type Guard struct {
	Selector  spd.Selector
	Direction Direction
}

// Bounds of what is looked for. What comes in is looked for only while packets
// are refused: what was protected shows in the clear as well once it is
// decrypted.
const (
	maxGuards   = 32
	guardLatest = 10 * time.Second
)

// Guards returns the packets that are to be looked for in the clear: those of
// policies that want SAs, or did, and the answers to those that must come
// protected. There are at most 32; limited says that there would be more.
func (h *Host) Guards(now time.Duration) (guards []Guard, limited bool) {
	if !h.KernelSeen {
		return nil, false
	}
	add := func(s spd.Selector, d Direction) {
		s.IfIndex = 0
		g := Guard{s, d}
		switch {
		case s.Dst.Addr().IsMulticast() || slices.Contains(guards, g):
		case len(guards) >= maxGuards:
			limited = true
		default:
			guards = append(guards, g)
		}
	}
	refused, _, _ := h.Rise(XfrmInTmplMismatch, now-guardLatest)
	for i := range h.removed {
		add(h.removed[i].Policy.Selector, DirOut)
	}
	for i := range h.DB.Policies {
		if limited {
			break
		}
		switch q := &h.DB.Policies[i]; {
		case q.Socket || len(q.Templates) == 0 || q.IfID != 0 || q.Mark.Mask != 0: // of xfrm interfaces and VTIs
		case q.Direction == spd.Out:
			add(q.Selector, DirOut)
		case q.Direction == spd.In && q.Requires():
			add(q.Selector.Reversed(), DirOut)
			if refused > 0 {
				add(q.Selector, DirIn)
			}
		}
	}
	return guards, limited
}

// Changes counts the changes of a host's policies and SAs.
func (h *Host) Changes() uint64 { return h.changes }
