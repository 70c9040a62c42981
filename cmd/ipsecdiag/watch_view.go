package main

import (
	"context"
	"errors"
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/cmd/ipsecdiag/live"
	"ipsecdiag/rules"
)

// view is a watcher as the source of a view.
type view struct {
	*watcher
	notes *notes
	// What follows is guarded by watcher.mu.
	ended string // why nothing more comes
}

// show watches, and shows it full-screen until the view is left or ctx ends. The
// events come under the context watching, which ends first.
func (w *watcher) show(ctx, watching context.Context, wire bool) error {
	v := &view{watcher: w, notes: new(notes)}
	w.engine.Timeline = timeline.New(w.memory.timeline())
	stderr := w.io.err
	defer func() { w.io.err = stderr; v.tellNotes() }()
	w.io.err = v.notes
	title := make(chan string, 1)
	w.begun = func(what string) { title <- what }
	w.changed = func([]rules.Finding) error { return nil } // the view looks for itself
	done := make(chan error, 1)
	go func() { done <- v.follow(watching, wire) }()
	select {
	case err := <-done: // it never began
		return err
	case what := <-title:
		err := w.io.show(ctx, v, live.Options{Title: what})
		w.end(nil)
		return errors.Join(<-done, err, takeLeave(w.io, w.engine))
	}
}

// follow runs the watcher, and notes why it ended.
func (v *view) follow(ctx context.Context, wire bool) error {
	err := v.run(ctx, wire)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = "nothing more comes; q leaves"
	if err != nil {
		v.ended = oneLine(err) + ": " + v.ended
	} else if list := v.notes.list(); len(list) > 0 {
		v.ended = list[len(list)-1] + "; " + v.ended
	}
	return err
}

// Take satisfies live.Source.
func (v *view) Take(focus analyze.PairKey) *live.Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.feed.Take(focus)
	s.Status = live.Status{Notes: v.notes.list(), Ended: v.ended}
	if v.recording.on() {
		s.Status.Recording = v.recording.now
	}
	return s
}

// Record satisfies live.Source.
func (v *view) Record() (string, error) { return v.toggleRecording() }

// tellNotes writes on standard error what was shown inside the view.
func (v *view) tellNotes() {
	if v.notes.dropped > 0 {
		v.io.say(fmt.Sprintf("%d earlier warnings are left out", v.notes.dropped))
	}
	for _, line := range v.notes.list() {
		v.io.say(line)
	}
}
