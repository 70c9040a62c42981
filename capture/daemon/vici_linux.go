package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/strongswan/govici/vici"
	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
)

// viciEvents are listened to; those that a daemon does not know are left out.
// The log comes last, so that the others cannot be missed for its noise.
var viciEvents = []string{"ike-updown", "child-updown", "ike-rekey", "child-rekey", "log"}

// viciQueue is how many events wait at most; govici drops what is beyond.
const viciQueue = 4096

// viciSession is one connection to strongSwan: two, in truth, since a list's
// events are not to stand in the way of the others.
type viciSession struct {
	*teller
	ctx      context.Context
	events   *vici.Session
	commands *vici.Session
	pace     *guard
	arrived  chan vici.Event
	where    string // the path of its socket

	held   holdings
	ends   map[string]ends // of IKE SAs, by their number
	order  []string        // of ends, the oldest first
	due    time.Time       // when the daemon is to be asked; zero: never
	next   time.Time       // when it may be asked
	tell   time.Time       // when it may be told again what was lost
	reload bool            // the connections too
}

// ends are what is known of an IKE SA besides its number.
type ends struct{ sa analyze.DaemonSA }

// askVici follows strongSwan until it ends or does not answer.
func askVici(t *teller) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	s := &viciSession{teller: t, ctx: ctx, arrived: make(chan vici.Event, viciQueue), ends: map[string]ends{}}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return fmt.Errorf("ask %s: %w", s.where, err)
	}
	return s.run()
}

// open connects twice; both connections end with the context.
func (s *viciSession) open() error {
	var err error
	var release func()
	s.events, release, err = s.connect(true)
	if err != nil {
		return err
	}
	if s.commands, _, err = s.connect(false); err != nil {
		return err
	}
	s.events.NotifyEvents(s.arrived)
	if err := s.subscribe(); err != nil {
		return fmt.Errorf("listen to %s: %w", s.where, err)
	}
	release()
	return nil
}

// connect opens one session, for events or for commands.
func (s *viciSession) connect(events bool) (*vici.Session, func(), error) {
	var g *guard
	session, err := vici.NewSession(vici.WithDialContext(
		func(context.Context, string, string) (net.Conn, error) {
			c, err := s.o.Reach.Vici()
			if err != nil {
				return nil, err
			}
			s.where = c.RemoteAddr().String()
			g = newGuard(c, events, !events)
			return g, nil
		}))
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(s.ctx, func() { session.Close() })
	if !events {
		s.pace = g
	}
	return session, g.release, nil
}

// checkPeer asks the kernel who listens.
func (p place) checkPeer(c net.Conn) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var who *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("ask who listens on %s: %w", p.path, failed)
	}
	return p.belongs(who.Uid, int(who.Pid))
}

// subscribe asks for the events. That none comes in between, the guard sees to;
// govici gives up after five seconds without an answer.
func (s *viciSession) subscribe() error {
	for _, name := range viciEvents {
		err := s.events.Subscribe(name)
		if err != nil && !strings.Contains(err.Error(), "unknown event") {
			return err
		}
	}
	return nil
}

// begin asks who it is and what it holds.
func (s *viciSession) begin() error {
	// Events that came meanwhile are handed on with the next answer.
	m, err := s.call(s.events, askVersion)
	if err != nil {
		return err
	}
	s.base.Version = text(m, "version")
	conns, err := s.connections()
	if err != nil {
		return err
	}
	sas, err := s.listSAs()
	if err != nil {
		return err
	}
	s.held.changed(conns, sas)
	s.holds(true, conns, sas, nil)
	s.next = time.Now().Add(askEvery)
	return nil
}

// call sends a command that has one answer.
func (s *viciSession) call(on *vici.Session, command string) (*vici.Message, error) {
	ctx, cancel := context.WithTimeout(s.ctx, answerTime)
	defer cancel()
	return on.Call(ctx, command, nil)
}

// stream sends a command that is answered by events, and calls f with each
// section of them.
func (s *viciSession) stream(command, event string, in *vici.Message, f func(string, *vici.Message)) error {
	ctx, cancel := context.WithTimeout(s.ctx, answerTime)
	defer cancel()
	for m, err := range s.commands.CallStreaming(ctx, command, event, in) {
		s.pace.took()
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		sections(m, func(name string, section *vici.Message) bool { f(name, section); return true })
	}
	return nil
}

// connections asks what is configured.
func (s *viciSession) connections() (all []analyze.Connection, err error) {
	err = s.stream(askConns, tellConn, nil, func(name string, m *vici.Message) {
		if len(all) < maxConnections {
			all = append(all, readConnection(name, m))
		}
	})
	return all, err
}

// listSAs asks for the SAs that the daemon is not at work on: to wait for those
// would hold it up.
func (s *viciSession) listSAs() (all []analyze.DaemonSA, err error) {
	in := vici.NewMessage()
	if err := in.Set("noblock", "yes"); err != nil {
		return nil, err
	}
	err = s.stream(askSAs, tellSA, in, func(name string, m *vici.Message) {
		if len(all) < maxSAs {
			sa := readSA(name, m)
			s.know(sa)
			all = append(all, sa)
		}
	})
	return all, err
}

// know remembers between whom an IKE SA is, for the lines that name its number
// alone.
func (s *viciSession) know(sa analyze.DaemonSA) {
	if sa.ID == "" {
		return
	}
	old, known := s.ends[sa.ID]
	if !known {
		if len(s.order) >= maxKnown {
			delete(s.ends, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, sa.ID)
	}
	if sa.InitiatorSPI == 0 {
		sa.InitiatorSPI = old.sa.InitiatorSPI
	}
	s.ends[sa.ID] = ends{analyze.DaemonSA{ID: sa.ID, Connection: sa.Connection, Local: sa.Local, Remote: sa.Remote, InitiatorSPI: sa.InitiatorSPI}}
}

// errEnded says that the daemon has closed the connection.
var errEnded = errors.New("it has ended")

// run takes events until the daemon ends or does not answer.
func (s *viciSession) run() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var due <-chan time.Time // of a quiet daemon nothing is
		if wait, ok := s.wait(time.Now()); ok {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case e, ok := <-s.arrived:
			if !ok {
				return errEnded
			}
			if len(s.arrived) == viciQueue {
				s.lost++ // and perhaps more: what comes while the queue is full is gone
			}
			s.event(&e)
		case now := <-due:
			s.account()
			s.tell = now.Add(askSettle)
			if s.due.IsZero() || now.Before(s.due) || now.Before(s.next) {
				continue
			}
			if err := s.ask(); err != nil {
				return err
			}
		}
	}
}

// wait returns how long nothing has to be done but to take events; ok is false where
// that is until the next one.
func (s *viciSession) wait(now time.Time) (wait time.Duration, ok bool) {
	if s.due.IsZero() {
		return 0, false
	}
	wait = max(s.due.Sub(now), s.next.Sub(now), 0)
	if s.lost > 0 { // that is told before the daemon may be asked
		wait = min(wait, max(s.due.Sub(now), s.tell.Sub(now), 0))
	}
	return wait, true
}

// ask asks what has changed.
func (s *viciSession) ask() error {
	started := time.Now()
	s.due = time.Time{}
	conns := slices.Collect(valuesOf(s.held.conns))
	whole := false
	if s.reload {
		var err error
		if conns, err = s.connections(); err != nil {
			return err
		}
		s.reload, whole = false, s.held.lost(conns)
	}
	sas, err := s.listSAs()
	if err != nil {
		return err
	}
	newConns, newSAs, gone := s.held.changed(conns, sas)
	if whole {
		newConns, newSAs, gone = conns, sas, nil
	}
	if len(newConns)+len(newSAs)+len(gone) > 0 || whole {
		s.holds(whole, newConns, newSAs, gone)
	}
	s.next = time.Now().Add(pause(time.Since(started)))
	return nil
}

// event takes an event of the daemon.
func (s *viciSession) event(e *vici.Event) {
	if s.due.IsZero() {
		s.due = time.Now().Add(askSettle)
	}
	if e.Name == "log" {
		s.line(e.Message)
		return
	}
	sections(e.Message, func(name string, m *vici.Message) bool {
		if id := text(m, "uniqueid"); id != "" {
			s.know(readSA(name, m))
		}
		return true
	})
}

// line takes a line of the log: group, level, message, and the IKE SA that the
// daemon is at work on. Levels above 1 are for the daemon's developers; from 3 on
// they show what is secret.
func (s *viciSession) line(m *vici.Message) {
	msg, _ := m.Get("msg").(string)
	if level := text(m, "level"); level != "0" && level != "1" && level != "-1" {
		return
	}
	id := text(m, "ikesa-uniqueid")
	if p := packetLine().FindStringSubmatch(cut(msg, maxLine)); p != nil && id != "" {
		local, remote := bracketed(p[2]), bracketed(p[3])
		if p[1] == "received" {
			local, remote = remote, local
		}
		s.know(analyze.DaemonSA{ID: id, Connection: text(m, "ikesa-name"), Local: local, Remote: remote})
		return
	}
	if strings.Contains(msg, "vici connection") || strings.Contains(msg, "loaded connection") {
		s.reload = true
	}
	y, ok := classify(msg)
	if !ok {
		return
	}
	s.say(s.whose(y, id, text(m, "ikesa-name")))
}

// whose adds what is known of the IKE SA that a saying is about.
func (s *viciSession) whose(y analyze.Saying, id, name string) analyze.Saying {
	y.SA = id
	if y.Connection = named(y.Connection); y.Connection == "" {
		y.Connection = named(name)
	}
	known := s.ends[id].sa
	y.SPI = known.InitiatorSPI
	if !y.Local.IsValid() {
		y.Local = known.Local
	}
	if known.Remote.IsValid() {
		y.Remote = known.Remote
	}
	return y
}
