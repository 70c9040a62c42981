package analyze

import "ipsecdiag/analyze/spd"

// maxExpiries bounds the ends of lifetimes that are kept of one pair.
const maxExpiries = 16

// Expiry is the end of an SA's lifetime, as the kernel told it
// (XFRM_MSG_EXPIRE).
type Expiry struct {
	SA   spd.SA   // as it stood, without keys
	Soft Sighting // when it was to be replaced; zero where the kernel never asked
	Hard Sighting // when the kernel deleted it; zero while it stands
}

// expired notes a lifetime's end. Larval SAs and reserved SPIs end too, and never
// were to carry anything.
func (s *State) expired(h *Host, e *Expire) {
	if e.SA == nil {
		return
	}
	known := h.DB.FindSA(e.SA.Dst, e.SA.Proto, e.SA.SPI)
	if known == nil || !known.Usable() || !known.Src.IsValid() || !known.Dst.IsValid() {
		return
	}
	v := s.view(h, h.zoned(known.Src, 0), h.zoned(known.Dst, 0))
	x := v.expiry(known)
	if e.Hard {
		x.Hard = Seen(e)
	} else {
		x.Soft = Seen(e)
	}
	x.SA.Used = e.SA.Used
}

// expiry returns what is known of the end of an SA that stands, making it if
// need be.
func (v *View) expiry(sa *spd.SA) *Expiry {
	for _, x := range v.Expiries {
		if x.Hard.IsZero() && x.SA.Key() == sa.Key() {
			return x
		}
	}
	x := &Expiry{SA: *sa}
	v.Expiries = appendBounded(v.Expiries, x, maxExpiries)
	return x
}
