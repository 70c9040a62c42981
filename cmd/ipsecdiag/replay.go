package main

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/capture"
	"ipsecdiag/rules"
)

// newEngine returns an engine that keeps within that memory.
func newEngine(m memory) *rules.Engine {
	e := rules.NewEngine(analyze.NewState(m.state()), rules.All)
	e.MaxFindings = m.findings()
	return e
}

// newRecordingEngine returns an engine that keeps a record of what happened, for
// reports that show it.
func newRecordingEngine(m memory) *rules.Engine {
	e := newEngine(m)
	e.Timeline = timeline.New(m.timeline())
	return e
}

// errInterrupted is why reading ended before its end.
var errInterrupted = errors.New("interrupted")

// replayGCPercent lets the heap of a run that soon ends grow to three times what
// is in use: what a large capture leaves in use only grows, and collecting it
// more often takes a fifth of the time. 10,000 pairs are 300 MB then.
const replayGCPercent = 200

// replay returns the event stream of capture files, within that memory, with progress
// and warnings on standard error. This process is locked in once they are open.
func replay(ctx context.Context, m memory, paths []string, io streams) iter.Seq2[analyze.Event, error] {
	return replayOnce(ctx, m, paths, io, io.seal)
}

// replayOnce calls opened once the files are open.
func replayOnce(ctx context.Context, m memory, paths []string, io streams, opened func() error) iter.Seq2[analyze.Event, error] {
	debug.SetGCPercent(replayGCPercent)
	bar := newProgress(io.err)
	files := capture.Files(ctx, paths, capture.FileOptions{
		Stdin: io.in,
		Warn: func(text string) {
			bar.clear()
			io.say(text)
		},
		Progress: bar.show,
		Opened:   opened,
		Flows:    m.flows(),
	})
	return func(yield func(analyze.Event, error) bool) {
		defer bar.clear()
		for e, err := range files {
			if errors.Is(err, context.Canceled) {
				err = errInterrupted
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// judge lets the engine see every event of a source.
func judge(engine *rules.Engine, source iter.Seq2[analyze.Event, error]) error {
	for e, err := range source {
		if err != nil {
			return err
		}
		engine.Apply(e)
	}
	return nil
}
