package kernel

import (
	"context"

	"ipsecdiag/capture/await"
)

// waiter waits for answers of the kernel until its context ends, on the calling
// thread, which may be locked to a namespace.
type waiter struct {
	*await.Poller
	ctx context.Context
	// socket is what requests of one protocol go through, nil: one for each.
	socket *socket
}

func newWaiter(ctx context.Context) (*waiter, error) {
	p, err := await.New(ctx)
	if err != nil {
		return nil, err
	}
	return &waiter{Poller: p, ctx: ctx}, nil
}
