package timeline

import "ipsecdiag/analyze"

// maxNotes is how many notes are taken before they are filed.
const maxNotes = 1024

// note is an item on its way into the record of a pair.
type note struct {
	pair analyze.PairKey
	item Item
}

// notes are items that are not in their tracks yet. Who folds events only takes them
// down; another goroutine files them, a full batch at a time, while the next is being
// taken. Who reads the record has all of it filed first (settle), so that it is the
// same at any time as if each had been filed at once.
type notes struct {
	taken  []note
	filing []note        // what the goroutine is at
	done   chan struct{} // closed when it is through; nil where there is none
}

// put adds an item to a pair's record.
func (t *Timeline) put(k analyze.PairKey, i Item) {
	n := &t.notes
	if n.taken == nil {
		n.taken = make([]note, 0, maxNotes)
	}
	if n.taken = append(n.taken, note{k, i}); len(n.taken) < maxNotes {
		return
	}
	t.await()
	n.taken, n.filing, n.done = n.filing, n.taken, make(chan struct{})
	go func(done chan struct{}) {
		t.fileAll(n.filing)
		close(done)
	}(n.done)
}

// settle returns when everything is filed.
func (t *Timeline) settle() {
	t.await()
	t.fileAll(t.notes.taken)
	t.notes.taken = t.notes.taken[:0]
}

// await returns when the goroutine is through.
func (t *Timeline) await() {
	if n := &t.notes; n.done != nil {
		<-n.done
		n.filing, n.done = n.filing[:0], nil
	}
}

func (t *Timeline) fileAll(all []note) {
	for i := range all {
		t.file(all[i].pair, &all[i].item)
	}
	clear(all)
}

// file puts an item into its track. What goes on with a run of ESP is added to it.
func (t *Timeline) file(k analyze.PairKey, i *Item) {
	e := t.pairs[k]
	if f, ok := i.Event.(*analyze.Flow); ok {
		if e != nil {
			if run := e.Value.(*pairTrack).run(f.Key, i.At.Origin()); run != nil {
				run.extend(f)
				return
			}
		}
		sum := *f
		i.Event = &sum
	}
	if e == nil {
		for len(t.pairs) >= t.limits.Pairs {
			t.forget()
		}
		e = t.recent.PushBack(t.newTrack(k))
		t.pairs[k] = e
	} else {
		t.recent.MoveToBack(e)
	}
	t.size += e.Value.(*pairTrack).add(i)
	for t.size > t.limits.Bytes && len(t.pairs) > 1 {
		t.forget()
	}
}
