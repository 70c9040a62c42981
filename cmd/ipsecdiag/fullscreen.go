package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"

	"ipsecdiag/analyze"
	"ipsecdiag/cmd/ipsecdiag/live"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

// fullScreen reports whether the view can be shown: where output goes to a
// terminal that can do more than print.
func (io streams) fullScreen() bool {
	if !isTerminal(io.out) || os.Getenv("TERM") == "dumb" {
		return false
	}
	return os.Getenv("TERM") != "" || runtime.GOOS == "windows"
}

// withView returns the streams ready for the view: later nothing can be opened.
// Where standard input is something else, keys come from the terminal itself.
func (io streams) withView() streams {
	if wantsColor() {
		io.profile = live.Profile(io.out)
	}
	if isTerminal(io.in) || runtime.GOOS == "windows" {
		return io
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		io.keys = tty
	}
	return io
}

// show runs the view until it is left or the context ends.
func (io streams) show(ctx context.Context, source live.Source, o live.Options) error {
	o.Rules, o.ASCII = rules.All, !knowsUnicode()
	t := live.Terminal{Out: io.out, Color: wantsColor(), Profile: io.profile}
	if isTerminal(io.in) {
		t.In = io.in
	} else if io.keys != nil {
		t.In = io.keys
	}
	return live.Run(ctx, live.New(source, o), t)
}

// still is the source of a view over what was read from files.
type still struct {
	mu   sync.Mutex
	feed *live.Feed
}

func (s *still) Take(focus analyze.PairKey) *live.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feed.Take(focus)
}

func (s *still) Record() (string, error) { return "", fmt.Errorf("this was read from a file") }

// takeLeave prints, once the view has gone and taken its screen with it, what is
// open and what was looked at.
func takeLeave(io streams, engine *rules.Engine) error {
	return report.Leave(io.out, engine.Findings(), report.Summarize(engine.State), textOptions(io.out))
}
