//go:build !linux

package capture

import (
	"context"
	"iter"

	"ipsecdiag/analyze"
)

// LiveClear yields ErrNeedsLinux.
func LiveClear(context.Context, ClearOptions) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) { yield(nil, ErrNeedsLinux) }
}
