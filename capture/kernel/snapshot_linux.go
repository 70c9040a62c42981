package kernel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"

	"golang.org/x/sys/unix"
)

// Snapshot reads the kernel's IPsec state once. What cannot be read, for lack
// of CAP_NET_ADMIN or in a kernel without XFRM, is named in Missing; it is an
// error only if nothing can be read.
func Snapshot(ctx context.Context, o Options) (s *analyze.Snapshot, err error) {
	o = o.withDefaults()
	err = netns.Do(o.Netns, func() error {
		w, err := newWaiter(ctx)
		if err != nil {
			return err
		}
		defer w.Close()
		s, err = newReader(o, w).snapshot()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read kernel state: %w", err)
	}
	return s, nil
}

// reader reads the kernel of the namespace that its thread is in.
type reader struct {
	o         Options
	w         *waiter
	proc      proc
	listeners listeners
}

func newReader(o Options, w *waiter) *reader {
	p := proc(o.ProcRoot)
	return &reader{o: o, w: w, proc: p, listeners: listeners{proc: p, known: maps.Clone(o.Owners.known)}}
}

// header returns the header of an event that happens now. The sequencer gives
// Mono and Seq.
func (r *reader) header() analyze.Header {
	return analyze.Header{
		Time:   time.Now().UTC(),
		Origin: analyze.Origin{Host: r.o.Host, Netns: r.o.Netns},
	}
}

// snapshot reads everything. Its time is when the last part was read.
func (r *reader) snapshot() (*analyze.Snapshot, error) {
	s := new(analyze.Snapshot)
	p := parts{r: r, s: s}
	p.xfrm()
	p.network()
	p.files()
	if err := r.w.ctx.Err(); err != nil {
		return nil, err
	}
	if p.read == 0 {
		return nil, fmt.Errorf("nothing could be read: %w", errors.Join(p.errs...))
	}
	s.Release = release()
	s.Header = r.header()
	return s, nil
}

// parts fills in a snapshot, part by part.
type parts struct {
	r    *reader
	s    *analyze.Snapshot
	read int // parts that could be read
	errs []error
}

// note keeps account of one part.
func (p *parts) note(what string, err error) {
	if err == nil {
		p.read++
		return
	}
	err = fmt.Errorf("%s: %w", what, explain(err))
	p.errs = append(p.errs, err)
	p.s.Missing = append(p.s.Missing, err.Error())
}

func (p *parts) xfrm() {
	var err error
	p.s.Policies, err = dumpPolicies(p.r.w)
	p.note(analyze.PartPolicies, err)
	p.s.SAs, err = dumpSAs(p.r.w, nil)
	p.note(analyze.PartSAs, err)
	if p.s.Defaults, err = readDefaults(p.r.w); !errors.Is(err, unix.EINVAL) { // before Linux 5.14
		p.note(analyze.PartDefaults, err)
	}
}

func (p *parts) network() {
	var err error
	p.s.Neighbors, err = dumpNeighbors(p.r.w)
	p.note(analyze.PartNeighbors, err)
	p.s.Links, err = dumpLinks(p.r.w)
	p.note(analyze.PartLinks, err)
	p.s.Addresses, err = dumpAddresses(p.r.w)
	p.note(analyze.PartAddresses, err)
	p.s.Routes, err = dumpRoutes(p.r.w)
	p.note(analyze.PartRoutes, err)
}

func (p *parts) files() {
	var err error
	p.s.Counters, err = p.r.proc.counters()
	p.note(analyze.PartCounters, err)
	p.s.Sysctls, err = p.r.proc.sysctls(sysctlPatterns...)
	p.note(analyze.PartSettings, err)
	p.s.Listeners, err = p.r.listeners.read()
	p.note(analyze.PartListeners, err)
}

// explain says what an error of the kernel means here.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("CAP_NET_ADMIN is missing (%w)", err)
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("this kernel has no such interface, CONFIG_XFRM_USER is off (%w)", err)
	}
	return err
}

// release returns what `uname -r` prints.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
