package analyze

import (
	"cmp"
	"slices"
	"time"
)

// judged is which views are under judgement, and which of them are to be asked
// about: not those that rest. Most pairs are silent most of the time, and what was
// found of them stays as it is until something happens to them, or until enough
// time has passed; who asks knows for how long that is, and has them rest.
//
// A view is in awake or in resting, and in all, while it is active.
type judged struct {
	all     []*View // in the order in which they came under judgement
	awake   []*View // besides some that rest or have left, until sorted is called
	resting []rest
	count   uint64 // of views that ever came under judgement
	left    int    // views in all that have left before their time
}

// rest is one view at rest, and when that ends by itself.
type rest struct {
	view  *View
	until time.Duration
}

// standing is a view's place in judged.
type standing struct {
	active bool
	listed bool   // in judged.awake
	place  int    // in judged.resting, plus one; 0: it does not rest
	rank   uint64 // its order in judged.all
}

// Active returns the views that were touched lately, in a stable order. The
// slice is valid until the next Apply.
func (s *State) Active() []*View { return s.judged.all }

// Awake returns those of the active views that do not rest, in the same order. The
// slice is valid until the next Apply.
func (s *State) Awake() []*View { return s.judged.sorted() }

// Rest leaves an active view out of Awake until it is touched again, or until that
// time where it is not 0. It has no effect on a view that depends on more than the
// frames that its observer saw between the two.
func (s *State) Rest(v *View, until time.Duration) {
	if v.Host.KernelSeen || len(s.Hosts) > 1 || s.Alignment != nil || !v.active || v.place > 0 {
		return
	}
	end := v.touched + activeTime + 1 // when it leaves judgement
	if until > 0 {
		end = min(end, until)
	}
	s.judged.resting = append(s.judged.resting, rest{v, end})
	v.place = len(s.judged.resting)
}

// add brings a view under judgement.
func (j *judged) add(v *View) {
	j.count++
	v.active, v.rank = true, j.count
	j.all = append(j.all, v)
	j.list(v)
}

func (j *judged) list(v *View) {
	if !v.listed {
		v.listed = true
		j.awake = append(j.awake, v)
	}
}

// rouse ends a view's rest, if it rests.
func (j *judged) rouse(v *View) {
	if v.place == 0 {
		return
	}
	n := len(j.resting) - 1
	last := j.resting[n]
	last.view.place = v.place
	j.resting[v.place-1] = last
	j.resting[n] = rest{}
	j.resting = j.resting[:n]
	v.place = 0
	j.list(v)
}

// rouseAll ends every rest.
func (j *judged) rouseAll() {
	for len(j.resting) > 0 {
		j.rouse(j.resting[len(j.resting)-1].view)
	}
}

// rouseDue ends the rests whose time has come.
func (j *judged) rouseDue(now time.Duration) {
	for i := len(j.resting) - 1; i >= 0; i-- { // what takes its place was looked at
		if r := j.resting[i]; r.until <= now {
			j.rouse(r.view)
		}
	}
}

// retire takes views out of judgement that over says are to leave it. Those that
// rest stay.
func (j *judged) retire(over func(*View) bool) {
	left := j.left > 0
	for _, v := range j.awake {
		if v.active && v.place == 0 && over(v) {
			v.active, left = false, true
		}
	}
	if left {
		j.sweep()
	}
}

// leave takes a view out of judgement, whose pair is forgotten.
func (j *judged) leave(v *View) {
	if !v.active {
		return
	}
	j.rouse(v)
	v.active = false
	if j.left++; j.left > len(j.all)/2 {
		j.sweep()
	}
}

// sweep takes out of the lists what has left.
func (j *judged) sweep() {
	j.all = slices.DeleteFunc(j.all, func(v *View) bool { return !v.active })
	j.sift()
	j.left = 0
}

// sift takes out of awake what rests or has left.
func (j *judged) sift() {
	j.awake = slices.DeleteFunc(j.awake, func(v *View) bool {
		v.listed = v.active && v.place == 0
		return !v.listed
	})
}

// sorted returns the views that do not rest.
func (j *judged) sorted() []*View {
	j.sift()
	slices.SortFunc(j.awake, func(a, b *View) int { return cmp.Compare(a.rank, b.rank) })
	return j.awake
}
