//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

const espPolicy = "src fd00::1/128 dst fd00::2/128 dir out"
const espTemplate = " tmpl proto esp mode transport reqid 1"

func TestIntegrationWatchPolicies(t *testing.T) {
	ns := newNS(t)
	w := ns.watch(Options{})
	is := func(c analyze.Change, priority uint32) func(*analyze.PolicyChange) bool {
		return func(e *analyze.PolicyChange) bool {
			return e.Change == c && e.Policy.Priority == priority &&
				e.Policy.Selector.Dst == netip.MustParsePrefix("fd00::2/128") &&
				e.Policy.Direction == spd.Out && len(e.Policy.Templates) == 1 && e.Policy.Templates[0].ReqID == 1
		}
	}
	before := time.Now()
	ns.ip("xfrm policy add " + espPolicy + " priority 5" + espTemplate)
	e := await(w, "added policy", is(analyze.Added, 5))
	if e.Time.Before(before) || e.Time.After(time.Now()) || e.Time.Location() != time.UTC {
		t.Errorf("time %s", e.Time)
	}
	if e.Origin != (analyze.Origin{Host: "host", Netns: ns.name}) {
		t.Errorf("origin %+v", e.Origin)
	}
	ns.ip("xfrm policy update " + espPolicy + " priority 6" + espTemplate)
	await(w, "updated policy", is(analyze.Updated, 6))
	ns.ip("xfrm policy delete " + espPolicy)
	await(w, "deleted policy", is(analyze.Deleted, 6))

	ns.ip("xfrm policy setdefault in block")
	await(w, "default action", func(e *analyze.PolicyChange) bool {
		return e.Defaults != nil && *e.Defaults == spd.Defaults{In: spd.Block}
	})
	ns.ip("xfrm policy add " + espPolicy + " ptype sub" + espTemplate)
	ns.ip("xfrm policy flush ptype sub")
	await(w, "flushed policies", func(e *analyze.PolicyChange) bool {
		return e.Change == analyze.Flushed && e.Policy.Type == spd.Sub
	})
	ns.ip("xfrm state allocspi src fd00::2 dst fd00::1 proto ah mode transport reqid 4 min 0x100 max 0x100")
	ns.ip("xfrm state flush proto ah")
	await(w, "flushed SAs", func(e *analyze.SAChange) bool {
		return e.Change == analyze.Flushed && e.SA.Proto == spd.ProtoAH
	})
}

func TestIntegrationWatchPolicyExpires(t *testing.T) {
	ns := newNS(t)
	w := ns.watch(Options{})
	ns.ip("xfrm policy add " + espPolicy + " limit time-hard 1" + espTemplate)
	e := await(w, "hard expiry", func(e *analyze.Expire) bool { return e.Hard })
	if e.Policy == nil || e.SA != nil || e.Policy.Selector.Dst.String() != "fd00::2/128" {
		t.Errorf("expiry %+v", e)
	}
}

func TestIntegrationWatchNeighbors(t *testing.T) {
	ns := newNS(t).withLink()
	w := ns.watch(Options{})
	ns.udp("fd00::5") // nobody answers
	states := func(state string) func(*analyze.NeighborChange) bool {
		return func(e *analyze.NeighborChange) bool {
			return e.Neighbor.Addr == netip.MustParseAddr("fd00::5") && e.Neighbor.State == state
		}
	}
	await(w, "INCOMPLETE", states("INCOMPLETE"))
	await(w, "FAILED", states("FAILED"))
	ns.ip("neigh replace fd00::5 lladdr 02:00:00:00:00:05 dev ve0 nud permanent")
	e := await(w, "PERMANENT", states("PERMANENT"))
	if e.Change != analyze.Updated || e.Neighbor.LinkAddr != "02:00:00:00:00:05" {
		t.Errorf("change %+v", e)
	}
	ns.ip("neigh del fd00::5 dev ve0")
	await(w, "deletion", func(e *analyze.NeighborChange) bool { return e.Change == analyze.Deleted })
}

func TestIntegrationWatchCounters(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	w := ns.watch(Options{})
	ns.udp("fd00::2")
	e := await(w, "XfrmOutNoStates", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
	if _, ok := e.Values["XfrmInNoStates"]; ok {
		t.Error("a counter that did not change is told")
	}
}

func TestIntegrationWatchRenewsSnapshot(t *testing.T) {
	ns := newNS(t).withLink()
	w := ns.watch(Options{})
	ns.ip("addr add fd00:77::1/64 dev ve0")
	await(w, "new address", func(s *analyze.Snapshot) bool {
		for _, a := range s.Addresses {
			if a.Prefix.String() == "fd00:77::1/64" {
				return true
			}
		}
		return false
	})
	ns.sysctl("net/core/xfrm_larval_drop", "0")
	await(w, "setting", func(s *analyze.Snapshot) bool { return s.Sysctls["net.core.xfrm_larval_drop"] == "0" })
	stop := ns.bypassSocket()
	await(w, "socket policy", func(s *analyze.Snapshot) bool {
		return len(s.Policies) == 1 && s.Policies[0].Socket && s.Policies[0].Direction == spd.Out && s.Policies[0].Bypass()
	})
	stop()
	await(w, "end of the socket policy", func(s *analyze.Snapshot) bool { return len(s.Policies) == 0 })
}

// bypassSocket opens a socket with a policy of its own, as IKE daemons do
// (IPV6_XFRM_POLICY).
func (ns *testNS) bypassSocket() (stop func()) {
	ns.t.Helper()
	var fd int
	ns.do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		policy := make([]byte, 168) // struct xfrm_userpolicy_info
		policy[40] = unix.AF_INET6
		policy[160] = byte(spd.Out)
		return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_XFRM_POLICY, string(policy))
	})
	stop = func() { unix.Close(fd) }
	return stop
}

// TestIntegrationAutoLeavesNoTrace is the promise that watching changes nothing:
// without a daemon no larval SA comes to be.
func TestIntegrationAutoLeavesNoTrace(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	w := ns.watch(Options{})
	if s := <-w.warned; s != warnNoDaemon {
		t.Errorf("warned %q", s)
	}
	ns.udp("fd00::2")
	await(w, "lost packet", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
	if n := ns.larval(); n != 0 {
		t.Errorf("%d larval SAs", n)
	}
	if n := ns.acquireGroup(); n != 0 {
		t.Errorf("%d sockets in the ACQUIRE group", n)
	}
}

// TestIntegrationAutoFollowsDaemon joins with a daemon and leaves with it.
func TestIntegrationAutoFollowsDaemon(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	w := ns.watch(Options{})

	stopMonitor := ns.monitor() // is no daemon
	await(w, "monitor", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 && e.Listeners[0].Monitor })
	if n := ns.acquireGroup(); n != 1 {
		t.Errorf("%d sockets in the ACQUIRE group beside ip xfrm monitor, want 1", n)
	}
	stopMonitor()

	stop := ns.daemon()
	await(w, "daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 && !e.Listeners[0].Monitor })
	eventually(t, "joined the group", func() bool { return ns.acquireGroup() == 2 })
	ns.udp("fd00::2")
	a := await(w, "ACQUIRE", func(*analyze.Acquire) bool { return true })
	if a.Src.String() != "fd00::1" || a.Dst.String() != "fd00::2" || a.Proto != spd.ProtoESP || a.Sequence == 0 ||
		a.Selector.Proto != spd.ProtoUDP || a.Selector.DstPort != 9 || a.Policy.Selector.Dst.String() != "fd00::2/128" ||
		len(a.Policy.Templates) != 1 || a.Policy.Direction != spd.Out {
		t.Errorf("ACQUIRE %+v", a)
	}
	await(w, "larval SA", func(e *analyze.SAChange) bool { return e.Change == analyze.Added && e.SA.Larval() })

	stop()
	await(w, "end of the daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 0 })
	eventually(t, "left the group", func() bool { return ns.acquireGroup() == 0 })
	ns.ip("xfrm state flush")
	ns.udp("fd00::2")
	await(w, "lost packet", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
	if n := ns.larval(); n != 0 {
		t.Errorf("%d larval SAs after the daemon is gone", n)
	}
}

// TestIntegrationAutoLeavesAtOnce: the end of a daemon's process is seen before the
// next poll.
func TestIntegrationAutoLeavesAtOnce(t *testing.T) {
	ns := newNS(t).withLink()
	stop := ns.daemonProcess()
	w := ns.watch(Options{Poll: time.Hour})
	if n := ns.acquireGroup(); n != 2 {
		t.Fatalf("%d sockets in the ACQUIRE group, want the daemon's and ours", n)
	}
	stop()
	await(w, "end of the daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 0 })
	eventually(t, "left the group", func() bool { return ns.acquireGroup() == 0 })
}

// TestIntegrationLarvalSAsWithoutJoining sees them by dumps.
func TestIntegrationLarvalSAsWithoutJoining(t *testing.T) {
	ns := newNS(t).withLink()
	ns.sysctl("net/core/xfrm_acq_expires", "3600")
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	ns.daemon()
	w := ns.watch(Options{Acquire: AcquireNever})
	if n := ns.acquireGroup(); n != 1 {
		t.Errorf("%d sockets in the ACQUIRE group, want the daemon's only", n)
	}
	ns.udp("fd00::2")
	larval := func(c analyze.Change) func(e *analyze.SAChange) bool {
		return func(e *analyze.SAChange) bool { return e.Change == c && e.SA.Larval() && e.SA.ReqID == 1 }
	}
	await(w, "larval SA", larval(analyze.Added))
	ns.ip("xfrm state allocspi src fd00::2 dst fd00::1 proto esp mode transport reqid 4 min 0x100 max 0x100")
	await(w, "reserved SPI", func(e *analyze.SAChange) bool { return e.Change == analyze.Added && e.SA.Reserved() })
	ns.ip("xfrm state delete src fd00::2 dst fd00::1 proto esp spi 0x100")
	await(w, "deleted SPI", func(e *analyze.SAChange) bool { return e.Change == analyze.Deleted && e.SA.Reserved() })
}

func TestIntegrationLarvalSAExpires(t *testing.T) {
	ns := newNS(t).withLink()
	ns.sysctl("net/core/xfrm_acq_expires", "1")
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	w := ns.watch(Options{Acquire: AcquireAlways})
	if s := <-w.warned; !strings.Contains(s, "makes larval SAs") || !strings.Contains(s, ns.name) {
		t.Errorf("warned %q", s)
	}
	ns.udp("fd00::2")
	await(w, "ACQUIRE", func(*analyze.Acquire) bool { return true })
	e := await(w, "expiry", func(e *analyze.Expire) bool { return e.Hard })
	if e.SA == nil || e.Policy != nil || !e.SA.Larval() || e.SA.ReqID != 1 {
		t.Errorf("expiry %+v", e)
	}
}

// TestIntegrationOverrun lets the sockets overflow while the consumer is busy.
func TestIntegrationOverrun(t *testing.T) {
	ns := newNS(t)
	defer func(n int) { receiveBuffer = n }(receiveBuffer)
	receiveBuffer = 16 << 10
	const policies = 5000
	var batch strings.Builder
	for i := range policies {
		fmt.Fprintf(&batch, "xfrm policy add src fd00::1/128 dst fd00::%x/128 dir out\n", i+1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	filled, lost := false, false
	for e, err := range Watch(ctx, Options{Netns: ns.name, Poll: 50 * time.Millisecond}) {
		if err != nil {
			t.Fatal(err)
		}
		if !filled {
			filled = true
			ns.batch(batch.String())
		}
		switch e := e.(type) {
		case *analyze.Lost:
			lost = true
			if !strings.Contains(e.What, "netlink overrun") {
				t.Errorf("lost %q", e.What)
			}
		case *analyze.Snapshot:
			if lost && len(e.Policies) == policies {
				return
			}
		}
	}
	t.Errorf("no snapshot with %d policies came after a loss; lost: %v", policies, lost)
}

// TestIntegrationManySAs bounds what a large SAD costs.
func TestIntegrationManySAs(t *testing.T) {
	const sas = 10000
	ns := newNS(t)
	ns.sysctl("net/core/xfrm_acq_expires", "3600")
	var batch strings.Builder
	for i := range sas {
		fmt.Fprintf(&batch, "xfrm state allocspi src fd00::%x dst fd00:1::%x proto esp mode tunnel reqid %d min %d max %d\n",
			i+1, i+1, i+1, i+0x100, i+0x100)
	}
	ns.batch(batch.String())
	start := time.Now()
	s := ns.snapshot()
	if len(s.SAs) != sas || len(s.Missing) > 0 {
		t.Fatalf("%d SAs, missing %q", len(s.SAs), s.Missing)
	}
	if d := time.Since(start); d > patience {
		t.Errorf("a snapshot with %d SAs took %s", sas, d)
	}
	w := ns.watch(Options{})
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	await(w, "policy", func(e *analyze.PolicyChange) bool { return true })
}

// TestIntegrationWatchEnds holds that every way of ending Watch is prompt and leaves
// neither goroutines nor file descriptors behind.
func TestIntegrationWatchEnds(t *testing.T) {
	ns := newNS(t).withLink()
	ns.daemon() // so that all sockets are open
	ends := map[string]func(){
		"break": func() {
			for range Watch(context.Background(), Options{Netns: ns.name}) {
				break
			}
		},
		"cancel while waiting": func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for _, err := range Watch(ctx, Options{Netns: ns.name, Poll: time.Hour}) {
				if err != nil {
					t.Error(err)
				}
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		},
		"cancelled before": func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			for e, err := range Watch(ctx, Options{Netns: ns.name}) {
				t.Errorf("event %v, error %v", e, err)
			}
		},
		"deadline": func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			for _, err := range Watch(ctx, Options{Netns: ns.name, Poll: time.Millisecond}) {
				if err != nil {
					t.Error(err)
				}
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			goroutines, fds := runtime.NumGoroutine(), openFiles(t)
			start := time.Now()
			end()
			if d := time.Since(start); d > patience {
				t.Errorf("took %s", d)
			}
			eventually(t, "all goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines })
			if n := openFiles(t); n > fds {
				t.Errorf("%d files open, %d before", n, fds)
			}
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestIntegrationNamespaceVanishes(t *testing.T) {
	ns := newNS(t)
	w := ns.watch(Options{})
	ns.run("ip", "netns", "del", ns.name)
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-w.events:
			if ok {
				continue
			}
			err := <-w.done
			w.done <- nil // for the cleanup
			if !errors.Is(err, errGone) {
				t.Errorf("ended with %v", err)
			}
			return
		case <-limit:
			t.Fatal("watch goes on in a namespace that was deleted")
		}
	}
}

func TestWatchUnknownNamespace(t *testing.T) {
	n := 0
	for e, err := range Watch(context.Background(), Options{Netns: "no-such-namespace"}) {
		n++
		if e != nil || !errors.Is(err, unix.ENOENT) {
			t.Errorf("event %v, error %v", e, err)
		}
	}
	if n != 1 {
		t.Errorf("%d yields, want one error", n)
	}
}

// TestIntegrationWatchWithoutPrivilege goes on with what may be read.
func TestIntegrationWatchWithoutPrivilege(t *testing.T) {
	ns := newNS(t).withLink()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out := make(chan analyze.Event, 1000)
	warned := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- netns.Do(ns.name, func() error {
			if err := dropNetAdmin(); err != nil {
				return err
			}
			o := Options{Poll: 50 * time.Millisecond, Warn: func(s string) { warned <- s }}
			return watch(ctx, o.withDefaults(), out)
		})
	}()
	w := &watching{t: t, events: out}
	s := await(w, "snapshot", func(*analyze.Snapshot) bool { return true })
	if len(s.Missing) == 0 || len(s.Links) == 0 {
		t.Errorf("missing %q, links %v", s.Missing, s.Links)
	}
	if got := <-warned; got != noNetAdmin {
		t.Errorf("warned %q", got)
	}
	ns.udp("fd00::5")
	await(w, "INCOMPLETE", func(e *analyze.NeighborChange) bool { return e.Neighbor.State == "INCOMPLETE" })
	ns.daemon()
	await(w, "daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// TestIntegrationWatchOfTheThreadsNamespace: without a name it is the calling
// thread's namespace.
func TestIntegrationWatchOfTheThreadsNamespace(t *testing.T) {
	ns := newNS(t).withLink()
	ns.do(func() error {
		for e, err := range Watch(context.Background(), Options{}) {
			if err != nil {
				return err
			}
			s, ok := e.(*analyze.Snapshot)
			if !ok || s.Origin.Netns != "" {
				return fmt.Errorf("first event %+v", e)
			}
			if !slices.ContainsFunc(s.Links, func(l analyze.Link) bool { return l.Name == "ve0" }) {
				t.Errorf("links %+v are not the namespace's", s.Links)
			}
			break
		}
		return nil
	})
}
