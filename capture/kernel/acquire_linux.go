package kernel

import (
	"time"

	"ipsecdiag/analyze"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// acquirer is our membership in the ACQUIRE group. It has a socket of its own:
// while that is open the kernel takes it for a key manager (km_is_alive:
// xfrm_acquire_is_on) and makes larval SAs.
type acquirer struct {
	mode    AcquireMode
	socket  *socket     // nil while not joined
	daemons map[int]int // PID → pidfd, readable once the process has ended
	checked time.Time
}

// start joins where the mode says so, and tells what that means.
func (a *acquirer) start(o Options, who []analyze.Listener) error {
	a.mode = o.Acquire
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
func (a *acquirer) follow(who []analyze.Listener) (err error) {
	if !a.wanted(who) {
		a.leave()
		return nil
	}
	if a.socket == nil {
		if a.socket, err = openSocket(unix.NETLINK_XFRM, nl.XFRMNLGRP_ACQUIRE); err != nil {
			return err
		}
	}
	if a.mode == AcquireAuto {
		a.guard(who)
	}
	return nil
}

// leave closes the socket, which ends the membership.
func (a *acquirer) leave() {
	if a.socket != nil {
		a.socket.close()
		a.socket = nil
	}
	a.guard(nil)
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

func (a *acquirer) fds() []int {
	var fds []int
	if a.socket != nil {
		fds = append(fds, a.socket.fd)
	}
	for _, fd := range a.daemons {
		fds = append(fds, fd)
	}
	return fds
}

// recheckEvery bounds how often ACQUIREs make us look who listens.
const recheckEvery = 100 * time.Millisecond

// recheck reports whether it is time to look who else listens.
func (a *acquirer) recheck() bool {
	if a.mode != AcquireAuto || time.Since(a.checked) < recheckEvery {
		return false
	}
	a.checked = time.Now()
	return true
}
