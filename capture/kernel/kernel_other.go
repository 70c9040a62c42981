//go:build !linux

package kernel

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ErrNeedsLinux is returned by everything that asks a kernel on other systems.
var ErrNeedsLinux = errors.New("reading kernel state needs Linux")

// Snapshot returns ErrNeedsLinux.
func Snapshot(context.Context, Options) (*analyze.Snapshot, error) { return nil, ErrNeedsLinux }

// Owners are processes that listen for ACQUIREs.
type Owners struct{}

// FindOwners finds nobody.
func FindOwners(Options) Owners { return Owners{} }

// Watch yields ErrNeedsLinux.
func Watch(context.Context, Options) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) { yield(nil, ErrNeedsLinux) }
}

// Privilege returns ErrNeedsLinux.
func Privilege() (Privileges, error) { return Privileges{}, ErrNeedsLinux }

// The methods of a Handle return ErrNeedsLinux.

func (h *Handle) Place() (boot, namespace string, err error)             { return "", "", ErrNeedsLinux }
func (h *Handle) Policies(context.Context) ([]spd.Policy, error)         { return nil, ErrNeedsLinux }
func (h *Handle) SAs(context.Context) ([]spd.SA, error)                  { return nil, ErrNeedsLinux }
func (h *Handle) Neighbors(context.Context) ([]analyze.Neighbor, error)  { return nil, ErrNeedsLinux }
func (h *Handle) AddPolicy(context.Context, spd.Policy) error            { return ErrNeedsLinux }
func (h *Handle) ReplacePolicy(context.Context, spd.Policy) error        { return ErrNeedsLinux }
func (h *Handle) DeletePolicy(context.Context, spd.Policy) error         { return ErrNeedsLinux }
func (h *Handle) AddSA(context.Context, spd.SA, []byte, []byte) error    { return ErrNeedsLinux }
func (h *Handle) DeleteSA(context.Context, spd.SA) error                 { return ErrNeedsLinux }
func (h *Handle) PutNeighbor(context.Context, analyze.Neighbor) error    { return ErrNeedsLinux }
func (h *Handle) DeleteNeighbor(context.Context, analyze.Neighbor) error { return ErrNeedsLinux }
func (h *Handle) Sysctl(string) (string, error)                          { return "", ErrNeedsLinux }
func (h *Handle) SetSysctl(string, string) error                         { return ErrNeedsLinux }

func (h *Handle) Snapshot(context.Context) (*analyze.Snapshot, error) { return nil, ErrNeedsLinux }
func (h *Handle) Solicit(context.Context, netip.Addr, netip.Addr, int, time.Duration) (bool, error) {
	return false, ErrNeedsLinux
}
func (h *Handle) Echo(context.Context, netip.Addr, netip.Addr, time.Duration) (bool, error) {
	return false, ErrNeedsLinux
}
func (h *Handle) OpenProbes() error                                     { return ErrNeedsLinux }
func (h *Handle) ProbeNeighbor(context.Context, analyze.Neighbor) error { return ErrNeedsLinux }
