//go:build linux

package kernel

import (
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

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
	awaitEvent(w, "lost packet", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
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
	awaitEvent(w, "monitor", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 && e.Listeners[0].Monitor })
	if n := ns.acquireGroup(); n != 1 {
		t.Errorf("%d sockets in the ACQUIRE group beside ip xfrm monitor, want 1", n)
	}
	stopMonitor()

	stop := ns.daemon()
	awaitEvent(w, "daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 1 && !e.Listeners[0].Monitor })
	eventually(t, "joined the group", func() bool { return ns.acquireGroup() == 2 })
	ns.udp("fd00::2")
	a := awaitEvent(w, "ACQUIRE", func(*analyze.Acquire) bool { return true })
	if a.Src.String() != "fd00::1" || a.Dst.String() != "fd00::2" || a.Proto != spd.ProtoESP || a.Sequence == 0 ||
		a.Selector.Proto != spd.ProtoUDP || a.Selector.DstPort != 9 || a.Policy.Selector.Dst.String() != "fd00::2/128" ||
		len(a.Policy.Templates) != 1 || a.Policy.Direction != spd.Out {
		t.Errorf("ACQUIRE %+v", a)
	}
	awaitEvent(w, "larval SA", func(e *analyze.SAChange) bool { return e.Change == analyze.Added && e.SA.Larval() })

	stop()
	awaitEvent(w, "end of the daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 0 })
	eventually(t, "left the group", func() bool { return ns.acquireGroup() == 0 })
	ns.ip("xfrm state flush")
	ns.udp("fd00::2")
	awaitEvent(w, "lost packet", func(e *analyze.Counters) bool { return e.Values["XfrmOutNoStates"] > 0 })
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
	awaitEvent(w, "end of the daemon", func(e *analyze.Daemon) bool { return len(e.Listeners) == 0 })
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
	awaitEvent(w, "larval SA", larval(analyze.Added))
	ns.ip("xfrm state allocspi src fd00::2 dst fd00::1 proto esp mode transport reqid 4 min 0x100 max 0x100")
	awaitEvent(w, "reserved SPI", func(e *analyze.SAChange) bool { return e.Change == analyze.Added && e.SA.Reserved() })
	ns.ip("xfrm state delete src fd00::2 dst fd00::1 proto esp spi 0x100")
	awaitEvent(w, "deleted SPI", func(e *analyze.SAChange) bool { return e.Change == analyze.Deleted && e.SA.Reserved() })
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
	awaitEvent(w, "ACQUIRE", func(*analyze.Acquire) bool { return true })
	e := awaitEvent(w, "expiry", func(e *analyze.Expire) bool { return e.Hard })
	if e.SA == nil || e.Policy != nil || !e.SA.Larval() || e.SA.ReqID != 1 {
		t.Errorf("expiry %+v", e)
	}
}
