package daemon

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"sync"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/beat"
)

// eventQueue is how many events may wait for the consumer.
const eventQueue = 256

// Watch yields what the daemons tell, until the context ends or the consumer
// breaks out; never an error. A daemon that is not there yet, has ended or does
// not answer is tried again; nothing else waits for it.
func Watch(ctx context.Context, o Options) iter.Seq2[analyze.Event, error] {
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Reach == nil {
		o.Reach = Direct(o)
	}
	return func(yield func(analyze.Event, error) bool) {
		inner, cancel := context.WithCancel(ctx)
		out := make(chan analyze.Event, eventQueue)
		go watchAll(inner, &o, out)
		defer func() {
			cancel()
			go func() { // whoever is at the last of it is not waited for
				for range out {
				}
			}()
		}()
		for {
			select {
			case e := <-out:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// watchAll asks both kinds of daemon until the context ends, then closes out.
func watchAll(ctx context.Context, o *Options, out chan<- analyze.Event) {
	var all sync.WaitGroup
	all.Go(func() {
		follow(&teller{ctx: ctx, o: o, out: out, base: analyze.Word{Daemon: analyze.StrongSwan, Via: "vici"}},
			o.Vici, askVici)
	})
	all.Go(func() {
		follow(&teller{ctx: ctx, o: o, out: out, base: analyze.Word{Daemon: analyze.Libreswan, Via: "whack"}},
			o.Whack, askWhack)
	})
	all.Wait()
	close(out)
}

// follow finds a daemon and asks it, again and again, until the context ends.
func follow(t *teller, path string, ask func(*teller) error) {
	if path == None {
		return
	}
	warned, retry := "", retryFirst
	for t.ctx.Err() == nil {
		err := ask(t)
		now := time.Now()
		wait := beat.Next(now, lookEvery).Sub(now)
		if !errors.Is(err, ErrNotThere) {
			heard := t.heard
			t.silent(err)
			wait, retry = retry, min(2*retry, retryMost)
			if heard {
				wait, retry = lookEvery, retryFirst
			}
			// That it is not there yet, or has ended, is no fault.
			if text := err.Error(); !heard && text != warned && t.ctx.Err() == nil && !absent(err) {
				warned = text
				t.o.Warn(t.base.Daemon + " is not asked: " + text)
			}
		}
		sleep(t.ctx, wait)
	}
}

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errRefused) }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
