package kernel

import (
	"maps"
	"slices"

	"ipsecdiag/analyze"
)

// sysctlPolls is how many polls pass between two looks at the settings.
const sysctlPolls = 5

// poll looks at what the kernel does not notify.
func (w *watcher) poll() error {
	if err := w.checkNamespace(); err != nil {
		return err
	}
	w.polls++
	for _, look := range []func() error{
		w.pollListeners, w.pollCounters, w.pollNeighbors, w.pollSAs, w.pollSocketPolicies, w.pollSysctls,
	} {
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

// pollCounters tells which counters changed.
func (w *watcher) pollCounters() error {
	now, err := w.proc.counters()
	if err != nil {
		return nil // Missing says so since the snapshot
	}
	changed := map[string]uint64{}
	for name, v := range now {
		if old, ok := w.counters[name]; !ok || old != v {
			changed[name] = v
		}
	}
	w.counters = now
	w.refused.due = w.refused.due || slices.ContainsFunc(perSA, func(name string) bool { _, rose := changed[name]; return rose })
	if len(changed) == 0 {
		return nil
	}
	return w.emit(&analyze.Counters{Values: changed})
}

// pollListeners tells who listens for ACQUIREs where that changed, and joins or
// leaves the group with them.
func (w *watcher) pollListeners() error {
	now, err := w.listeners.read()
	if err != nil {
		return nil // as above
	}
	if !slices.Equal(now, w.who) {
		w.who = now
		if err := w.emit(&analyze.Daemon{Listeners: now}); err != nil {
			return err
		}
	}
	return w.acquire.follow(now)
}

// pollNeighbors finds what the kernel does not notify: INCOMPLETE.
func (w *watcher) pollNeighbors() error {
	if !w.neighbors.cost.ready() {
		return nil
	}
	w.neighbors.begin()
	now, err := dumpNeighbors(w.w)
	w.neighbors.cost.end()
	if err != nil {
		return w.w.ctx.Err() // the next poll tries again
	}
	// What was notified meanwhile is newer than the dump.
	if err := w.drain(w.route, "neighbour and route changes", w.routeMessage); err != nil {
		return err
	}
	for _, e := range w.neighbors.differences(now) {
		if err := w.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// pollSAs finds the SAs whose coming and going is not notified: larval ones,
// and SPIs reserved by ALLOCSPI; and those that refuse packets.
func (w *watcher) pollSAs() error {
	if w.xfrm == nil {
		return nil
	}
	count, err := countSAs(w.w)
	if err != nil || !(w.young.wanted(count) || w.refused.due) || !w.young.cost.ready() {
		return w.w.ctx.Err()
	}
	w.young.begin(count)
	w.refused.begin()
	now, err := dumpSAs(w.w, w.room)
	w.room = now[:0]
	w.young.cost.end()
	if err != nil {
		w.young.due = true
		return w.w.ctx.Err()
	}
	if err := w.drainXFRM(); err != nil { // newer than the dump
		return err
	}
	for _, e := range slices.Concat(w.young.differences(now), w.refused.differences(now)) {
		if err := w.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// pollSocketPolicies asks for a fresh snapshot when an IKE daemon gave its
// sockets policies of their own.
func (w *watcher) pollSocketPolicies() error {
	if w.xfrm == nil {
		return nil
	}
	if n, err := countSocketPolicies(w.w); err == nil && n != w.sockets {
		w.sockets = n
		w.renewSoon(0)
	}
	return w.w.ctx.Err()
}

// pollSysctls asks for a fresh snapshot when net.core.xfrm_* were set.
func (w *watcher) pollSysctls() error {
	if w.polls%sysctlPolls != 0 {
		return nil
	}
	now, err := w.proc.sysctls(coreSysctls)
	if err == nil && !maps.Equal(now, w.sysctls) {
		w.sysctls = now
		w.renewSoon(0)
	}
	return nil
}
