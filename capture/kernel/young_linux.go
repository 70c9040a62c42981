package kernel

import (
	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// youngKey identifies an SA that has no keys yet. Larval SAs have no SPI of
// their own; the ACQUIRE's sequence tells them apart.
type youngKey struct {
	spd.SAKey
	seq, reqid uint32
}

func youngKeyOf(sa *spd.SA) youngKey {
	k := youngKey{SAKey: sa.Key()}
	if sa.SPI == 0 {
		k.seq, k.reqid = sa.Seq, sa.ReqID
	}
	return k
}

// youngSAs are the larval SAs and the SPIs reserved by ALLOCSPI. The kernel does
// not notify when they come, nor when a larval SA gives way to a real one; only
// a dump shows it. The number of SAs says when one is worth while.
type youngSAs struct {
	known   map[youngKey]spd.SA
	touched map[youngKey]bool // notified since the dump began
	present map[youngKey]bool // in the last dump
	count   uint32            // number of SAs at the last dump
	due     bool
	cost    cost
}

func (y *youngSAs) reset(sas []spd.SA) {
	y.known = map[youngKey]spd.SA{}
	y.count, y.due = uint32(len(sas)), false
	for i := range sas {
		if young(&sas[i]) {
			y.known[youngKeyOf(&sas[i])] = sas[i]
		}
	}
}

// young reports whether an SA has come without notification. Where the
// algorithms are not the point (routing header, destination options) an SPI of
// 0 is no sign of anything.
func young(sa *spd.SA) bool {
	return (sa.Proto == spd.ProtoESP || sa.Proto == spd.ProtoAH || sa.Proto == spd.ProtoIPComp) && !sa.Usable()
}

// wanted reports whether a dump would tell something.
func (y *youngSAs) wanted(count uint32) bool {
	return y.due || count != y.count || len(y.known) > 0
}

// begin starts a dump.
func (y *youngSAs) begin(count uint32) {
	y.cost.begin()
	y.count, y.due = count, false
	y.touched = map[youngKey]bool{}
}

// notified takes in a notification about an SA.
func (y *youngSAs) notified(e *analyze.SAChange) {
	if e.Change == analyze.Flushed {
		y.due = true
		return
	}
	y.forget(&e.SA)
}

// forget drops an SA of which the kernel has told: it is gone or grown up.
func (y *youngSAs) forget(sa *spd.SA) {
	k := youngKeyOf(sa)
	delete(y.known, k)
	if y.touched != nil {
		y.touched[k] = true
	}
}

// differences takes in a dump and returns what nobody had told.
func (y *youngSAs) differences(now []spd.SA) []*analyze.SAChange {
	var out []*analyze.SAChange
	if y.present == nil {
		y.present = map[youngKey]bool{}
	}
	clear(y.present)
	for i := range now {
		sa := &now[i]
		k := youngKeyOf(sa)
		y.present[k] = true
		if _, ok := y.known[k]; ok || !young(sa) || y.touched[k] {
			continue
		}
		y.known[k] = *sa
		out = append(out, &analyze.SAChange{Change: analyze.Added, SA: *sa})
	}
	for k, sa := range y.known {
		if !y.present[k] {
			delete(y.known, k)
			out = append(out, &analyze.SAChange{Change: analyze.Deleted, SA: sa})
		}
	}
	y.touched = nil
	return out
}
