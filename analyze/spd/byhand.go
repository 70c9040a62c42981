package spd

import "net/netip"

// Ends are the two addresses between which SAs stand, the smaller first.
type Ends struct{ A, B netip.Addr }

// EndsOf returns the ends of an SA.
func EndsOf(s *SA) Ends {
	if s.Dst.Less(s.Src) {
		return Ends{s.Dst, s.Src}
	}
	return Ends{s.Src, s.Dst}
}

// Negotiated returns the ends of which some SA looks as if IKE had made it: it
// has a lifetime, answers an ACQUIRE, is reserved or larval, has a replay window
// as daemons set it, the flag af-unspec, or a reqid beyond those for people
// (IPSEC_MANUAL_REQID_MAX). The kernel does not tell who made an SA: what is not
// in the set is likely made by hand, no more.
func (db *Database) Negotiated() map[Ends]bool {
	found := map[Ends]bool{}
	for i := range db.SAs {
		if s := &db.SAs[i]; s.negotiated() {
			found[EndsOf(s)] = true
		}
	}
	return found
}

const (
	manualReqIDMax = 0x3fff // IPSEC_MANUAL_REQID_MAX, include/uapi/linux/ipsec.h
	manualWindow   = 4      // setkey's default; that of ip xfrm is 0
	stateAFUnspec  = 32     // XFRM_STATE_AF_UNSPEC
)

func (s *SA) negotiated() bool {
	return s.Limits != (Lifetime{}) || s.Seq != 0 || !s.Usable() || s.Replay.Window > manualWindow ||
		s.Flags&stateAFUnspec != 0 || s.ReqID > manualReqIDMax
}
