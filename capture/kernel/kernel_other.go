//go:build !linux

package kernel

import (
	"context"
	"errors"
	"iter"

	"ipsecdiag/analyze"
)

// ErrNeedsLinux is returned by Snapshot and Watch on other systems.
var ErrNeedsLinux = errors.New("reading kernel state needs Linux")

// Snapshot returns ErrNeedsLinux.
func Snapshot(context.Context, Options) (*analyze.Snapshot, error) { return nil, ErrNeedsLinux }

// Watch yields ErrNeedsLinux.
func Watch(context.Context, Options) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) { yield(nil, ErrNeedsLinux) }
}

// Privilege returns ErrNeedsLinux.
func Privilege() (Privileges, error) { return Privileges{}, ErrNeedsLinux }
