package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/daemon"
)

// Keeper is the other process. It satisfies daemon.Reach.
type Keeper struct {
	State string // what is in force for it

	cmd   *exec.Cmd
	ended chan struct{} // closed once it has
	why   error         // good then
	lines *bufio.Reader
	pipe  *os.File

	requests *net.UnixConn
	mu       sync.Mutex
	last     byte
	waiting  map[byte]chan reply
	gone     error // why no answer comes any more
}

// reply is an answer with what came with it.
type reply struct {
	answer
	files []*os.File
}

// Start executes a command as the keeper, in a session of its own: what is
// pressed on the terminal is not for it. It returns once that is ready.
func Start(cmd *exec.Cmd, config []byte) (*Keeper, error) {
	k := &Keeper{cmd: cmd, ended: make(chan struct{}), waiting: map[byte]chan reply{}}
	if err := k.start(config); err != nil {
		return nil, fmt.Errorf("start the process that keeps CAP_NET_ADMIN: %w", err)
	}
	return k, nil
}

func (k *Keeper) start(config []byte) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "requests")
	defer theirs.Close()
	if k.requests, err = packets(uintptr(pair[0])); err != nil {
		return err
	}
	pipe, end, err := os.Pipe()
	if err != nil {
		return err
	}
	defer end.Close()
	k.pipe, k.lines = pipe, bufio.NewReaderSize(pipe, 64<<10)
	k.cmd.ExtraFiles = []*os.File{theirs, end}
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := k.cmd.Start(); err != nil {
		return err
	}
	go func() {
		k.why = k.cmd.Wait()
		close(k.ended)
	}()
	theirs.Close()
	end.Close()
	if _, err := k.requests.Write(config); err != nil {
		return k.died(err)
	}
	kind, text, err := k.line()
	if err == nil && kind != lineState {
		err = said(text)
	}
	if err != nil {
		return k.died(err)
	}
	go k.answers()
	return json.Unmarshal(text, &k.State)
}

// line reads one line.
func (k *Keeper) line() (kind byte, text []byte, err error) {
	line, err := k.lines.ReadBytes('\n')
	if err != nil {
		return 0, nil, err
	}
	return line[0], line[1:], nil
}

// said returns an error that a line tells.
func said(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	return errors.New(s)
}

// died says, of an error that comes of the keeper's end, why that has ended.
func (k *Keeper) died(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return err
	}
	const soon = 5 * time.Second // the pipe ends a moment before the process
	select {
	case <-k.ended:
	case <-time.After(soon):
	}
	reason := "it closed its end"
	select {
	case <-k.ended:
		reason = k.cmd.ProcessState.String()
	default:
	}
	return fmt.Errorf("the process that keeps CAP_NET_ADMIN has ended: %s", reason)
}

// Events yields what the kernel tells from now on, until the context ends. It can
// be called once.
func (k *Keeper) Events(ctx context.Context, warn func(string)) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) {
		stop := context.AfterFunc(ctx, func() { _ = k.pipe.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		if _, err := k.ask(askEvents); err != nil {
			yield(nil, err)
			return
		}
		for {
			kind, text, err := k.line()
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(nil, k.died(err))
				return
			}
			switch kind {
			case lineWarn:
				warn(said(text).Error())
			case lineError:
				yield(nil, said(text))
				return
			case lineEvent:
				e, err := analyze.DecodeEvent(text)
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// ask asks for something, and waits for the answer.
func (k *Keeper) ask(what byte) (reply, error) {
	c := make(chan reply, 1)
	id, err := k.expect(c)
	if err != nil {
		return reply{}, err
	}
	if _, err := k.requests.Write([]byte{what, id}); err != nil {
		return reply{}, k.died(err)
	}
	r, ok := <-c
	if !ok {
		return reply{}, k.gone
	}
	return r, r.err()
}

// expect gives an answer that is to come a number.
func (k *Keeper) expect(c chan reply) (id byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		return 0, k.gone
	}
	for range 256 {
		k.last++
		if _, taken := k.waiting[k.last]; !taken {
			k.waiting[k.last] = c
			return k.last, nil
		}
	}
	return 0, errors.New("too much is asked for at once")
}

// answers hands answers to who waits for them.
func (k *Keeper) answers() {
	for {
		r, err := k.receive()
		k.mu.Lock()
		if err != nil {
			k.gone = err
			for _, c := range k.waiting {
				close(c)
			}
			k.mu.Unlock()
			return
		}
		c, ok := k.waiting[r.ID]
		delete(k.waiting, r.ID)
		k.mu.Unlock()
		if ok {
			c <- r
		}
	}
}

// receive reads one answer.
func (k *Keeper) receive() (r reply, err error) {
	line, rights := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(4*8))
	n, m, _, _, err := k.requests.ReadMsgUnix(line, rights)
	if err != nil {
		return r, k.died(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return r, err
	}
	for _, message := range messages {
		fds, err := unix.ParseUnixRights(&message)
		if err != nil {
			return r, err
		}
		for _, fd := range fds {
			_ = unix.SetNonblock(fd, true) // a pipe can be waited for, with a deadline, only so
			r.files = append(r.files, os.NewFile(uintptr(fd), "from the keeper"))
		}
	}
	return r, json.Unmarshal(line[:n], &r.answer)
}

// err is why the answer is none.
func (r *reply) err() error {
	if r.Error == "" {
		return nil
	}
	for _, k := range kinds {
		if k.name == r.Kind {
			return &refusal{r.Error, k.err}
		}
	}
	return errors.New(r.Error)
}

// refusal is an error of the keeper, in its words, that wraps a known one.
type refusal struct {
	text string
	err  error
}

func (e *refusal) Error() string { return e.text }

func (e *refusal) Unwrap() error { return e.err }

// take returns so many files of an answer.
func (r *reply) take(n int) ([]*os.File, error) {
	if len(r.files) != n {
		for _, f := range r.files {
			f.Close()
		}
		return nil, fmt.Errorf("the keeper sent %d files, not %d", len(r.files), n)
	}
	return r.files, nil
}

// Vici satisfies daemon.Reach. The connection takes questions and no commands.
func (k *Keeper) Vici() (net.Conn, error) {
	name, end, err := k.file(askVici)
	if err != nil {
		return nil, err
	}
	return &relayed{end, &net.UnixAddr{Name: name, Net: "unix"}}, nil
}

// relayed is a connection to a daemon by way of the keeper. It is used as the file
// that it came as: this process can make no second descriptor of one.
type relayed struct {
	*os.File
	daemon net.Addr
}

// LocalAddr and RemoteAddr satisfy net.Conn; the latter is the daemon's socket.
func (c *relayed) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (c *relayed) RemoteAddr() net.Addr { return c.daemon }

// Whack satisfies daemon.Reach.
func (k *Keeper) Whack(ctx context.Context, question string) (io.ReadCloser, error) {
	for i, known := range whackQuestions {
		if question != known {
			continue
		}
		r, err := k.ask(firstWhack + byte(i))
		if err != nil {
			return nil, err
		}
		files, err := r.take(2)
		if err != nil {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = errors.Join(files[0].SetReadDeadline(deadline), files[1].SetReadDeadline(deadline)) // it has one of its own
		}
		return &printed{text: files[0], why: files[1]}, nil
	}
	return nil, fmt.Errorf("whack is not asked %q", question)
}

// printed is what whack printed.
type printed struct{ text, why *os.File }

// Read satisfies io.Reader.
func (p *printed) Read(b []byte) (int, error) { return p.text.Read(b) }

// Close returns why whack failed.
func (p *printed) Close() error {
	p.text.Close()
	defer p.why.Close()
	why, err := io.ReadAll(io.LimitReader(p.why, maxError))
	if len(why) > 0 {
		return errors.New(string(why))
	}
	return err
}

// Tracked opens the namespace's table of tracked connections.
func (k *Keeper) Tracked() (*os.File, error) {
	_, table, err := k.file(askTracked)
	return table, err
}

// NextFile has the next file of the ring made.
func (k *Keeper) NextFile() (name string, f *os.File, err error) { return k.file(askNextFile) }

// NewFile has a file made of a name that none has.
func (k *Keeper) NewFile() (name string, f *os.File, err error) { return k.file(askNewFile) }

func (k *Keeper) file(what byte) (name string, f *os.File, err error) {
	r, err := k.ask(what)
	if err != nil {
		return "", nil, err
	}
	files, err := r.take(1)
	if err != nil {
		return "", nil, err
	}
	return r.Name, files[0], nil
}

// Close has the keeper end, and waits for it, though not for long.
func (k *Keeper) Close() {
	k.requests.Close()
	k.pipe.Close()
	const long = 2 * time.Second
	select {
	case <-k.ended:
	case <-time.After(long):
	}
}

var _ daemon.Reach = (*Keeper)(nil)
