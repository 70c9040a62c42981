package analyze

import (
	"encoding/binary"
	"net/netip"

	"ipsecdiag/analyze/ike"
)

// maxInvalidSPIs bounds the SPIs kept of one pair.
const maxInvalidSPIs = 8

// InvalidSPI is that an end said, in the clear, that it has no SA for an SPI under
// which ESP or AH came: INVALID_SPI of RFC 7296 section 1.5, INVALID-SPI of RFC
// 2408 section 3.14.1.
type InvalidSPI struct {
	From        netip.Addr
	SPI         uint32 // 0 where the notification does not name it
	First, Last Sighting
	Count       int
}

// invalidSPI folds what a message in the clear says of an SPI. Such a message stands
// outside of every IKE SA, whose SPIs may be zero or random.
func (s *State) invalidSPI(h *Host, m *ike.Message, src, dst netip.Addr) {
	if m.Encrypted() || (m.Exchange != ike.ExchangeInformational && m.Exchange != ike.ExchangeInformationalV1) {
		return
	}
	pair := s.Pair(src, dst)
	if pair == nil {
		return
	}
	for _, n := range m.Notifies() {
		if n.Type != ike.NotifyInvalidSPI {
			continue
		}
		for _, v := range pair.Views {
			if v.Host == h {
				s.touch(v)
				v.saidInvalidSPI(s.Now, src, namedSPI(n))
			}
		}
	}
}

// namedSPI returns the SPI that a notification is about: its data in IKEv2, its SPI
// field in IKEv1.
func namedSPI(n *ike.Notify) uint32 {
	switch {
	case len(n.Data) == 4:
		return binary.BigEndian.Uint32(n.Data)
	case len(n.SPI) == 4:
		return binary.BigEndian.Uint32(n.SPI)
	}
	return 0
}

func (v *View) saidInvalidSPI(at Sighting, from netip.Addr, spi uint32) {
	for _, o := range v.InvalidSPIs {
		if o.From == from && o.SPI == spi {
			o.Count++
			o.Last = at
			return
		}
	}
	v.InvalidSPIs = appendBounded(v.InvalidSPIs, &InvalidSPI{From: from, SPI: spi, First: at, Last: at, Count: 1}, maxInvalidSPIs)
}
