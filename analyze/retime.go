package analyze

import (
	"time"

	"ipsecdiag/analyze/spd"
)

// Retime puts all times of the wall clock that an event tells of on another
// clock: f turns nanoseconds since 1970 on the one into those on the other. Who
// received the event must not have it changed: this is for its source.
func Retime(e Event, f func(int64) int64) {
	h := e.Head()
	h.Time = retimed(h.Time, f)
	switch e := e.(type) {
	case *Flow:
		e.Start, e.End = retimed(e.Start, f), retimed(e.End, f)
	case *Clear:
		e.Start, e.End = retimed(e.Start, f), retimed(e.End, f)
	case *Snapshot:
		for i := range e.Policies {
			retimePolicy(&e.Policies[i], f)
		}
		for i := range e.SAs {
			retimeSA(&e.SAs[i], f)
		}
	case *Acquire:
		retimePolicy(&e.Policy, f)
	case *Expire:
		if e.SA != nil {
			retimeSA(e.SA, f)
		}
		if e.Policy != nil {
			retimePolicy(e.Policy, f)
		}
	case *PolicyChange:
		retimePolicy(&e.Policy, f)
	case *SAChange:
		retimeSA(&e.SA, f)
	}
}

func retimed(t time.Time, f func(int64) int64) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Unix(0, f(t.UnixNano())).UTC()
}

func retimePolicy(p *spd.Policy, f func(int64) int64) {
	p.AddTime, p.UseTime = retimedSeconds(p.AddTime, f), retimedSeconds(p.UseTime, f)
}

func retimeSA(s *spd.SA, f func(int64) int64) {
	s.Used.AddTime, s.Used.UseTime = retimedSeconds(s.Used.AddTime, f), retimedSeconds(s.Used.UseTime, f)
}

// retimedSeconds is for the kernel's whole seconds; 0 is never, and what is
// beyond the range of nanoseconds is no time.
func retimedSeconds(s uint64, f func(int64) int64) uint64 {
	const most = 1 << 33 // seconds, the year 2242
	if s == 0 || s > most {
		return s
	}
	return uint64(max(f(int64(s)*int64(time.Second))/int64(time.Second), 1))
}
