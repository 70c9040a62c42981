package kernel

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// acquirer is the membership of our XFRM socket in the ACQUIRE group. While it
// is a member the kernel takes it for a key manager (km_is_alive:
// xfrm_acquire_is_on) and makes larval SAs. It is the socket that SA changes
// come through, so that an ACQUIRE is seen before the SA that answers it.
type acquirer struct {
	mode    AcquireMode
	socket  *socket
	joined  bool
	daemons map[int]int // PID → pidfd, readable once the process has ended
	came    bool        // an ACQUIRE came since the last look at who listens
	checked time.Time
}

// start joins where the mode says so, and tells what that means.
func (a *acquirer) start(o Options, s *socket, who []analyze.Listener) error {
	a.mode, a.socket = o.Acquire, s
	switch {
	case a.mode == AcquireAlways:
		o.Warn(warnAlways(o.Netns))
	case a.mode == AcquireAuto && !a.wanted(who):
		o.Warn(warnNoDaemon)
	}
	return a.follow(who)
}

// wanted reports whether we should be in the group.
func (a *acquirer) wanted(who []analyze.Listener) bool {
	return a.mode == AcquireAlways || a.mode == AcquireAuto && answering(who)
}

// follow joins when an IKE daemon has appeared and leaves when the last is gone.
func (a *acquirer) follow(who []analyze.Listener) error {
	if a.socket == nil {
		return nil
	}
	if want := a.wanted(who); want != a.joined {
		if err := a.socket.member(nl.XFRMNLGRP_ACQUIRE, want); err != nil {
			return err
		}
		a.joined = want
	}
	if !a.joined || a.mode != AcquireAuto {
		who = nil
	}
	a.guard(who)
	return nil
}

// guard has the end of a daemon's process wake us, so that we do not stay in
// the group alone until the next poll.
func (a *acquirer) guard(who []analyze.Listener) {
	alive := map[int]int{}
	for _, l := range who {
		fd, ok := a.daemons[l.PID]
		if l.PID == 0 || l.Monitor {
			continue
		}
		if !ok {
			var err error
			if fd, err = unix.PidfdOpen(l.PID, 0); err != nil {
				continue // gone, or an old kernel: the poll will see it
			}
		}
		alive[l.PID] = fd
	}
	for pid, fd := range a.daemons {
		if _, ok := alive[pid]; !ok {
			unix.Close(fd)
		}
	}
	a.daemons = alive
}

// ended stops guarding the process whose pidfd became readable and returns its
// PID.
func (a *acquirer) ended(pidfd int) (pid int) {
	for pid, fd := range a.daemons {
		if fd == pidfd {
			unix.Close(fd)
			delete(a.daemons, pid)
			return pid
		}
	}
	return 0
}

// fds returns the pidfds.
func (a *acquirer) fds() []int {
	var fds []int
	for _, fd := range a.daemons {
		fds = append(fds, fd)
	}
	return fds
}

// recheckEvery bounds how often ACQUIREs make us look who listens.
const recheckEvery = 100 * time.Millisecond

// recheck reports whether to look who else listens, since an ACQUIRE came: with
// us alone in the group the kernel would go on making larval SAs.
func (a *acquirer) recheck() bool {
	if !a.came || a.mode != AcquireAuto || time.Since(a.checked) < recheckEvery {
		return false
	}
	a.came, a.checked = false, time.Now()
	return true
}

// warnNoDaemon is told where auto mode stays out of the group.
const warnNoDaemon = "no IKE daemon listens for ACQUIREs: larval SAs are watched by dumps until one does, " +
	"since a listener would make the kernel create them"

// warnAlways is told in always mode.
func warnAlways(netns string) string {
	where := "this host"
	if netns != "" {
		where = "network namespace " + netns
	}
	return fmt.Sprintf("--acquire always: the kernel of %s now makes larval SAs and sends ACQUIREs "+
		"because this program listens", where)
}
