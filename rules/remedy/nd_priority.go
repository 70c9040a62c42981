package remedy

import "ipsecdiag/analyze/spd"

// bypassPriority is the priority of the bypass where it beats what is there: a
// margin below the best that strongSwan computes (68541; 1024 before 5.4) and
// below setkey's 0x80000000, a margin above libreswan's own bypass at 1.
const bypassPriority = 100

// bypassMargin is by how much the bypass must win: strongSwan installs a policy
// at a number better by one than its trap had when the SA comes up, and between
// equals kernels differ.
const bypassMargin = 2

// floor returns the best priority of what catches w in the policies of a type:
// what a bypass has to beat. ok is false where nothing does.
func (b *ndBypass) floor(w *wanted, t spd.PolicyType) (best uint32, ok bool) {
	for _, all := range [][]spd.Policy{b.db.Policies, b.coming} {
		for i := range all {
			p := &all[i]
			if p.Type == t && w.catches(p) && (p.Priority > 0 || b.really(w, p)) && !b.replaced(p) && (!ok || p.Priority < best) {
				best, ok = p.Priority, true
			}
		}
	}
	return best, ok
}

// replaced reports whether a policy stands where a bypass is to be put, which
// replaces it.
func (b *ndBypass) replaced(p *spd.Policy) bool {
	for i := range b.wants {
		if p.Identity() == b.wants[i].identity(p.Type) {
			return b.owner(p) == noDaemon
		}
	}
	return false
}

func (b *ndBypass) caughtBy(w *wanted, t spd.PolicyType) bool {
	_, ok := b.floor(w, t)
	return ok
}

// choose returns one priority for the whole bypass, so that people can see what
// belongs together: half of the best that it has to beat, so that there is room
// on both sides.
func (b *ndBypass) choose() uint32 {
	priority := uint32(bypassPriority)
	for i := range b.wants {
		for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
			if best, ok := b.floor(&b.wants[i], t); ok {
				priority = min(priority, Beats(best))
			}
		}
	}
	return priority
}

// Beats returns the priority of a bypass that beats that number, which nothing
// does with 0.
func Beats(best uint32) uint32 {
	if best < 2*bypassMargin {
		return 0
	}
	return min(bypassPriority, best/2)
}

// covered returns a bypass that lets all of w pass already, and wins with a
// margin.
func (b *ndBypass) covered(w *wanted, t spd.PolicyType) *spd.Policy {
	best, contested := b.floor(w, t)
	sel := w.sel
	if sel.SrcPortMask != 0 { // neighbour discovery has no code but 0
		sel.DstPortMask = 0xffff
	}
	for i := range b.db.Policies {
		p := &b.db.Policies[i]
		if p.Socket || p.Type != t || p.Direction != w.dir || !p.Bypass() || p.IfID != 0 || p.Mark.Mask != 0 {
			continue
		}
		if covers(&p.Selector, &sel) && (!contested || p.Priority+bypassMargin <= best || (p.Priority == 0 && best > 0)) {
			return p
		}
	}
	return nil
}
