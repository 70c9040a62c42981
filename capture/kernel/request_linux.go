package kernel

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// answerWithin bounds the wait for the next piece of an answer. XFRM requests
// wait in the kernel for one another (xfrm_cfg_mutex).
const answerWithin = 10 * time.Second

// dumpTries is how often a dump is made that the kernel says was interrupted by
// a change.
const dumpTries = 4

var (
	errInterrupted = errors.New("it changed while it was read")
	errTooMany     = errors.New("too many")
)

// request is one question to the kernel.
type request struct {
	protocol int    // unix.NETLINK_XFRM, NETLINK_ROUTE
	kind     uint16 // message type of the question
	answer   uint16 // and of the answers
	flags    int    // unix.NLM_F_DUMP for a table
	data     []byte // what follows the netlink header
	limit    int    // of entries; 0: none
	secret   bool   // data holds keys: no copy of it is left behind
}

// ask puts a request to the kernel of the thread's namespace and hands each
// answer to f. A socket of its own makes the end of every request simple: what
// was not read dies with it. Only where the waiter has a socket it is that one.
func ask(w *waiter, q request, f func([]byte) error) (err error) {
	s := w.socket
	if s == nil {
		if s, err = openSocket(q.protocol); err != nil {
			return err
		}
		defer s.close()
	}
	req := nl.NewNetlinkRequest(int(q.kind), q.flags)
	req.AddRawData(q.data)
	raw := req.Serialize()
	err = s.send(raw)
	if q.secret {
		clear(raw)
		clear(req.RawData)
	}
	if err != nil {
		return err
	}
	a := answers{request: q, seq: req.Seq, f: f}
	for !a.done {
		if err := receiveWithin(w, s, a.take); err != nil {
			return err
		}
	}
	return a.err
}

// receiveWithin receives a piece of an answer. The kernel has most pieces ready
// before they are asked for: it makes them in send, and in the recv before.
func receiveWithin(w *waiter, s *socket, f func(message)) error {
	for {
		err := s.receive(f)
		switch {
		case err == nil:
			return w.ctx.Err()
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN):
			return err
		}
		ready, err := w.Wait(answerWithin, s.fd)
		if err != nil {
			return err
		}
		if len(ready) == 0 {
			return fmt.Errorf("no answer from the kernel in %s", answerWithin)
		}
	}
}

// answers follows one request's answers to their end.
type answers struct {
	request
	seq  uint32
	f    func([]byte) error
	n    int
	done bool
	err  error // the first one
}

func (a *answers) take(m message) {
	if m.seq != a.seq || a.done {
		return
	}
	if m.flags&unix.NLM_F_DUMP_INTR != 0 {
		a.fail(errInterrupted)
	}
	switch m.kind {
	case unix.NLMSG_ERROR, unix.NLMSG_DONE:
		a.done = true
		a.fail(m.errno())
	case a.answer:
		a.entry(m.data)
		a.done = a.done || m.flags&unix.NLM_F_MULTI == 0
	}
}

func (a *answers) entry(b []byte) {
	if a.n++; a.limit > 0 && a.n > a.limit {
		a.done = true
		a.fail(fmt.Errorf("%w: only the first %d were read", errTooMany, a.limit))
		return
	}
	a.fail(a.f(b))
}

func (a *answers) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// dump reads a table, anew where it changed while it was read. What could be
// read is returned with the error. decode appends what it makes of an entry, into
// room as far as that goes.
func dump[T any](w *waiter, q request, room []T, decode func([]T, []byte) ([]T, error)) (out []T, err error) {
	q.flags |= unix.NLM_F_DUMP
	out = room
	for range dumpTries {
		out = out[:0]
		err = ask(w, q, func(b []byte) (err error) {
			out, err = decode(out, b)
			return err
		})
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	if out == nil {
		out = []T{}
	}
	return out, err
}

// one makes a decoder of single entries fit for dump.
func one[T any](decode func([]byte) (T, error)) func([]T, []byte) ([]T, error) {
	return func(out []T, b []byte) ([]T, error) {
		v, err := decode(b)
		if err != nil {
			return out, err
		}
		return append(out, v), nil
	}
}

// some is one for decoders that also say whether the entry is wanted.
func some[T any](decode func([]byte) (T, bool, error)) func([]T, []byte) ([]T, error) {
	return func(out []T, b []byte) ([]T, error) {
		v, ok, err := decode(b)
		if err != nil || !ok {
			return out, err
		}
		return append(out, v), nil
	}
}
