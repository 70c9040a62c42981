//go:build !linux

package capture

import (
	"context"
	"iter"

	"ipsecdiag/analyze"
)

// Live yields ErrNeedsLinux.
func Live(context.Context, LiveOptions) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) { yield(nil, ErrNeedsLinux) }
}
