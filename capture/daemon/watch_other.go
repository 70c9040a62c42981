//go:build !linux

package daemon

import (
	"context"
	"iter"

	"ipsecdiag/analyze"
)

// Watch yields nothing: daemons are asked on Linux.
func Watch(context.Context, Options) iter.Seq2[analyze.Event, error] {
	return func(func(analyze.Event, error) bool) {}
}
