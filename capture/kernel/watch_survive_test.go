//go:build linux

package kernel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"

	"golang.org/x/sys/unix"
)

// TestIntegrationStateAfterOverrun lets the sockets overflow again and again, by
// thousands of policies, SAs and neighbours that come, change and go while the
// consumer is busy, and holds that what the events fold into is in the end what a
// fresh dump tells.
func TestIntegrationStateAfterOverrun(t *testing.T) {
	ns := newNS(t).withLink()
	ns.sysctl("net/core/xfrm_acq_expires", "3600")
	defer func(n int) { receiveBuffer = n }(receiveBuffer)
	receiveBuffer = 16 << 10
	f := ns.fold()
	for round := range 3 {
		before := f.overruns()
		f.mu.Lock() // nothing is taken in meanwhile
		ns.churn(round)
		f.mu.Unlock()
		eventually(t, "an overrun", func() bool { return f.overruns() > before })
		eventually(t, "the state is what a dump tells", func() bool { return f.agrees(ns) })
	}
	if n := len(ns.snapshot().Policies); n != 1200 {
		t.Errorf("%d policies are left", n)
	}
}

// folding is a Watch whose events are folded beside a test.
type folding struct {
	mu    sync.Mutex
	state *analyze.State
	lost  int // overruns that were told
}

// fold starts to watch the namespace, and returns once it has told of itself.
func (ns *testNS) fold() *folding {
	ns.t.Helper()
	f := &folding{state: analyze.NewState(analyze.Limits{})}
	ctx, cancel := context.WithCancel(ns.t.Context())
	done := make(chan error, 1)
	ns.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			ns.t.Error(err)
		}
	})
	go func() {
		var last error
		for e, err := range Watch(ctx, Options{Netns: ns.name, Host: "host", Poll: 50 * time.Millisecond}) {
			if last = err; err == nil {
				f.take(e)
			}
		}
		done <- last
	}()
	eventually(ns.t, "a first snapshot", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.state.Hosts) > 0
	})
	return f
}

func (f *folding) take(e analyze.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.Head().Mono = f.state.Now.Mono + time.Millisecond
	f.state.Apply(e)
	if l, ok := e.(*analyze.Lost); ok && strings.HasPrefix(l.What, errOverrun.Error()) {
		f.lost++
	}
}

// overruns counts those that were told.
func (f *folding) overruns() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// agrees reports whether what was folded is what the kernel holds.
func (f *folding) agrees(ns *testNS) bool {
	fresh := ns.snapshot()
	f.mu.Lock()
	defer f.mu.Unlock()
	folded := f.state.Hosts[0].Kernel()
	return sameSet(folded.Policies, fresh.Policies, func(p spd.Policy) string { return fmt.Sprint(p.Selector, p.Direction, p.Priority, p.Action) }) &&
		sameSet(folded.SAs, fresh.SAs, func(s spd.SA) string { return fmt.Sprint(s.Key(), s.Src, s.ReqID) }) &&
		sameSet(folded.Neighbors, fresh.Neighbors, func(n analyze.Neighbor) string { return fmt.Sprint(n) })
}

// churn makes, changes and removes thousands of things; what is left differs from
// round to round.
func (ns *testNS) churn(round int) {
	var b strings.Builder
	const n = 600
	for i := range n {
		dst, spi := fmt.Sprintf("fd00:%x::%x", round, i+1), 0x1000*(round+1)+i
		fmt.Fprintf(&b, "xfrm policy add src fd00::1/128 dst %s/128 dir out\n", dst)
		fmt.Fprintf(&b, "xfrm state allocspi src fd00::1 dst %s proto esp mode tunnel reqid %d min %d max %d\n", dst, i+1, spi, spi)
		fmt.Fprintf(&b, "neigh replace %s lladdr 02:00:00:00:00:01 dev ve0 nud permanent\n", dst)
	}
	for i := range n {
		dst, spi := fmt.Sprintf("fd00:%x::%x", round, i+1), 0x1000*(round+1)+i
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "xfrm policy update src fd00::1/128 dst %s/128 dir out priority %d action block\n", dst, i)
		case 1:
			fmt.Fprintf(&b, "xfrm policy delete src fd00::1/128 dst %s/128 dir out\n", dst)
			fmt.Fprintf(&b, "xfrm state delete src fd00::1 dst %s proto esp spi %d\n", dst, spi)
			fmt.Fprintf(&b, "neigh delete %s dev ve0\n", dst)
		}
	}
	ns.batch(b.String())
}

// sameSet reports whether two lists hold the same, in any order.
func sameSet[T any](a, b []T, name func(T) string) bool {
	names := func(list []T) (all []string) {
		for _, x := range list {
			all = append(all, name(x))
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(names(a), names(b))
}

// TestIntegrationKernelWithoutXFRM holds that in a kernel without XFRM, or without its
// netlink interface, it is said what cannot be seen, and the rest is.
func TestIntegrationKernelWithoutXFRM(t *testing.T) {
	ns := newNS(t).withLink()
	defer func(f func(int, int, int) (int, error)) { openFD = f }(openFD)
	openFD = func(domain, kind, protocol int) (int, error) {
		if domain == unix.AF_NETLINK && protocol == unix.NETLINK_XFRM {
			return -1, unix.EPROTONOSUPPORT // __netlink_create's caller, where nobody registered the protocol
		}
		return unix.Socket(domain, kind, protocol)
	}
	root := t.TempDir() // a /proc without net/xfrm_stat and net/core/xfrm_*
	w := ns.watch(Options{ProcRoot: root})
	warned := <-w.warned
	if !strings.Contains(warned, "CONFIG_XFRM_USER is off") || !strings.HasPrefix(warned, "policies, SAs and ACQUIREs cannot be read") {
		t.Errorf("warned %q", warned)
	}
	ns.udp("fd00::5")
	awaitEvent(w, "INCOMPLETE", func(e *analyze.NeighborChange) bool { return e.Neighbor.State == "INCOMPLETE" })
	s := ns.snapshot()
	if len(s.Links) == 0 || len(s.Policies) > 0 || !slices.ContainsFunc(s.Missing, func(m string) bool {
		return strings.HasPrefix(m, analyze.PartPolicies+": ") && strings.Contains(m, "CONFIG_XFRM_USER is off")
	}) {
		t.Errorf("%d links, missing %q", len(s.Links), s.Missing)
	}
	state := analyze.NewState(analyze.Limits{})
	state.Apply(s)
	if h := state.Hosts[0]; h.KernelSeen {
		t.Error("a kernel whose policies are not known counts as seen")
	}
}
