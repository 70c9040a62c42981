package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/confine"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/capture/netns"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
	"ipsecdiag/rules/report"
)

// fixRun is one run of fix on this host.
type fixRun struct {
	*fixOptions
	io      streams
	kernel  *kernel.Handle
	journal *apply.Journal
	state   *analyze.Snapshot // before anything is changed
	result  fixResult
	session sshSession
	files   confine.Files // where what it exports goes
}

// proposal is a plan with all that belongs to it.
type proposal struct {
	plan remedy.Plan
	// keys are those of the plan's SAs; keyFile is where they are already, empty
	// where the journal is to keep them.
	keys    remedy.Keyring
	keyFile string
	// prove looks at the kernel's state after the plan was applied, verify sends
	// packets.
	prove  func(*analyze.KernelState) []apply.Proof
	verify func(context.Context, apply.Prober) ([]apply.Proof, error)
}

// openFixAndRead prepares a run that begins with the kernel's state.
func openFixAndRead(ctx context.Context, o *fixOptions, io streams) (*fixRun, *analyze.KernelState, error) {
	r, err := openFix(o, io)
	if err != nil {
		return nil, nil, err
	}
	state, err := r.read(ctx)
	return r, state, err
}

// openFix prepares a run, and gives up all privileges that it does not need. It
// reads nothing of the kernel's state yet.
func openFix(o *fixOptions, io streams) (*fixRun, error) {
	r, err := prepareFix(o, io)
	if err != nil {
		return nil, err
	}
	return r, r.confine()
}

// confine keeps CAP_NET_ADMIN and no other privilege: what needs another one is
// open by then.
func (r *fixRun) confine() (err error) {
	if r.verify {
		if err := r.kernel.OpenProbes(); err != nil {
			return err
		}
	}
	if r.files, err = confine.FilesIn(r.directories()...); err != nil {
		return err
	}
	return r.io.keepNetAdmin()
}

// prepareFix does what needs privileges.
func prepareFix(o *fixOptions, io streams) (*fixRun, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("fix changes a Linux kernel, and this is %s; fix --from RECORDING shows what it would do", runtime.GOOS)
	}
	if err := permittedToFix(); err != nil {
		return nil, err
	}
	if o.confirmWithin < 0 {
		return nil, fmt.Errorf("--confirm-within %v: no time to confirm", o.confirmWithin)
	}
	if err := guardSecrets(); err != nil {
		return nil, err
	}
	if o.netns == "" {
		o.netns = netns.Given()
	}
	if err := netns.Enter(o.netns); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	at := kernel.Options{Netns: o.netns, Warn: io.say}
	at.Owners = kernel.FindOwners(at)
	r := &fixRun{fixOptions: o, io: io, kernel: kernel.NewHandle(at), session: session()}
	boot, _, err := r.kernel.Place()
	if err != nil {
		return nil, err
	}
	r.journal = apply.OpenJournal(o.journal, boot)
	r.result = fixResult{Version: fixVersion, Host: host, Netns: o.netns}
	return r, nil
}

// permittedToFix says what is missing. Root is wanted besides the capability,
// since the journal and the key files are root's.
func permittedToFix() error {
	p, err := kernel.Privilege()
	switch {
	case err != nil:
		return err
	case !p.NetAdmin:
		return errors.New("CAP_NET_ADMIN is missing: nothing can be changed; run it as root")
	case os.Geteuid() != 0:
		return errors.New("fix must run as root: its journal and key files belong to root alone")
	}
	return nil
}

// read reads the state that a plan is made from.
func (r *fixRun) read(ctx context.Context) (*analyze.KernelState, error) {
	s, err := r.kernel.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	r.state = s
	return &s.KernelState, nil
}

// propose shows a plan, asks, applies it and proves it: the one way from a plan
// to the kernel.
func (r *fixRun) propose(ctx context.Context, p proposal, refused error) error {
	if refused != nil {
		return r.refuse(refused)
	}
	r.result.Plan, r.result.Commands = &p.plan, remedy.Commands(p.plan.Steps)
	if p.plan.Empty() {
		r.result.Status = fixNothing
		return r.finish(errors.Join(r.show(&p.plan), r.standing(ctx, p)))
	}
	x, err := r.exported(&p.plan, p.keys)
	if err != nil {
		return r.refuse(err)
	}
	if err := r.show(&p.plan); err != nil {
		return err
	}
	if r.dryRun {
		r.result.Status = fixDryRun
		r.tellFiles(x, "Would write")
		return r.finish(nil)
	}
	r.warnSession(&p.plan)
	if err := r.ask(ctx, len(p.plan.Steps)); err != nil {
		return r.fail(err)
	}
	return r.apply(ctx, p, x)
}

// apply carries out a plan that was agreed to.
func (r *fixRun) apply(ctx context.Context, p proposal, x exported) (err error) {
	// The terminal may be one that the change itself cuts off.
	signal.Ignore(syscall.SIGHUP)
	former, err := r.formerFiles(x.files)
	if err != nil {
		return r.fail(err)
	}
	defer forget(former)
	if r.result.Files, err = r.write(x.files); err != nil {
		r.dropFiles(former)
		return r.fail(err)
	}
	o := apply.Options{Netns: r.netns, Keys: p.keys, KeyFile: p.keyFile}
	if r.confirmWithin > 0 {
		o.Deadline = time.Now().Add(r.confirmWithin).UTC()
		o.Arm = r.arm
	}
	e, err := r.journal.Apply(ctx, r.kernel, p.plan, o)
	if e != nil {
		r.result.ID = e.ID
	}
	if err != nil {
		r.dropFiles(former)
		return r.fail(err)
	}
	r.result.Status = fixApplied
	r.applied(e)
	r.tellFiles(x, "Wrote")
	return r.finish(r.prove(ctx, p))
}

// standing does what may be asked for of what stands already: to prove it, or
// to write its files.
func (r *fixRun) standing(ctx context.Context, p proposal) error {
	if r.journal == nil { // somebody else's host
		return nil
	}
	e, _, err := r.journal.Standing(ctx, r.kernel, func(e *apply.Entry) bool { return e.Applies(p.plan.Action, p.plan.Params) })
	if err != nil {
		return err
	}
	if e != nil {
		r.result.ID = e.ID
		r.tell(fmt.Sprintf("It was applied as number %d.", e.ID))
	}
	if r.wanted() {
		if err := r.exportStanding(ctx, &p.plan); err != nil {
			return err
		}
	}
	if !r.verify {
		return nil
	}
	return r.prove(ctx, p)
}

// prove looks whether it helped. That it did not is errFound.
func (r *fixRun) prove(ctx context.Context, p proposal) error {
	s, err := r.kernel.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("look whether it helped: %w", err)
	}
	if p.prove != nil {
		r.result.Proofs = p.prove(&s.KernelState)
	}
	if r.verify && p.verify != nil && holds(r.result.Proofs) {
		more, err := p.verify(ctx, r.kernel)
		if err != nil {
			return fmt.Errorf("look whether it helped: %w", err)
		}
		r.result.Proofs = append(r.result.Proofs, more...)
	}
	r.showProofs()
	if !holds(r.result.Proofs) {
		return errFound
	}
	return nil
}

func holds(proofs []apply.Proof) bool {
	for i := range proofs {
		if !proofs[i].Holds {
			return false
		}
	}
	return true
}

// show writes the plan: on standard output, or beside a JSON document on
// standard error where somebody is to be asked.
func (r *fixRun) show(plan *remedy.Plan) error {
	w := r.text()
	if w == nil && !r.yes && !r.dryRun {
		w = r.io.err
	}
	if w == nil {
		return nil
	}
	return report.Plan(w, plan, textOptions(w))
}
