package text

import (
	"slices"
	"time"

	"ipsecdiag/analyze/spd"
)

// rekeying is how long two ends may differ while IKE replaces an SA:
// retransmissions, and the time for which old SAs are kept.
const rekeying = 60 * time.Second

// due returns those of one end's SAs that the other end must have too. IKE makes
// and deletes SAs all the time: one of its own the other end must have only if
// it was there for a while before the other end was looked at, and is still
// there now. What that takes is not known of most texts.
func (m *mirror) due(sas []*spd.SA, own, other *Result) []*spd.SA {
	return slices.DeleteFunc(sas, func(s *spd.SA) bool {
		if !m.daemons[spd.EndsOf(s)] {
			return false
		}
		if own.Taken.IsZero() || other.Taken.IsZero() || s.Used.AddTime == 0 || !s.Usable() {
			return true
		}
		there := time.Unix(int64(s.Used.AddTime), 0).Add(rekeying)
		return other.Taken.Before(there) || own.Taken.Before(other.Taken)
	})
}

// lasting counts the SAs of one end that the other must have too, and those of
// SPIs that it has: none where all come and go with IKE.
func (m *mirror) lasting(own, other *Result) int {
	has := map[spd.SAKey]bool{}
	for i := range other.DB.SAs {
		s := &other.DB.SAs[i]
		has[s.Key()] = has[s.Key()] || !s.Reserved()
	}
	var all []*spd.SA
	common := 0
	for i := range own.DB.SAs {
		switch s := &own.DB.SAs[i]; {
		case s.SPI == 0 || s.Reserved():
		case has[s.Key()]:
			common++
		default:
			all = append(all, s)
		}
	}
	return common + len(m.due(all, own, other))
}
