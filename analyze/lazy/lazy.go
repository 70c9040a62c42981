// Package lazy makes what costs time to make, and most runs of the program never
// ask for, when it is asked for first. Pure.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp returns a function that compiles an expression once, and panics where it
// is none, as regexp.MustCompile does. A watch is two processes: what package
// variables compile is compiled twice, and held twice, before the first packet.
func Regexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
