package kernel

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

// Policies reads the SPD, the oldest policy first, socket policies among them.
func (h *Handle) Policies(ctx context.Context) (out []spd.Policy, err error) {
	err = h.do(ctx, "read policies", func(w *waiter) error {
		out, err = dumpPolicies(w)
		return explain(err)
	})
	return out, err
}

// SAs reads the SAD, without keys.
func (h *Handle) SAs(ctx context.Context) (out []spd.SA, err error) {
	err = h.do(ctx, "read SAs", func(w *waiter) error {
		out, err = dumpSAs(w, nil)
		return explain(err)
	})
	return out, err
}

// Neighbors reads the IPv4 and IPv6 neighbour tables.
func (h *Handle) Neighbors(ctx context.Context) (out []analyze.Neighbor, err error) {
	err = h.do(ctx, "read neighbours", func(w *waiter) error {
		out, err = dumpNeighbors(w)
		return explain(err)
	})
	return out, err
}

// Place says which boot of the kernel (boot_id) and which network namespace
// (its inode in nsfs) the handle changes. What was changed there is gone when
// either is another one.
func (h *Handle) Place() (boot, namespace string, err error) {
	err = netns.Do(h.o.Netns, func() error {
		id, err := os.ReadFile(h.o.ProcRoot + "/sys/kernel/random/boot_id")
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(h.o.ProcRoot+"/thread-self/ns/net", &st); err != nil {
			return fmt.Errorf("stat network namespace: %w", err)
		}
		boot, namespace = strings.TrimSpace(string(id)), strconv.FormatUint(st.Ino, 10)
		return nil
	})
	return boot, namespace, err
}

// do runs f on a thread in the namespace; its error says what was being done.
func (h *Handle) do(ctx context.Context, what string, f func(*waiter) error) error {
	err := netns.Do(h.o.Netns, func() error {
		w, err := newWaiter(ctx)
		if err != nil {
			return err
		}
		defer w.Close()
		return f(w)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// change sends one request that changes something, and waits for the kernel's
// acknowledgement. object is what the error calls it.
func (h *Handle) change(ctx context.Context, v verb, object string, q request) error {
	q.flags |= unix.NLM_F_ACK
	return h.do(ctx, string(v)+" "+object, func(w *waiter) error {
		return v.explain(ask(w, q, func([]byte) error { return nil }))
	})
}
