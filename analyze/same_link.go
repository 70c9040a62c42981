package analyze

import "ipsecdiag/analyze/ike"

// hostPair is two observers, in the order in which they were first seen.
type hostPair struct{ a, b uint32 }

func pairOf(a, b *Host) hostPair { return hostPair{min(a.order, b.order), max(a.order, b.order)} }

// SameLink reports whether two observers are known to have watched the same hosts:
// both saw some packet, or messages of one IKE SA, whose SPIs are random (RFC 7296
// section 2.6). Equal addresses do not show it: labs and private networks all use the
// same ones. What is missing at one of two observers proves something only then.
func (s *State) SameLink(a, b *Host) bool {
	if s.sharedIKE[pairOf(a, b)] || s.comparedWith(a, b) || s.comparedWith(b, a) {
		return true
	}
	for _, c := range s.across.order {
		between := c.From == a.Origin && c.To == b.Origin || c.From == b.Origin && c.To == a.Origin
		if between && c.Arrived > 0 && c.followed() {
			return true
		}
	}
	return false
}

// followed reports whether the packets were known again one by one. ESP and AH are
// counted by their SPI, which is the same everywhere where people chose it.
func (c *Crossing) followed() bool { return c.Class != MarkESP && c.Class != MarkAH }

// comparedWith reports whether a clock of b was compared with one of a, by packets
// that both saw.
func (s *State) comparedWith(a, b *Host) bool {
	if s.Alignment == nil {
		return false
	}
	names := map[string]bool{}
	for i := range s.Alignment.Observers {
		if v := &s.Alignment.Observers[i]; v.Origin == a.Origin {
			names[v.Name] = true
		}
	}
	for i := range s.Alignment.Observers {
		if v := &s.Alignment.Observers[i]; v.Origin == b.Origin && v.Matched > 0 && names[v.Reference] {
			return true
		}
	}
	return false
}

// meetAt notes which other observers have seen an IKE SA that h begins to see.
func (s *State) meetAt(h *Host, spi ike.SPI) {
	for _, o := range s.Hosts {
		if o == h || s.spis[ikeKey{o.order, spi}] == nil {
			continue
		}
		if s.sharedIKE == nil {
			s.sharedIKE = map[hostPair]bool{}
		}
		s.sharedIKE[pairOf(h, o)] = true
	}
}
