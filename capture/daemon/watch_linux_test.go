package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestADaemonIsLookedForOnTheBeat holds that one which is not there is looked for at
// the moment at which all else is done, however long looking takes.
func TestADaemonIsLookedForOnTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var at []time.Time
		follow(&teller{ctx: ctx, o: &Options{Warn: func(string) {}}}, "", func(*teller) error {
			if at = append(at, time.Now()); len(at) == 3 {
				cancel()
			}
			time.Sleep(lookEvery / 3)
			return ErrNotThere
		})
		for i, now := range at[1:] {
			if late := time.Duration(now.UnixNano() % int64(lookEvery)); late > 0 || now.Sub(at[i]) != lookEvery {
				t.Errorf("looked %v after the last time, %v after the beat", now.Sub(at[i]), late)
			}
		}
	})
}
