package analyze

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds of the reassembly of fragmented IKE messages. A message of 64 KiB is
// the largest that UDP carries; RFC 791 and RFC 8200 section 4.5 give up after
// 60 s at the latest.
const (
	maxDatagram     = 65535
	maxReassemblies = 256
	maxFragments    = 64
	reassemblyTime  = 60 * time.Second
	// maxPieces bounds all fragments together, bytes.
	maxPieces = maxReassemblies * maxDatagram
)

type fragmentKey struct {
	origin   Origin
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

// reassembler joins the fragments of UDP datagrams. Overlapping fragments make
// it drop the datagram (RFC 5722).
type reassembler struct {
	open  map[fragmentKey]*datagram
	order []fragmentKey // oldest first
	size  int           // of all pieces, bytes
	most  int           // that size may be; 0: nobody bounds it
}

type datagram struct {
	began  time.Duration
	pieces []piece
	size   int // of the pieces, bytes
	total  int // bytes, -1 until the last fragment came
}

type piece struct {
	offset int
	data   []byte
}

// pieces is what was there of a datagram before a fragment came.
type pieces struct{ any, first bool }

// add takes a fragment and returns the whole datagram, its UDP header
// included, once it is complete, and what was there before.
func (r *reassembler) add(k fragmentKey, now time.Duration, p *Packet, upper []byte) (datagram []byte, had pieces) {
	r.expire(now)
	d := r.open[k]
	if d == nil {
		d = r.begin(k, now)
	}
	had = pieces{any: len(d.pieces) > 0, first: slices.ContainsFunc(d.pieces, func(p piece) bool { return p.offset == 0 })}
	before := d.size
	fits := d.add(p.FragOffset, upper, p.FragMore)
	r.size += d.size - before
	if !fits {
		r.drop(k)
		return nil, had
	}
	whole := d.join()
	if whole != nil {
		r.drop(k)
	}
	for r.most > 0 && r.size > r.most && len(r.order) > 1 {
		r.drop(r.order[0])
	}
	return whole, had
}

func (r *reassembler) begin(k fragmentKey, now time.Duration) *datagram {
	if r.open == nil {
		r.open = map[fragmentKey]*datagram{}
	}
	for len(r.open) >= maxReassemblies {
		r.drop(r.order[0])
	}
	d := &datagram{began: now, total: -1}
	r.open[k] = d
	r.order = append(r.order, k)
	return d
}

func (r *reassembler) expire(now time.Duration) {
	for len(r.order) > 0 && now-r.open[r.order[0]].began > reassemblyTime {
		r.drop(r.order[0])
	}
}

func (r *reassembler) drop(k fragmentKey) {
	if d := r.open[k]; d != nil {
		r.size -= d.size
	}
	delete(r.open, k)
	for i := range r.order {
		if r.order[i] == k {
			r.order = append(r.order[:i], r.order[i+1:]...)
			return
		}
	}
}

// add reports false where the datagram cannot become whole.
func (d *datagram) add(offset int, b []byte, more bool) bool {
	end := offset + len(b)
	if end > maxDatagram || len(d.pieces) >= maxFragments || (len(b) == 0 && more) {
		return false
	}
	for _, p := range d.pieces {
		switch pEnd := p.offset + len(p.data); {
		case p.offset == offset && pEnd == end:
			return true // the same one again
		case offset < pEnd && p.offset < end, !more && pEnd > end:
			return false
		}
	}
	if !more {
		if d.total >= 0 && d.total != end {
			return false
		}
		d.total = end
	}
	d.pieces = append(d.pieces, piece{offset, append([]byte(nil), b...)})
	d.size += len(b)
	return d.total < 0 || end <= d.total
}

// join returns the datagram if no piece is missing, else nil.
func (d *datagram) join() []byte {
	if d.total < 0 {
		return nil
	}
	have := 0
	for _, p := range d.pieces {
		have += len(p.data)
	}
	if have != d.total {
		return nil
	}
	whole := make([]byte, d.total)
	for _, p := range d.pieces {
		copy(whole[p.offset:], p.data)
	}
	return whole
}
