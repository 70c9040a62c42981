package capture

import (
	"time"

	"ipsecdiag/analyze"
)

// How often the kernel's table of connections is read: the table may be large, so
// ever more rarely while there is nothing in it that NAT has changed.
const (
	natPause = 5 * time.Second
	natRare  = 5 * time.Minute
)

// translator finds out which packets in the clear are what a guard means, changed
// by the host's NAT.
type translator struct {
	read  func(keys []analyze.ClearKey) (map[analyze.ClearKey]analyze.ClearKey, error)
	known map[analyze.ClearKey]analyze.ClearKey // of the last reading
	pause time.Duration
	next  time.Time // not to be read before
}

// changed returns those that NAT has changed, with what they were. Where the table
// cannot be read there are none.
func (t *translator) changed(unsure []*analyze.Clear, now time.Time) (changed []*analyze.Clear) {
	var keys []analyze.ClearKey
	for _, c := range unsure {
		keys = append(keys, c.Key)
	}
	if len(keys) > 0 && !now.Before(t.next) {
		was, err := t.read(keys)
		switch {
		case err != nil:
			t.pause = natRare
		case len(was) == 0:
			t.pause = min(max(2*t.pause, natPause), natRare)
		default:
			t.pause = natPause
		}
		t.known, t.next = was, now.Add(t.pause)
	}
	for _, c := range unsure {
		if was, ok := t.known[c.Key]; ok {
			c.Was = &was
			changed = append(changed, c)
		}
	}
	return changed
}
