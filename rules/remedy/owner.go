package remedy

import (
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// daemonKind is an IKE daemon as far as its policies can be told.
type daemonKind uint8

const (
	noDaemon daemonKind = iota
	strongSwan
	libreswan
	otherDaemon
)

func (d daemonKind) String() string {
	return [...]string{"no IKE daemon", "strongSwan", "libreswan", "an IKE daemon"}[d]
}

func kindOf(l analyze.Listener) daemonKind {
	switch {
	case strings.HasPrefix(l.Name, "charon"), l.Name == "starter":
		return strongSwan
	case l.Name == "pluto":
		return libreswan
	}
	return otherDaemon
}

// Priorities of strongSwan (kernel_netlink_ipsec.c get_priority): 200000 for
// pass shunts, 400000 for connections and traps, 600000 for fallback drops,
// each less 131459 at most.
const (
	strongSwanBest  = 200000 - 131459
	strongSwanWorst = 600000
)

// Priorities of libreswan: 1 for its bypass of neighbour discovery; what it
// computes for connections has bits above 2^20 (1703937 for a pair of hosts),
// and its reqids begin at 16384 (IPSEC_MANUAL_REQID_MAX + 1).
const (
	libreswanND    = 1
	libreswanBest  = 1 << 20
	libreswanWorst = 1 << 22
	libreswanReqID = 16384
)

// owner tells which running daemon made a policy, noDaemon where none did.
//
// The kernel does not keep who made a policy. Without a daemon that listens for
// ACQUIREs nobody owns any: what a dead daemon left is nobody's. With one, a
// policy is taken for the daemon's where its priority is one that this daemon
// computes, or where it wants SAs under a reqid and a priority that a daemon may
// be told to use (any but 0: both daemons take 0 for "compute it"), or where an
// SA stands for its reqid that was negotiated, which its lifetime shows. In
// doubt it is the daemon's: to be wrong in that costs a refusal that says what
// to do instead; to be wrong in the other way takes a policy from under a
// running daemon. Of an unknown daemon every policy with a reqid is its own;
// those without are written by hand for it, as with racoon and setkey. What
// cannot be told is a pass shunt that was given a priority of its own.
func (h *host) owner(p *spd.Policy) daemonKind {
	for _, l := range h.daemons() {
		kind := kindOf(l)
		own := false
		switch kind {
		case strongSwan:
			own = strongSwanBest <= p.Priority && p.Priority <= strongSwanWorst
		case libreswan:
			own = (libreswanBest <= p.Priority && p.Priority <= libreswanWorst) ||
				(p.Priority == libreswanND && p.Bypass() && p.Selector.Proto == spd.ProtoICMPv6)
		}
		for i := range p.Templates {
			t := &p.Templates[i]
			own = own || (t.ReqID != 0 && (p.Priority != 0 || kind == otherDaemon || h.negotiated(t.ReqID))) ||
				(kind == libreswan && t.ReqID >= libreswanReqID)
		}
		if own {
			return kind
		}
	}
	return noDaemon
}

// negotiated reports whether an SA of that reqid has a lifetime: those by hand
// have none unless somebody took the trouble.
func (h *host) negotiated(reqid uint32) bool {
	for i := range h.SAs {
		if s := &h.SAs[i]; s.ReqID == reqid && s.Usable() && (s.Limits.HardAdd != 0 || s.Limits.SoftAdd != 0) {
			return true
		}
	}
	return false
}
