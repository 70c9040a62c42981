package capture

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"ipsecdiag/analyze"
)

// planned is an event of a scripted source: it comes a while after the start,
// stamped with an earlier or the same moment.
type planned struct {
	after time.Duration
	stamp time.Duration
	mark  byte
	err   error
}

// script is a source that follows a plan and then waits for the context.
func script(ctx context.Context, plan ...planned) iter.Seq2[analyze.Event, error] {
	start := time.Now()
	return func(yield func(analyze.Event, error) bool) {
		for _, p := range plan {
			select {
			case <-time.After(time.Until(start.Add(p.after))):
			case <-ctx.Done():
				return
			}
			if p.err != nil {
				yield(nil, p.err)
				return
			}
			f := frameAt(0, []byte{p.mark})
			f.Time = start.Add(p.stamp)
			if !yield(f, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

// seen is what a stream gave: the marks of frames, '.' for ticks, '!' for losses.
func seen(events []analyze.Event) string {
	var b []byte
	for _, e := range events {
		switch e := e.(type) {
		case *analyze.Frame:
			b = append(b, e.Data...)
		case *analyze.Tick:
			b = append(b, '.')
		case *analyze.Lost:
			b = append(b, '!')
		}
	}
	return string(b)
}

const msec = time.Millisecond

func TestSequenceOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*msec)
		defer cancel()
		a := script(ctx,
			planned{after: 100 * msec, stamp: 100 * msec, mark: 'a'},
			planned{after: 400 * msec, stamp: 300 * msec, mark: 'd'}, // held back by a ring
			planned{after: 2500 * msec, stamp: 1000 * msec, mark: 'g'})
		b := script(ctx,
			planned{after: 200 * msec, stamp: 200 * msec, mark: 'b'},
			planned{after: 350 * msec, stamp: 350 * msec, mark: 'e'},
			planned{after: 350 * msec, stamp: 200 * msec, mark: 'c'},
			planned{after: 1100 * msec, stamp: 1100 * msec, mark: 'f'})
		events, err := collect(Sequence(ctx, SequenceOptions{}, a, b))
		if err != nil {
			t.Fatal(err)
		}
		if got := seen(events); got != "abcde.f.g." {
			t.Errorf("order %q", got)
		}
		// g is late: a tick at Mono 2 s was let through before it came.
		for _, e := range events {
			if f, ok := e.(*analyze.Frame); ok && f.Data[0] == 'g' && f.Mono != 2*time.Second {
				t.Errorf("late frame has Mono %v", f.Mono)
			}
		}
	})
}

// TestSequenceTicksByClock holds that ticks come while nothing happens, each no
// later than the window after its second.
func TestSequenceTicksByClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+500*msec)
		defer cancel()
		start := time.Now()
		ticks := 0
		for e, err := range Sequence(ctx, SequenceOptions{}, script(ctx, planned{mark: 'a'})) {
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := e.(*analyze.Tick); ok {
				ticks++
				late := time.Since(start) - e.Head().Mono
				if late > defaultWindow+msec || !e.Head().Time.Equal(start.Add(e.Head().Mono)) {
					t.Errorf("tick %v came %v late, with time %v", e.Head().Mono, late, e.Head().Time)
				}
			}
		}
		if ticks != 10 {
			t.Errorf("%d ticks", ticks)
		}
	})
}

// TestSequenceError holds that an error comes after all that was before it, and
// ends the stream.
func TestSequenceError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		broken := errors.New("socket broke")
		events, err := collect(Sequence(ctx, SequenceOptions{},
			script(ctx, planned{mark: 'a'}, planned{after: 50 * msec, stamp: 50 * msec, mark: 'b'}, planned{after: 60 * msec, err: broken}),
			script(ctx, planned{after: 10 * msec, stamp: 10 * msec, mark: 'x'})))
		if !errors.Is(err, broken) || seen(events) != "axb" {
			t.Errorf("%q, then %v", seen(events), err)
		}
		cancel()
	})
}

// TestSequenceBreak holds that no goroutine is left once the consumer broke out
// of the loop and ended the context: synctest fails otherwise.
func TestSequenceBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range Sequence(ctx, SequenceOptions{}, script(ctx, planned{mark: 'a'}), script(ctx, planned{after: time.Second, mark: 'b'})) {
			break
		}
	})
}

// TestSequenceEndsWithContext holds that the stream ends even where a source
// does not, and that what sources give at their end still goes through.
func TestSequenceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*msec)
		defer cancel()
		stubborn := make(chan struct{})
		deaf := func(func(analyze.Event, error) bool) { <-stubborn }
		last := func(yield func(analyze.Event, error) bool) {
			<-ctx.Done()
			f := frameAt(0, []byte{'z'})
			f.Time = time.Now()
			if yield(f, nil) {
				yield(nil, ctx.Err()) // the context's end is no error
			}
		}
		start := time.Now()
		events, err := collect(Sequence(ctx, SequenceOptions{}, deaf, last))
		if took := time.Since(start); err != nil || seen(events) != "z." && seen(events) != "z" || took > 2*time.Second {
			t.Errorf("%q, %v, after %v", seen(events), err, took)
		}
		close(stubborn)
	})
}

// TestSequenceClockSteps holds that Mono goes on over steps of the wall clock in
// both directions, that the stream says so, and that a recording of it replays
// as it was.
func TestSequenceClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testClockStep(t, step) })
		})
	}
}

func testClockStep(t *testing.T, step time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), 4100*msec)
	defer cancel()
	start := time.Now()
	const when = 1500 * msec
	clock := func() (int64, time.Duration) {
		mono := time.Since(start)
		wall := start.Add(mono)
		if mono >= when {
			wall = wall.Add(step)
		}
		return wall.UnixNano(), mono
	}
	source := script(ctx,
		planned{mark: 'a'},
		planned{after: 1000 * msec, stamp: 1000 * msec, mark: 'b'},
		planned{after: 1550 * msec, stamp: 1450 * msec, mark: 'c'}, // stamped before the step
		planned{after: 1600 * msec, stamp: 1600*msec + step, mark: 'd'},
		planned{after: 3200 * msec, stamp: 3200*msec + step, mark: 'e'})
	events, err := collect(Sequence(ctx, SequenceOptions{Origin: kernelOf, clock: clock}, source))
	if err != nil {
		t.Fatal(err)
	}
	if got := seen(events); got != "a.bc!d..e." {
		t.Fatalf("order %q", got)
	}
	want := map[byte]time.Duration{'a': 0, 'b': 1000 * msec, 'c': 1450 * msec, 'd': 1600 * msec, 'e': 3200 * msec}
	for _, f := range frames(events) {
		if f.Mono != want[f.Data[0]] {
			t.Errorf("%c has Mono %v", f.Data[0], f.Mono)
		}
	}
	if l := lost(events); len(l) != 1 || l[0] != "clock stepped by "+step.String() {
		t.Errorf("lost %q", l)
	}
	got, _ := readAll(t, recordAll(t, events))
	sameEvents(t, got, events)
}

// TestRecordingIsLive holds that what Sequence lets through is what Files
// replays, with events coming late and out of order.
func TestRecordingIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Second)
		defer cancel()
		var plans [2][]planned
		for i := range 200 {
			at := time.Duration(i*i) * 7 * msec
			late := time.Duration(i*37%400) * msec
			p := &plans[i%2]
			*p = append(*p, planned{after: at + late, stamp: at, mark: byte('a' + i%26)})
		}
		var b bytes.Buffer
		r, err := NewRecorder(&b, testOptions)
		if err != nil {
			t.Fatal(err)
		}
		var live []analyze.Event
		for e, err := range Sequence(ctx, SequenceOptions{}, script(ctx, plans[0]...), script(ctx, plans[1]...)) {
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Record(e); err != nil {
				t.Fatal(err)
			}
			live = append(live, e)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		replayed, warnings := readAll(t, b.Bytes())
		if len(warnings) != 0 || len(live) < 800 {
			t.Errorf("%d events, warnings %q", len(live), warnings)
		}
		sameEvents(t, replayed, live)
	})
}
