package kernel

import (
	"context"
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

// LinkReader reads the interfaces of a namespace, and how they are related, by a
// socket that stays open: a process that is locked in may use it. It needs no
// privilege. It is for one goroutine.
type LinkReader struct{ w *waiter }

// OpenLinks opens the socket in the namespace. The reader is good until the
// context ends.
func OpenLinks(ctx context.Context, o Options) (*LinkReader, error) {
	var w *waiter
	err := netns.Do(o.Netns, func() (err error) {
		if w, err = newWaiter(ctx); err != nil {
			return err
		}
		if w.socket, err = openSocket(unix.NETLINK_ROUTE); err != nil {
			w.Close()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	return &LinkReader{w}, nil
}

// Links returns the interfaces.
func (r *LinkReader) Links() ([]analyze.Link, error) {
	links, err := dumpLinks(r.w)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	return links, nil
}

// Close closes the socket.
func (r *LinkReader) Close() {
	r.w.socket.close()
	r.w.Close()
}
