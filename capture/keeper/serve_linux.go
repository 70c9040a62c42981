package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/daemon"
)

// Service is what a keeper does for the other process.
type Service struct {
	// State is what is in force for this process.
	State string
	// Events yields what the kernel tells, from when it is called. Warnings go
	// to warn.
	Events func(ctx context.Context, warn func(string)) iter.Seq2[analyze.Event, error]
	// Reach reaches the IKE daemons.
	Reach daemon.Reach
	// Tracked opens the table of tracked connections.
	Tracked func() (*os.File, error)
	// NextFile and NewFile make files for recordings.
	NextFile, NewFile func() (name string, f *os.File, err error)
}

// The file descriptors with which a keeper is executed.
const (
	requestsFD = 3
	linesFD    = 4
)

// Link is a keeper's side of the connection.
type Link struct {
	requests *net.UnixConn
	lines    *os.File
}

// Connect takes the connection that Start has made for this process, and returns
// it with the configuration.
func Connect() (l *Link, config []byte, err error) {
	c, err := packets(requestsFD)
	if err != nil {
		return nil, nil, fmt.Errorf("this is for ipsecdiag watch: %w", err)
	}
	unix.CloseOnExec(linesFD)
	l = &Link{requests: c, lines: os.NewFile(linesFD, "lines")}
	config = make([]byte, maxConfig)
	n, err := c.Read(config)
	return l, config[:n], err
}

// packets makes a connection of a socket of whole packets.
func packets(fd uintptr) (*net.UnixConn, error) {
	file := os.NewFile(fd, "requests")
	if file == nil {
		return nil, os.ErrInvalid
	}
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, os.ErrInvalid
	}
	return u, nil
}

// server is a keeper at work.
type server struct {
	Service
	*Link
	ctx  context.Context
	busy chan struct{} // bounds the requests under way

	vicis  atomic.Int32 // connections to strongSwan
	whacks atomic.Int32 // questions to libreswan that are still being answered

	mu    sync.Mutex // of lines
	out   *bufio.Writer
	begun sync.Once
}

// maxBusy is how many requests are served at once.
const maxBusy = 8

// Serve serves the other process until that ends.
func (l *Link) Serve(s Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := &server{Service: s, Link: l, ctx: ctx, busy: make(chan struct{}, maxBusy), out: bufio.NewWriterSize(l.lines, 64<<10)}
	if err := v.text(lineState, s.State); err != nil {
		return err
	}
	for {
		var request [requestBytes]byte
		n, err := l.requests.Read(request[:])
		switch {
		case errors.Is(err, io.EOF):
			return nil // the other process has ended
		case err != nil:
			return fmt.Errorf("read a request: %w", err)
		case n != requestBytes:
			return errors.New("read a request: it is too short")
		}
		v.busy <- struct{}{}
		go func() {
			defer func() { <-v.busy }()
			v.serve(request[0], request[1])
		}()
	}
}

// Fail tells the other process why this one cannot serve it.
func (l *Link) Fail(err error) {
	v := &server{Link: l, out: bufio.NewWriter(l.lines)}
	_ = v.text(lineError, err.Error()) // it sees that we end
}

// serve does what one request asks for.
func (s *server) serve(what, id byte) {
	a := answer{ID: id}
	var files []*os.File
	var err error
	switch {
	case what == askEvents:
		s.begun.Do(func() { go s.events() })
	case what == askVici:
		a.Name, files, err = s.vici()
	case what == askTracked:
		var table *os.File
		table, err = s.Tracked()
		_, files, err = opened("", table, err)
	case what == askNextFile:
		a.Name, files, err = opened(s.NextFile())
	case what == askNewFile:
		a.Name, files, err = opened(s.NewFile())
	case what >= firstWhack && int(what-firstWhack) < len(whackQuestions):
		files, err = s.whack(whackQuestions[what-firstWhack])
	default:
		err = errors.New("no such request")
	}
	a.fail(err)
	_ = a.send(s.requests, files) // that the other process has ended is seen elsewhere
	for _, f := range files {
		f.Close()
	}
}

func opened(name string, f *os.File, err error) (string, []*os.File, error) {
	if err != nil {
		return "", nil, err
	}
	return name, []*os.File{f}, nil
}

// events tells events until they or this process end.
func (s *server) events() {
	warn := func(text string) { _ = s.text(lineWarn, text) }
	for e, err := range s.Events(s.ctx, warn) {
		if err != nil {
			_ = s.text(lineError, err.Error())
			return
		}
		line, err := analyze.EncodeEvent(e)
		if err != nil {
			warn(err.Error())
			continue
		}
		if s.line(lineEvent, line) != nil {
			return
		}
	}
}

// text writes a line of text.
func (s *server) text(kind byte, text string) error {
	line, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return s.line(kind, line)
}

func (s *server) line(kind byte, line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.WriteByte(kind)
	s.out.Write(line)
	s.out.WriteByte('\n')
	return s.out.Flush()
}

// maxVici is how many connections to strongSwan there may be at once: a session
// has two, and those of the session before may be about to end.
const maxVici = 8

// vici connects to strongSwan. The other process gets one end of a pair of
// sockets, and its questions pass to the daemon, whose path is the name.
func (s *server) vici() (name string, files []*os.File, err error) {
	if s.vicis.Add(1) > maxVici {
		s.vicis.Add(-1)
		return "", nil, errors.New("too many connections to strongSwan")
	}
	name, files, err = s.relay()
	if err != nil {
		s.vicis.Add(-1)
	}
	return name, files, err
}

func (s *server) relay() (name string, files []*os.File, err error) {
	daemons, err := s.Reach.Vici()
	if err != nil {
		return "", nil, err
	}
	ours, theirs, err := streams()
	if err != nil {
		daemons.Close()
		return "", nil, err
	}
	go func() {
		defer s.vicis.Add(-1)
		if err := daemon.Relay(ours, daemons); err != nil {
			_ = s.text(lineWarn, err.Error()) // that the other process has ended is seen elsewhere
		}
	}()
	return daemons.RemoteAddr().String(), []*os.File{theirs}, nil
}

// streams returns the two ends of a connection.
func streams() (ours net.Conn, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs = os.NewFile(uintptr(pair[1]), "their end")
	our := os.NewFile(uintptr(pair[0]), "our end")
	defer our.Close()
	if ours, err = net.FileConn(our); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Bounds on asking libreswan: the time of one answer of whack, and of taking it, and
// how many there may be at once. The other process asks one after the other, and one
// that it has given up may go on for as long.
const (
	whackWithin = 30 * time.Second
	maxWhacks   = 4
)

// whack has whack asked. What it prints goes through one pipe, and then why it
// has failed through another.
func (s *server) whack(question string) ([]*os.File, error) {
	if s.whacks.Add(1) > maxWhacks {
		s.whacks.Add(-1)
		return nil, errors.New("whack is asked too often at once")
	}
	ctx, cancel := context.WithTimeout(s.ctx, whackWithin)
	end := func() {
		cancel()
		s.whacks.Add(-1)
	}
	answer, err := s.Reach.Whack(ctx, question)
	if err != nil {
		end()
		return nil, err
	}
	text, textEnd, err1 := os.Pipe()
	why, whyEnd, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		end()
		answer.Close()
		return nil, err
	}
	go func() {
		defer end()
		passWhack(answer, textEnd, whyEnd)
	}()
	return []*os.File{text, why}, nil
}

// passWhack hands on what whack prints, and then why it has failed.
func passWhack(answer io.ReadCloser, text, why *os.File) {
	_ = text.SetDeadline(time.Now().Add(whackWithin))
	_, _ = io.Copy(text, answer) // who reads it sees that it is short
	text.Close()
	if err := answer.Close(); err != nil {
		_, _ = why.WriteString(err.Error())
	}
	why.Close()
}

// answer is what is said to a request, besides file descriptors.
type answer struct {
	ID    byte   `json:"id"`
	Name  string `json:"name,omitempty"` // of a file, or a socket
	Error string `json:"error,omitempty"`
	// Kind is what errors.Is is to find in the error.
	Kind string `json:"kind,omitempty"`
}

// kinds are errors that the other process acts upon.
var kinds = []struct {
	name string
	err  error
}{
	{"not-there", daemon.ErrNotThere}, {"refused", unix.ECONNREFUSED}, {"missing", fs.ErrNotExist}, {"full", unix.ENOSPC},
}

func (a *answer) fail(err error) {
	if err == nil {
		return
	}
	a.Error = err.Error()
	if len(a.Error) > maxError {
		a.Error = a.Error[:maxError]
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			a.Kind = k.name
			return
		}
	}
}

// Bounds on what is sent at once, bytes.
const (
	maxConfig = 64 << 10
	maxError  = 2 << 10
	maxAnswer = 16 << 10
)

func (a *answer) send(c *net.UnixConn, files []*os.File) error {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(line, rights, nil)
	return err
}
