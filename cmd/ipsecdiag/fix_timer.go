package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"ipsecdiag/rules/remedy/apply"
)

// arm sets the timer that undoes an application unless it was confirmed: before
// the first step, since that may cut off whoever watches. Where systemd runs it
// is a transient timer, else a process of its own session; either outlives the
// SSH session.
func (r *fixRun) arm(e *apply.Entry) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("set the timer for undoing: %w", err)
	}
	dir, err := filepath.Abs(r.journal.Dir())
	if err != nil {
		return fmt.Errorf("set the timer for undoing: %w", err)
	}
	args := []string{"fix", "undo", strconv.Itoa(e.ID), "--unless-confirmed", "--journal", dir}
	left := max(time.Until(e.Deadline), time.Second)
	if netns, ok := r.reachable(); ok && r.armSystemd(e, program, append(args, netns...), left) == nil {
		return nil
	}
	namespace := ""
	if r.netns != "" {
		namespace = absoluteNetns(r.netns)
		args = append(args, "--netns", namespace)
	}
	if err := detach(program, append(args, "--after", left.String()), namespace); err != nil {
		return fmt.Errorf("set the timer for undoing: %w", err)
	}
	return nil
}

// absoluteNetns makes a path independent of the working directory.
func absoluteNetns(name string) string {
	if filepath.Base(name) == name {
		return name
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// reachable returns the arguments by which a process that systemd starts finds
// this namespace. ok is false where it cannot.
func (r *fixRun) reachable() (args []string, ok bool) {
	if r.netns != "" {
		return []string{"--netns", absoluteNetns(r.netns)}, true
	}
	_, here, err := r.kernel.Place()
	if err != nil {
		return nil, false
	}
	switch path, found := findNamespace(here); {
	case !found:
		return nil, false
	case path == initNamespace:
		return nil, true
	default:
		return []string{"--netns", path}, true
	}
}

// armSystemd makes a transient timer (systemd-run(1)).
func (r *fixRun) armSystemd(e *apply.Entry, program string, args []string, left time.Duration) error {
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() { // sd_booted(3)
		return fmt.Errorf("systemd does not run")
	}
	words := append([]string{
		"--quiet", "--collect", "--unit=" + timerUnit(r.journal.Dir(), e.ID),
		fmt.Sprintf("--on-active=%ds", int(left.Seconds())), "--timer-property=AccuracySec=1s",
		fmt.Sprintf("--description=undo what ipsecdiag fix applied as number %d", e.ID), "--", program,
	}, args...)
	return exec.Command("systemd-run", words...).Run()
}

// timerUnit names the unit of an application's timer, for one journal of many.
func timerUnit(dir string, id int) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return fmt.Sprintf("ipsecdiag-undo-%d-%x", id, sha256.Sum256([]byte(dir)))[:len("ipsecdiag-undo-")+len(strconv.Itoa(id))+9]
}

// disarm takes back a transient timer that is not needed any more. One that
// stays finds nothing to do.
func disarm(dir string, id int) {
	if info, err := os.Stat("/run/systemd/system"); err == nil && info.IsDir() {
		_ = exec.Command("systemctl", "--quiet", "stop", timerUnit(dir, id)+".timer").Run()
	}
}
