package timeline

import (
	"slices"
	"sort"
	"time"
)

// Bounds of one track, in items.
const (
	keepFirst  = 48
	keepLast   = 112
	keepPinned = 96
	maxKept    = keepFirst + keepPinned + keepLast
	// maxHeld is how many are held before what is beyond the bounds is dropped.
	maxHeld = 2 * maxKept
	// usual is how many items most tracks have at least.
	usual = 8
	// near is how many neighbours of a pinned item are pinned with it, each way.
	near = 3
)

// Track is what happened to one pair, or to one host as a whole.
type Track struct {
	// Items in the order in which they were seen.
	Items []Item
	// Count is how many there were, those that were not kept included.
	Count uint64

	size    int // bytes, about
	pinNext int // how many of the items to come belong to a pinned one
}

// add appends an item and returns by how much the track grew, bytes.
func (t *Track) add(i *Item) int {
	t.Count++
	i.N = t.Count
	if t.pinNext > 0 {
		t.pinNext--
		i.pinned = true
	}
	if t.Items == nil {
		t.Items = make([]Item, 0, usual)
	}
	t.Items = append(t.Items, *i)
	before := t.size
	t.size += i.cost()
	if len(t.Items) > maxHeld {
		t.compact()
	}
	return t.size - before
}

// compact drops what is neither among the first nor the latest nor pinned; of
// the pinned ones the oldest, where there are too many.
func (t *Track) compact() {
	middle := t.Items[keepFirst : len(t.Items)-keepLast]
	pinned := 0
	for i := range middle {
		if middle[i].pinned {
			pinned++
		}
	}
	kept := t.Items[:keepFirst]
	for _, i := range middle {
		if !i.pinned {
			continue
		}
		if pinned--; pinned < keepPinned {
			kept = append(kept, i)
		}
	}
	kept = append(kept, t.Items[len(t.Items)-keepLast:]...)
	clear(t.Items[len(kept):])
	t.Items = kept
	t.size = 0
	for i := range t.Items {
		t.size += t.Items[i].cost()
	}
}

// find returns the index of the item that was seen at that moment, -1 if there
// is none.
func (t *Track) find(mono time.Duration, at time.Time) int {
	i := sort.Search(len(t.Items), func(i int) bool { return t.Items[i].At.Mono >= mono })
	for ; i < len(t.Items) && t.Items[i].At.Mono == mono; i++ {
		if t.Items[i].At.Time.Equal(at) {
			return i
		}
	}
	return -1
}

// pin keeps the item that was seen at that moment, and those around it.
func (t *Track) pin(mono time.Duration, at time.Time) bool {
	i := t.find(mono, at)
	if i < 0 {
		return false
	}
	for j := max(0, i-near); j <= min(i+near, len(t.Items)-1); j++ {
		t.Items[j].pinned = true
	}
	t.pinNext = max(t.pinNext, i+near-(len(t.Items)-1))
	return true
}

// clone returns a copy that later events do not touch.
func (t *Track) clone() *Track {
	c := *t
	c.Items = slices.Clone(t.Items)
	return &c
}
