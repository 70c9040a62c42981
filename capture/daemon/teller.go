package daemon

import (
	"context"
	"time"

	"ipsecdiag/analyze"
)

// teller hands on what one daemon tells.
type teller struct {
	ctx  context.Context
	o    *Options
	out  chan<- analyze.Event
	base analyze.Word // who speaks

	heard  bool // it has told something since it was last silent
	budget budget
	lost   uint64 // sayings that were dropped since that was last told
}

// put hands an event on, waiting while whoever takes them is busy; it reports
// whether the context goes on.
func (t *teller) put(e analyze.Event) bool {
	*e.Head() = t.o.header()
	select {
	case t.out <- e:
		return true
	case <-t.ctx.Done():
		return false
	}
}

// holds tells what the daemon holds, all of it where whole is set.
func (t *teller) holds(whole bool, conns []analyze.Connection, sas []analyze.DaemonSA, gone []string) {
	t.heard = true
	base := t.base
	base.Whole = whole
	for _, w := range words(base, conns, sas, gone) {
		if !t.put(&analyze.Daemon{Word: &w}) {
			return
		}
	}
}

// say hands on a saying, unless there are too many of them.
func (t *teller) say(y analyze.Saying) {
	if !t.budget.spend(time.Now()) {
		t.lost++
		return
	}
	t.heard = true
	w := t.base
	w.Saying = &y
	t.put(&analyze.Daemon{Word: &w})
}

// account tells how many sayings were dropped.
func (t *teller) account() {
	if t.lost == 0 {
		return
	}
	t.put(&analyze.Lost{What: "words of " + t.base.Daemon, Count: t.lost})
	t.lost = 0
}

// silent tells, of a daemon that was heard, that it is not any more.
func (t *teller) silent(why error) {
	if !t.heard || t.ctx.Err() != nil {
		return
	}
	t.heard = false
	w := t.base
	w.Silent = cut(why.Error(), maxText)
	t.put(&analyze.Daemon{Word: &w})
}

// budget bounds how often something is said: at once as many as it holds, then
// so many a second.
type budget struct {
	left float64
	last time.Time
}

const (
	budgetSize   = 400
	budgetRefill = 20 // a second
)

func (b *budget) spend(now time.Time) bool {
	if b.last.IsZero() {
		b.left = budgetSize
	} else {
		b.left = min(budgetSize, b.left+budgetRefill*now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
