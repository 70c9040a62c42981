package capture

import (
	"context"
	"iter"
)

// merge orders the items of several files by time.
type merge struct {
	ctx   context.Context
	heads []*head
}

// head is the first item of a file that was not yet let through.
type head struct {
	item item
	next func() (item, error, bool)
	stop func()
}

// begin adds a file. What it fails with, it may only fail with at its first
// item.
func (m *merge) begin(f *fileSource) error {
	h := &head{}
	h.next, h.stop = iter.Pull2(f.ahead(m.ctx))
	m.heads = append(m.heads, h)
	return m.advance(len(m.heads) - 1)
}

// advance reads the next item of a file; a file that has none is taken out.
func (m *merge) advance(i int) error {
	h := m.heads[i]
	it, err, ok := h.next()
	if !ok {
		h.stop()
		m.heads = append(m.heads[:i], m.heads[i+1:]...)
		return nil
	}
	h.item = it
	return err
}

// ordered yields all items; there are few files, so the earliest is looked for.
func (m *merge) ordered() iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for len(m.heads) > 0 {
			first := 0
			for i, h := range m.heads {
				if h.item.at < m.heads[first].item.at {
					first = i
				}
			}
			if !yield(m.heads[first].item, nil) {
				return
			}
			if err := m.advance(first); err != nil {
				yield(item{}, err)
				return
			}
		}
	}
}

// stop releases the files.
func (m *merge) stop() {
	for _, h := range m.heads {
		h.stop()
	}
}
