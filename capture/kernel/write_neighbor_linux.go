package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"ipsecdiag/analyze"

	"golang.org/x/sys/unix"
)

// PutNeighbor makes a neighbour entry or replaces the one of that address on
// that interface (RTM_NEWNEIGH). State is one that `ip neighbour` takes, such as
// PERMANENT or STALE.
func (h *Handle) PutNeighbor(ctx context.Context, n analyze.Neighbor) error {
	what := describeNeighbor(n)
	data, err := encodeNeighbor(n)
	if err != nil {
		return fmt.Errorf("set %s: %w", what, err)
	}
	return h.change(ctx, verbSet, what, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_NEWNEIGH, data: data,
		flags: unix.NLM_F_CREATE | unix.NLM_F_REPLACE,
	})
}

// DeleteNeighbor deletes a neighbour entry (RTM_DELNEIGH). The error is
// unix.ENOENT where there is none.
func (h *Handle) DeleteNeighbor(ctx context.Context, n analyze.Neighbor) error {
	what := describeNeighbor(n)
	n.State, n.LinkAddr = "NONE", ""
	data, err := encodeNeighbor(n)
	if err != nil {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	return h.change(ctx, verbDelete, what, request{
		protocol: unix.NETLINK_ROUTE, kind: unix.RTM_DELNEIGH, data: data,
	})
}

func describeNeighbor(n analyze.Neighbor) string {
	return fmt.Sprintf("neighbour entry of %s on interface %d", n.Addr, n.IfIndex)
}

// encodeNeighbor is decodeNeighbor's inverse: struct ndmsg with its attributes.
func encodeNeighbor(n analyze.Neighbor) ([]byte, error) {
	state, ok := neighborState(n.State)
	if !ok {
		return nil, fmt.Errorf("no neighbour state %q", n.State)
	}
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = unix.AF_INET
	if n.Addr.Is6() {
		b[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(b[4:], uint32(n.IfIndex))
	binary.NativeEndian.PutUint16(b[8:], state)
	if n.Router {
		b[10] = unix.NTF_ROUTER
	}
	b = appendAttr(b, unix.NDA_DST, n.Addr.AsSlice())
	if n.LinkAddr == "" {
		return b, nil
	}
	mac, err := net.ParseMAC(n.LinkAddr)
	if err != nil {
		return nil, err
	}
	return appendAttr(b, unix.NDA_LLADDR, mac), nil
}

func neighborState(name string) (uint16, bool) {
	for state, s := range neighborStates {
		if s == name {
			return state, true
		}
	}
	return 0, false
}
