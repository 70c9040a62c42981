package capture

import (
	"context"
	"iter"
)

// aheadBatches is how many batches a file may be read ahead of who folds its
// events. A batch holds what one chunk of the file gave.
const aheadBatches = 4

// maxBatch bounds a batch besides.
const maxBatch = 1024

// ahead yields the events of the file in the order of the file, and at its end
// an item without an event that tells when the file ended. It reads in
// goroutines of its own: one processor reads and classifies while another one
// folds.
//
// The goroutines have ended when the range loop has, but for one case: one waits
// for a pipe, and the context is done. Then the file is left open.
func (s *fileSource) ahead(ctx context.Context) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		r := &readAhead{batches: make(chan []item, aheadBatches), stop: make(chan struct{})}
		go r.read(ctx, s)
		wanted, whole := r.hand(ctx, yield)
		close(r.stop)
		if !whole && ctx.Err() != nil && s.size == 0 {
			s.abandoned = true
		} else {
			for range r.batches { // until the reader has ended
			}
		}
		switch {
		case !wanted:
		case !whole:
			yield(item{}, ctx.Err())
		case r.err != nil:
			yield(item{}, r.err)
		}
	}
}

// readAhead connects who reads a file with who folds its events.
type readAhead struct {
	batches chan []item
	stop    chan struct{} // closed when no more is wanted
	batch   []item        // the reader's
	err     error         // good once batches is closed
}

// read collects items until the file ends or no more is wanted. What a chunk of
// the file gave is handed on before more is waited for, so that a pipe that has
// fallen silent holds nothing back.
func (r *readAhead) read(ctx context.Context, s *fileSource) {
	defer close(r.batches)
	s.begin(r.add)
	parse := func() (more bool) {
		more, r.err = s.parse(ctx)
		s.input.release()
		return r.send() && more
	}
	if parse() { // what the file was recognised by
		relay := relay{file: s.file, parse: func(c *chunk) bool { s.input.add(c); return parse() }}
		relay.run()
	}
}

func (r *readAhead) add(it item) bool {
	r.batch = append(r.batch, it)
	return len(r.batch) < maxBatch || r.send()
}

// send hands the batch over; it reports false where no more is wanted.
func (r *readAhead) send() bool {
	if len(r.batch) == 0 {
		return true
	}
	select {
	case r.batches <- r.batch:
		r.batch = nil
		return true
	case <-r.stop:
		return false
	}
}

// hand yields items until there are no more (whole), the context is done, or
// they are not wanted any more.
func (r *readAhead) hand(ctx context.Context, yield func(item, error) bool) (wanted, whole bool) {
	for {
		select {
		case batch, ok := <-r.batches:
			if !ok {
				return true, true
			}
			for _, it := range batch {
				if !yield(it, nil) {
					return false, false
				}
			}
		case <-ctx.Done():
			return true, false
		}
	}
}
