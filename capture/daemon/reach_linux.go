package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// Direct returns the Reach of a process that may connect to the daemons'
// sockets, and execute whack, itself. A strongSwan in a container with a file
// system of its own is reached if it is there by now, and this process may look
// into it by now.
func Direct(o Options) Reach {
	d := &direct{o: o, root: &otherRoot{}}
	if o.Vici == "" {
		d.root = viciKind.rootOf(&o)
	}
	return d
}

type direct struct {
	o    Options
	root *otherRoot
}

// Vici satisfies Reach.
func (d *direct) Vici() (net.Conn, error) {
	p, err := viciKind.find(&d.o, d.o.Vici)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotThere, err)
	}
	if there, err := d.root.open(p); err == nil {
		defer there.file.Close()
		if c, err := there.dial(); !absent(err) {
			return c, err
		}
	}
	return p.dial()
}

// dial connects to a place whose daemon may be believed.
func (p place) dial() (net.Conn, error) {
	c, err := net.DialTimeout("unix", p.address(), answerTime)
	if err != nil {
		return nil, err
	}
	if err := p.checkPeer(c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Whack satisfies Reach.
func (d *direct) Whack(ctx context.Context, question string) (io.ReadCloser, error) {
	p, err := whackKind.find(&d.o, d.o.Whack)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotThere, err)
	}
	if err := p.ownPluto(); err != nil {
		return nil, err
	}
	program, err := findWhack()
	if err != nil {
		return nil, err
	}
	args := append(program[1:len(program):len(program)], "--ctlsocket", p.path, question)
	a := &whackAnswer{path: p.path, cmd: exec.CommandContext(ctx, program[0], args...), question: question}
	a.cmd.Stderr, a.cmd.WaitDelay = &a.complaint, time.Second
	a.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if a.out, err = a.cmd.StdoutPipe(); err == nil {
		err = a.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("whack %s: %w", question, err)
	}
	// What whack has started may live on, and hold the pipe.
	context.AfterFunc(ctx, func() { a.out.Close() })
	return a, nil
}

// whackAnswer is what whack prints.
type whackAnswer struct {
	path      string // of the daemon's socket
	cmd       *exec.Cmd
	question  string
	out       io.ReadCloser
	complaint beginning
}

// Read satisfies io.Reader.
func (a *whackAnswer) Read(b []byte) (int, error) { return a.out.Read(b) }

// Close waits for whack to end. Its error is whack's.
func (a *whackAnswer) Close() error {
	a.out.Close()
	if err := a.cmd.Wait(); err != nil {
		if _, gone := os.Stat(a.path); gone != nil {
			return fmt.Errorf("%w: %w", errEnded, gone)
		}
		why, _, _ := strings.Cut(strings.TrimSpace(a.complaint.String()), "\n")
		return fmt.Errorf("whack %s: %w: %s", a.question, err, analyze.Printable(why))
	}
	return nil
}

// beginning keeps the beginning of an output.
type beginning struct{ bytes.Buffer }

// maxComplaint bounds what is kept of what whack says on standard error, bytes.
const maxComplaint = 4096

// Write satisfies io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxComplaint-b.Len())])
	return len(p), nil
}
