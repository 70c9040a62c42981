package kernel

import (
	"context"
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"
)

// Links returns the interfaces of the namespace and how they are related. It
// needs no privilege.
func Links(ctx context.Context, o Options) (links []analyze.Link, err error) {
	err = netns.Do(o.Netns, func() error {
		w, err := newWaiter(ctx)
		if err != nil {
			return err
		}
		defer w.close()
		links, err = dumpLinks(w)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	return links, nil
}
