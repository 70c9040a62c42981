package live

import (
	"ipsecdiag/analyze"
	"ipsecdiag/rules"
)

// Source is where the view takes its pictures from. Its methods are called from
// several goroutines.
type Source interface {
	// Take returns the picture as it is now, with the ladder of one pair unless
	// that is zero.
	Take(focus analyze.PairKey) *Snapshot
	// Record starts recording, or stops it, and says in a line which of them it
	// did.
	Record() (string, error)
}

// Options say what a view is of.
type Options struct {
	Title string // what is watched, such as "eth0 on glass"
	// Still is set where nothing more will come: a file that was read.
	Still bool
	Rules []*rules.Rule // to be explained
	ASCII bool          // for terminals that know no other characters
}
