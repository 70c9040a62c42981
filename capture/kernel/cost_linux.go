package kernel

import "time"

// dumpShare bounds the part of the time that goes into dumping one table.
const dumpShare = 20

// cost spaces the dumps of a table by what they take.
type cost struct {
	began time.Time
	next  time.Time
}

// ready reports whether another dump may be made now.
func (c *cost) ready() bool { return !time.Now().Before(c.next) }

func (c *cost) begin() { c.began = time.Now() }

func (c *cost) end() { c.next = time.Now().Add(dumpShare * time.Since(c.began)) }
