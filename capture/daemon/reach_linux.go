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
// sockets, and execute whack, itself.
func Direct(o Options) Reach { return &direct{o} }

type direct struct{ o Options }

// Vici satisfies Reach.
func (d *direct) Vici() (net.Conn, error) {
	p, err := viciKind.find(&d.o, d.o.Vici)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotThere, err)
	}
	c, err := net.DialTimeout("unix", p.path, answerTime)
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
