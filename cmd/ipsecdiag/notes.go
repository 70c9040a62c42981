package main

import (
	"bytes"
	"strings"
	"sync"
)

// maxNotes bounds the lines that are kept while the view is open.
const maxNotes = 200

// notes takes the place of standard error while the view fills the terminal: its
// lines are shown inside, and written out when the view is left.
type notes struct {
	mu      sync.Mutex
	lines   []string
	dropped int
	partial []byte // of a line that has not ended
}

// Write keeps the lines of b. It never fails.
func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.partial = append(n.partial, b...)
	for {
		line, rest, ended := bytes.Cut(n.partial, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		n.add(strings.TrimPrefix(string(line), "ipsecdiag: "))
		n.partial = append([]byte(nil), rest...)
	}
}

func (n *notes) add(line string) {
	if len(n.lines) >= maxNotes {
		n.lines = append(n.lines[:0], n.lines[1:]...)
		n.dropped++
	}
	n.lines = append(n.lines, line)
}

// list returns the lines so far.
func (n *notes) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.lines...)
}
