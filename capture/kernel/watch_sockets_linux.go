package kernel

import (
	"errors"
	"fmt"
	"os"

	"ipsecdiag/analyze"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// xfrmGroups are the multicast groups that change nothing by being listened to.
var xfrmGroups = []int{nl.XFRMNLGRP_EXPIRE, nl.XFRMNLGRP_SA, nl.XFRMNLGRP_POLICY, nl.XFRMNLGRP_MIGRATE}

var routeGroups = []int{
	unix.RTNLGRP_NEIGH, unix.RTNLGRP_LINK,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
}

// open subscribes to everything, before the first dump.
func (w *watcher) open() error {
	if err := w.checkNamespace(); err != nil {
		return err
	}
	var err error
	if w.route, err = openSocket(unix.NETLINK_ROUTE, routeGroups...); err != nil {
		return err
	}
	w.xfrm, err = openSocket(unix.NETLINK_XFRM, xfrmGroups...)
	switch {
	case errors.Is(err, os.ErrPermission):
		w.o.Warn(noNetAdmin)
	case err != nil:
		w.o.Warn(fmt.Sprintf("policies, SAs and ACQUIREs cannot be read: %v", explain(err)))
	}
	if w.who, err = w.listeners.read(); err != nil {
		w.o.Warn(fmt.Sprintf("cannot tell who listens for ACQUIREs: %v", err))
	}
	if w.xfrm == nil {
		return nil
	}
	return w.acquire.start(w.o, w.xfrm, w.who)
}

func (w *watcher) closeSockets() {
	w.acquire.guard(nil)
	for _, s := range []*socket{w.xfrm, w.route} {
		if s != nil {
			s.close()
		}
	}
}

// fds are what step waits for.
func (w *watcher) fds() []int {
	fds := []int{w.route.fd}
	if w.xfrm != nil {
		fds = append(fds, w.xfrm.fd)
	}
	return append(fds, w.acquire.fds()...)
}

// readable empties a socket.
func (w *watcher) readable(fd int) error {
	switch {
	case fd == w.route.fd:
		return w.drain(w.route, "neighbour and route changes", w.routeMessage)
	case w.xfrm != nil && fd == w.xfrm.fd:
		if err := w.drainXFRM(); err != nil || !w.acquire.recheck() {
			return err
		}
		return w.pollListeners()
	default: // a daemon's process ended
		w.listeners.forget(w.acquire.ended(fd))
		return w.pollListeners()
	}
}

// drain handles everything that waits in a socket. An overrun is told as Lost.
func (w *watcher) drain(s *socket, what string, handle func(message) error) error {
	var first error
	err := s.drain(func(m message) {
		if first == nil {
			first = handle(m)
		}
	})
	switch {
	case first != nil:
		return first
	case errors.Is(err, errOverrun):
		return w.lost(fmt.Sprintf("%v: %s", errOverrun, what))
	case err != nil:
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// drainXFRM handles what waits in the socket of NETLINK_XFRM.
func (w *watcher) drainXFRM() error {
	return w.drain(w.xfrm, "policy and SA changes", w.xfrmMessage)
}

// xfrmMessage handles one notification of NETLINK_XFRM.
func (w *watcher) xfrmMessage(m message) error {
	if m.kind == nl.XFRM_MSG_MIGRATE { // changes policies and SAs without saying how
		w.renewSoon(renewDebounce)
		return nil
	}
	e, err := decodeXFRM(m.kind, m.data)
	if err != nil {
		return w.lost(fmt.Sprintf("netlink message not understood: %v", err))
	}
	switch e := e.(type) {
	case nil:
		return nil
	case *analyze.SAChange:
		w.young.notified(e)
		w.refused.notified(e.Change, &e.SA)
	case *analyze.Expire:
		if e.Hard && e.SA != nil {
			w.young.forget(e.SA)
			w.refused.notified(analyze.Deleted, e.SA)
		}
	case *analyze.Acquire:
		w.acquire.came = true
		w.young.due = true // the next poll sees the larval SA that came with it
	}
	return w.emit(e)
}

// routeMessage handles one notification of NETLINK_ROUTE. Links, addresses and
// routes change seldom: a fresh snapshot tells of them.
func (w *watcher) routeMessage(m message) error {
	switch m.kind {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		return w.neighborMessage(m)
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
		w.renewSoon(renewDebounce)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if routes, err := decodeRoutes(m.data); err != nil || len(routes) > 0 {
			w.renewSoon(renewDebounce)
		}
	}
	return nil
}

func (w *watcher) neighborMessage(m message) error {
	n, ok, err := decodeUnicastNeighbor(m.data)
	if err != nil {
		return w.lost(fmt.Sprintf("netlink message not understood: %v", err))
	}
	if !ok {
		return nil
	}
	if e := w.neighbors.notified(n, m.kind == unix.RTM_DELNEIGH); e != nil {
		return w.emit(e)
	}
	return nil
}
