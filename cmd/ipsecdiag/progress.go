package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows on a terminal how far a long file has been read.
type progress struct {
	w     io.Writer // nil where there is no terminal
	next  time.Time // when to draw again
	shown bool
}

// Short files are read before anybody wonders; more than a few pictures a
// second nobody sees.
const (
	progressDelay  = 500 * time.Millisecond
	progressPeriod = 200 * time.Millisecond
)

func newProgress(w io.Writer) *progress {
	p := &progress{next: time.Now().Add(progressDelay)}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

// show draws that done of total bytes are read; total is 0 where it is not known.
func (p *progress) show(done, total int64) {
	if p.w == nil {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(progressPeriod), true
	const mega = 1e6
	if total > 0 {
		fmt.Fprintf(p.w, "\r%3d %% of %.0f MB read", done*100/total, float64(total)/mega)
	} else {
		fmt.Fprintf(p.w, "\r%.0f MB read", float64(done)/mega)
	}
}

// clear removes the picture.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
