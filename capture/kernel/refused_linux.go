package kernel

import (
	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// perSA are the counters of which each SA keeps its own part (struct xfrm_stats):
// when one rises, a dump tells which SA it was.
var perSA = []string{"XfrmInStateProtoError", "XfrmInStateSeqError"}

// refusedSAs follows what each SA has refused. The kernel does not notify it.
type refusedSAs struct {
	known map[spd.SAKey]spd.SAStats // those that are not zero
	newer map[spd.SAKey]bool        // that were notified since the dump began
	due   bool
	void  bool // all were flushed since then
}

func (r *refusedSAs) reset(sas []spd.SA) {
	r.begin()
	r.known = nil
	r.differences(sas)
}

// begin starts a dump.
func (r *refusedSAs) begin() { r.due, r.void, r.newer = false, false, map[spd.SAKey]bool{} }

// notified takes in news of an SA, or that all are flushed: a dump that began
// before knows less, and must not bring back what is gone.
func (r *refusedSAs) notified(c analyze.Change, sa *spd.SA) {
	switch {
	case c == analyze.Flushed:
		r.void = true
	case r.newer != nil:
		r.newer[sa.Key()] = true
	}
}

// differences takes in a dump and returns the SAs that have refused more since
// the last, or begun anew.
func (r *refusedSAs) differences(now []spd.SA) []*analyze.SAChange {
	var out []*analyze.SAChange
	if r.void {
		now = nil
	}
	next := make(map[spd.SAKey]spd.SAStats, len(r.known))
	for i := range now {
		sa := &now[i]
		if r.newer[sa.Key()] {
			continue
		}
		if sa.Stats != r.known[sa.Key()] {
			out = append(out, &analyze.SAChange{Change: analyze.Updated, SA: *sa})
		}
		if sa.Stats != (spd.SAStats{}) {
			next[sa.Key()] = sa.Stats
		}
	}
	r.known, r.newer, r.void = next, nil, false
	return out
}
