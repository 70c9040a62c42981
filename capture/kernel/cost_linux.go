package kernel

import "time"

// dumpShare bounds the part of the time that goes into dumping one table, as
// long as that does not delay the next dump beyond dumpAtLatest.
const (
	dumpShare    = 20
	dumpAtLatest = 5 * time.Second
)

// cost spaces the dumps of a table by what they take.
type cost struct {
	began time.Time
	next  time.Time
}

// ready reports whether another dump may be made now.
func (c *cost) ready() bool { return !time.Now().Before(c.next) }

func (c *cost) begin() { c.began = time.Now() }

func (c *cost) end() {
	now := time.Now()
	c.next = now.Add(min(dumpShare*now.Sub(c.began), dumpAtLatest))
}
