package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
)

// whackPrograms are where distributions have the program; else `ipsec whack`.
var whackPrograms = []string{
	"/usr/libexec/ipsec/whack", "/usr/lib/ipsec/whack", "/usr/local/libexec/ipsec/whack",
}

const (
	maxWhackOutput = 32 << 20 // bytes of one answer
	wholeEvery     = 15       // answers of whack: then the connections are asked for too
	whackCalm      = 5 * time.Second
)

// whackSession is one daemon that is asked by whack, again and again: it tells
// nothing unasked.
type whackSession struct {
	*teller

	held   holdings
	conns  []analyze.Connection
	counts map[string]uint64
	begun  []analyze.DaemonSA // IKE SAs of the last answer that did not stand yet
	calm   int                // answers in which nothing was new
}

// askWhack follows libreswan until it ends or does not answer.
func askWhack(t *teller) error {
	s := &whackSession{teller: t}
	for n := 0; ; n++ {
		started := time.Now()
		if err := s.ask(n); err != nil {
			return err
		}
		s.account()
		wait := pause(time.Since(started))
		if s.calm > wholeEvery {
			wait = max(wait, whackCalm)
		}
		if sleep(t.ctx, wait); t.ctx.Err() != nil {
			return t.ctx.Err()
		}
	}
}

// ownPluto checks whose the socket is: its file's owner, and in which namespace
// the process is that pluto.pid beside it names. To connect and say nothing would
// leave a complaint in the daemon's log.
func (p place) ownPluto() error {
	if p.given {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(p.path, &st); err != nil {
		return fmt.Errorf("look at %s: %w", p.path, err)
	}
	pid := 0
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(p.path), "pluto.pid")); err == nil && len(b) < 32 {
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	return p.belongs(st.Uid, pid)
}

// findWhack returns how the program is called. The error is fs.ErrNotExist where
// there is none.
func findWhack() ([]string, error) {
	for _, path := range whackPrograms {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return []string{path}, nil
		}
	}
	path, err := exec.LookPath("ipsec")
	if err != nil {
		return nil, fmt.Errorf("find whack: %w", fs.ErrNotExist)
	}
	return []string{path, "whack"}, nil
}

// whack asks one question, and waits for the answer no longer than answerTime.
func (s *whackSession) whack(question string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, answerTime)
	defer cancel()
	answer, err := s.o.Reach.Whack(ctx, question)
	if err == nil {
		var text []byte
		text, err = io.ReadAll(io.LimitReader(answer, maxWhackOutput+1))
		if len(text) > maxWhackOutput {
			err = errors.New("whack answers without end")
		}
		if err = errors.Join(err, answer.Close()); err == nil {
			return string(text), nil
		}
	}
	switch {
	case ctx.Err() != nil && s.ctx.Err() == nil:
		return "", fmt.Errorf("whack %s: no answer within %v", question, answerTime)
	case errors.Is(err, ErrNotThere) && s.heard:
		return "", errEnded
	}
	return "", err
}

// ask asks what the daemon holds and what has failed since it was last asked.
func (s *whackSession) ask(n int) error {
	status, err := s.status(n%wholeEvery == 0 || len(s.conns) == 0)
	if err == nil && status.strange() {
		status, err = s.status(true)
	}
	if err != nil {
		return err
	}
	if status.version != "" {
		s.base.Version = status.version
	}
	s.calm++
	s.tell(status, n == 0)
	return s.count(status)
}

// status asks for the states, and for the connections where all is wanted.
func (s *whackSession) status(all bool) (*whackStatus, error) {
	question, known := "--showstates", s.conns
	if all {
		question, known = "--status", nil
	}
	out, err := s.whack(question)
	if err != nil {
		return nil, err
	}
	return parseWhack(out, known), nil
}

// tell tells what is new of what the daemon holds.
func (s *whackSession) tell(status *whackStatus, first bool) {
	whole := first || s.held.lost(status.conns)
	conns, sas, gone := s.held.changed(status.conns, status.sas)
	s.conns = status.conns
	if whole {
		conns, sas, gone = status.conns, status.sas, nil
	}
	if whole || len(conns)+len(sas)+len(gone) > 0 {
		s.calm = 0
		s.holds(whole, conns, sas, gone)
	}
}

// count tells what the counters say has failed.
func (s *whackSession) count(status *whackStatus) error {
	out, err := s.whack("--globalstatus")
	if err != nil {
		return err
	}
	counts := parseCounts(out)
	if s.counts != nil {
		for _, y := range rises(s.counts, counts) {
			s.calm = 0
			s.say(s.whose(y, status))
		}
	}
	s.counts, s.begun = counts, unfinished(status.sas)
	return nil
}

// whose finds out which connection it was that failed, where only one can be
// meant: the only one of which an IKE SA did not stand yet, before or now, or the
// only one that there is.
func (s *whackSession) whose(y analyze.Saying, status *whackStatus) analyze.Saying {
	var only *analyze.DaemonSA
	all := append(unfinished(status.sas), s.begun...)
	for i := range all {
		if only != nil && only.Connection != all[i].Connection {
			return y
		}
		only = &all[i]
	}
	switch {
	case only != nil:
		y.Connection, y.SA, y.Local, y.Remote = only.Connection, only.ID, only.Local, only.Remote
	case len(status.conns) == 1:
		y.Connection = status.conns[0].Name
		y.Local, y.Remote = connectionEnds(&status.conns[0])
	}
	return y
}
