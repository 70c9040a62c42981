//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	e := awaitEvent(w, "added policy", is(analyze.Added, 5))
	if e.Time.Before(before) || e.Time.After(time.Now()) || e.Time.Location() != time.UTC {
		t.Errorf("time %s", e.Time)
	}
	if e.Origin != (analyze.Origin{Host: "host", Netns: ns.name}) {
		t.Errorf("origin %+v", e.Origin)
	}
	ns.ip("xfrm policy update " + espPolicy + " priority 6" + espTemplate)
	awaitEvent(w, "updated policy", is(analyze.Updated, 6))
	ns.ip("xfrm policy delete " + espPolicy)
	awaitEvent(w, "deleted policy", is(analyze.Deleted, 6))

	ns.ip("xfrm policy setdefault in block")
	awaitEvent(w, "default action", func(e *analyze.PolicyChange) bool {
		return e.Defaults != nil && *e.Defaults == spd.Defaults{In: spd.Block}
	})
	ns.ip("xfrm policy add " + espPolicy + " ptype sub" + espTemplate)
	ns.ip("xfrm policy flush ptype sub")
	awaitEvent(w, "flushed policies", func(e *analyze.PolicyChange) bool {
		return e.Change == analyze.Flushed && e.Policy.Type == spd.Sub
	})
	ns.ip("xfrm state allocspi src fd00::2 dst fd00::1 proto ah mode transport reqid 4 min 0x100 max 0x100")
	ns.ip("xfrm state flush proto ah")
	awaitEvent(w, "flushed SAs", func(e *analyze.SAChange) bool {
		return e.Change == analyze.Flushed && e.SA.Proto == spd.ProtoAH
	})
}

func TestIntegrationWatchPolicyExpires(t *testing.T) {
	ns := newNS(t)
	w := ns.watch(Options{})
	ns.ip("xfrm policy add " + espPolicy + " limit time-hard 1" + espTemplate)
	e := awaitEvent(w, "hard expiry", func(e *analyze.Expire) bool { return e.Hard })
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
	awaitEvent(w, "INCOMPLETE", states("INCOMPLETE"))
	awaitEvent(w, "FAILED", states("FAILED"))
	ns.ip("neigh replace fd00::5 lladdr 02:00:00:00:00:05 dev ve0 nud permanent")
	e := awaitEvent(w, "PERMANENT", states("PERMANENT"))
	if e.Change != analyze.Updated || e.Neighbor.LinkAddr != "02:00:00:00:00:05" {
		t.Errorf("change %+v", e)
	}
	ns.ip("neigh del fd00::5 dev ve0")
	awaitEvent(w, "deletion", func(e *analyze.NeighborChange) bool { return e.Change == analyze.Deleted })
}

func TestIntegrationWatchCounters(t *testing.T) {
	ns := newNS(t).withLink()
	ns.ip("xfrm policy add " + espPolicy + espTemplate)
	w := ns.watch(Options{})
	ns.udp("fd00::2")
	e := awaitEvent(w, "XfrmOutNoStates", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
	if _, ok := e.Values["XfrmInNoStates"]; ok {
		t.Error("a counter that did not change is told")
	}
}

func TestIntegrationWatchRenewsSnapshot(t *testing.T) {
	ns := newNS(t).withLink()
	w := ns.watch(Options{})
	ns.ip("addr add fd00:77::1/64 dev ve0")
	awaitEvent(w, "new address", func(s *analyze.Snapshot) bool {
		for _, a := range s.Addresses {
			if a.Prefix.String() == "fd00:77::1/64" {
				return true
			}
		}
		return false
	})
	ns.sysctl("net/core/xfrm_larval_drop", "0")
	awaitEvent(w, "setting", func(s *analyze.Snapshot) bool { return s.Sysctls["net.core.xfrm_larval_drop"] == "0" })
	stop := ns.bypassSocket()
	awaitEvent(w, "socket policy", func(s *analyze.Snapshot) bool {
		return len(s.Policies) == 1 && s.Policies[0].Socket && s.Policies[0].Direction == spd.Out && s.Policies[0].Bypass()
	})
	stop()
	awaitEvent(w, "end of the socket policy", func(s *analyze.Snapshot) bool { return len(s.Policies) == 0 })
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
	awaitEvent(w, "policy", func(e *analyze.PolicyChange) bool { return true })
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
	s := awaitEvent(w, "snapshot", func(*analyze.Snapshot) bool { return true })
	if len(s.Missing) == 0 || len(s.Links) == 0 {
		t.Errorf("missing %q, links %v", s.Missing, s.Links)
	}
	if got := <-warned; got != noNetAdmin {
		t.Errorf("warned %q", got)
	}
	ns.udp("fd00::5")
	awaitEvent(w, "INCOMPLETE", func(e *analyze.NeighborChange) bool { return e.Neighbor.State == "INCOMPLETE" })
	ns.daemon()
	awaitEvent(w, "daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
