package capture

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
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

// turn is what happens to a host's clocks at a moment after the start.
type turn struct {
	at    time.Duration // on the monotonic clock
	step  time.Duration // the wall clock is set
	slept time.Duration // the host was suspended, and has just resumed
}

// wall is what the wall clock shows beyond the monotonic one.
func wall(turns []turn, mono time.Duration) (ahead time.Duration) {
	for _, t := range turns {
		if mono >= t.at {
			ahead += t.step + t.slept
		}
	}
	return ahead
}

// turning is a host's clocks to which that happens.
func turning(start time.Time, turns []turn) func() reading {
	return func() reading {
		r := reading{mono: time.Since(start)}
		r.wall = start.Add(r.mono + wall(turns, r.mono)).UnixNano()
		for _, t := range turns {
			if r.mono >= t.at {
				r.slept += t.slept
			}
		}
		return r
	}
}

// TestSequenceClockJumps holds that Mono goes on over steps of the wall clock in
// both directions and stands still while the host is suspended, that the stream
// says so, and that a recording of it replays as it was.
func TestSequenceClockJumps(t *testing.T) {
	for name, c := range map[string]struct {
		turns []turn
		seen  string
		lost  []string
	}{
		"forth":             {[]turn{{at: 1500 * msec, step: time.Hour}}, "a.bc!d..e.", []string{"clock stepped by 1h0m0s"}},
		"back":              {[]turn{{at: 1500 * msec, step: -time.Hour}}, "a.bc!d..e.", []string{"clock stepped by -1h0m0s"}},
		"forth and back":    {[]turn{{at: 1500 * msec, step: time.Hour}, {at: 2500 * msec, step: -time.Hour}}, "a.bc!d..!e.", []string{"clock stepped by 1h0m0s", "clock stepped by -1h0m0s"}},
		"suspended":         {[]turn{{at: 1500 * msec, slept: time.Hour}}, "a.bc!d..e.", []string{"host was suspended for 1h0m0s"}},
		"suspended and set": {[]turn{{at: 1500 * msec, slept: time.Hour, step: time.Minute}}, "a.bc!!d..e.", []string{"host was suspended for 1h0m0s", "clock stepped by 1m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testClockJumps(t, c.turns, c.seen, c.lost) })
		})
	}
}

func testClockJumps(t *testing.T, turns []turn, order string, losses []string) {
	events, warned := jumping(t, turns)
	if got := seen(events); got != order {
		t.Fatalf("order %q, want %q", got, order)
	}
	want := map[byte]time.Duration{'a': 0, 'b': 1000 * msec, 'c': 1450 * msec, 'd': 1600 * msec, 'e': 3200 * msec}
	for _, f := range frames(events) {
		if f.Mono != want[f.Data[0]] {
			t.Errorf("%c has Mono %v", f.Data[0], f.Mono)
		}
	}
	if l := lost(events); !slices.Equal(l, losses) || !slices.Equal(warned, losses) {
		t.Errorf("lost %q, warned of %q, want %q", l, warned, losses)
	}
	got, _ := readAll(t, recordAll(t, events))
	sameEvents(t, got, events)
}

// jumping is a stream of five frames on a host to whose clocks that happens; the
// third was stamped before what happens at 1.5 s, and comes after it.
func jumping(t *testing.T, turns []turn) (events []analyze.Event, warned []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4100*msec)
	defer cancel()
	start := time.Now()
	plan := func(mark byte, stamp, late time.Duration) planned {
		return planned{after: stamp + late, stamp: stamp + wall(turns, stamp), mark: mark}
	}
	source := script(ctx, plan('a', 0, 0), plan('b', 1000*msec, 0), plan('c', 1450*msec, 100*msec),
		plan('d', 1600*msec, 0), plan('e', 3200*msec, 0))
	opt := SequenceOptions{Origin: kernelOf, clock: turning(start, turns), Warn: func(s string) { warned = append(warned, s) }}
	events, err := collect(Sequence(ctx, opt, source))
	if err != nil {
		t.Fatal(err)
	}
	return events, warned
}

// TestASuspendedHostAmongOthers holds that the other end's recording goes on while
// a host is suspended: what comes after is in its place between the other's events.
func TestASuspendedHostAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleeper, _ := jumping(t, []turn{{at: 1500 * msec, slept: 10 * time.Second}})
		begin := frames(sleeper)[0].Time
		var awake []analyze.Event
		for i := range 15 {
			f := frameAt(0, []byte{byte('0' + i)})
			f.Time, f.Mono = begin.Add(time.Duration(i)*time.Second+500*msec), time.Duration(i)*time.Second
			f.Origin = analyze.Origin{Host: "teapot", Interface: "eth0"}
			awake = append(awake, f)
		}
		dir := t.TempDir()
		paths := []string{filepath.Join(dir, "sleeper.pcapng"), filepath.Join(dir, "awake.pcapng")}
		for i, events := range [][]analyze.Event{sleeper, awake} {
			if err := os.WriteFile(paths[i], recordAll(t, events), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		events, err := collect(Files(t.Context(), paths, FileOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		var order []byte
		for _, f := range frames(events) {
			order = append(order, f.Data[0])
			if f.Mono != f.Time.Sub(begin) {
				t.Errorf("%c of %s has Mono %v", f.Data[0], f.Time.Sub(begin), f.Mono)
			}
		}
		if got := string(order); got != "a0bc123456789:;d<e=>" {
			t.Errorf("order %q", got)
		}
	})
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
