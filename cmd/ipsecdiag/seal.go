package main

import (
	"fmt"
	"time"

	"ipsecdiag/capture/confine"
)

// sealed is called when a process has been locked in, kept when the keeper of a
// watch has given up its privileges. A program that is built for tests tries there
// what must fail.
var sealed, kept = func() {}, func() {}

// seal locks this process in, before it reads the first byte that a stranger may
// have sent: what it needs is open, and from now on it can open nothing, run
// nothing, and call nobody. It has no capability, and is not root.
func (io streams) seal() error {
	// The time zone's file is read when it is needed first, which would be too late.
	if _, err := time.ParseInLocation(time.DateOnly, "2000-01-01", time.Local); err != nil {
		return err
	}
	s, err := confine.Process(confine.Options{Nobody: true, Calls: confine.Sealed})
	if err != nil {
		return fmt.Errorf("lock the process in: %w", err)
	}
	io.verbosely("what was captured is read by " + s.String())
	sealed()
	return nil
}

// keepNetAdmin gives up all privileges but CAP_NET_ADMIN, which the kernel asks
// for with each request about policies and SAs.
func (io streams) keepNetAdmin() error {
	s, err := confine.Process(confine.Options{Keep: []confine.Capability{confine.NetAdmin}, Calls: confine.AllCalls})
	if err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	io.verbosely("the kernel is read by " + s.String())
	return nil
}

// verbosely says what only --verbose wants to know.
func (io streams) verbosely(text string) {
	if io.verbose != nil && *io.verbose {
		io.say(text)
	}
}
