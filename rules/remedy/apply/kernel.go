package apply

import (
	"context"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Kernel is what is asked of a kernel, in one network namespace. *kernel.Handle
// of package capture/kernel satisfies it.
type Kernel interface {
	// Place says which boot of which kernel and which network namespace it is.
	Place() (boot, namespace string, err error)

	Policies(context.Context) ([]spd.Policy, error) // oldest first
	SAs(context.Context) ([]spd.SA, error)
	Neighbors(context.Context) ([]analyze.Neighbor, error)
	Sysctl(name string) (string, error)

	AddPolicy(context.Context, spd.Policy) error
	ReplacePolicy(context.Context, spd.Policy) error
	DeletePolicy(context.Context, spd.Policy) error // by its index, where it has one
	AddSA(ctx context.Context, sa spd.SA, enc, auth []byte) error
	DeleteSA(context.Context, spd.SA) error
	PutNeighbor(context.Context, analyze.Neighbor) error
	DeleteNeighbor(context.Context, analyze.Neighbor) error
	SetSysctl(name, value string) error
}
