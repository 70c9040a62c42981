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
