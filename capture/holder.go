package capture

import (
	"cmp"
	"container/heap"

	"ipsecdiag/analyze"
)

// held is an event with its place in time.
type held struct {
	event  analyze.Event
	at     int64  // nanoseconds since 1970 on the smooth clock
	source int    // between events of equal times the earlier source goes first
	order  uint64 // and within a source the earlier arrival
}

// holder holds events, the earliest on top.
type holder struct {
	list  heldList
	added uint64
	bytes int // of what is held, about
}

// heldCost is about how much memory an event takes besides its frame, bytes.
const heldCost = 400

func costOf(e analyze.Event) int {
	if f, ok := e.(*analyze.Frame); ok {
		return heldCost + len(f.Data)
	}
	return heldCost
}

func (h *holder) Len() int { return len(h.list) }

func (h *holder) add(e analyze.Event, at int64, source int) {
	h.added++
	h.bytes += costOf(e)
	heap.Push(&h.list, &held{event: e, at: at, source: source, order: h.added})
}

func (h *holder) first() *held { return h.list[0] }

func (h *holder) take() *held {
	x := heap.Pop(&h.list).(*held)
	h.bytes -= costOf(x.event)
	return x
}

// heldList implements heap.Interface.
type heldList []*held

func (l heldList) Len() int { return len(l) }

func (l heldList) Less(i, j int) bool {
	a, b := l[i], l[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.source, b.source), cmp.Compare(a.order, b.order)) < 0
}

func (l heldList) Swap(i, j int) { l[i], l[j] = l[j], l[i] }

// Push adds an element; package heap calls it.
func (l *heldList) Push(x any) { *l = append(*l, x.(*held)) }

// Pop removes the last element; package heap calls it.
func (l *heldList) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return x
}
