package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"
	"ipsecdiag/rules"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/report"
)

// runFix lists what would be done about each open finding, on this host or in
// what was recorded, and asks.
func runFix(ctx context.Context, o *fixOptions, from string, io streams) error {
	if from != "" {
		return runFixFrom(ctx, o, from, io)
	}
	r, state, err := openFixAndRead(ctx, o, io)
	if err != nil {
		return err
	}
	engine := newEngine(0)
	engine.Apply(r.state)
	engine.Audit()
	return r.proposeFor(ctx, state, engine.Findings())
}

// runFixFrom takes the findings from a recording. What was recorded on another
// host is shown, and never applied to this one.
func runFixFrom(ctx context.Context, o *fixOptions, from string, io streams) error {
	if permittedToFix() == nil { // before standard input is read
		if err := netns.Enter(o.netns); err != nil {
			return err
		}
	}
	seen, err := readRecorded(ctx, from, io)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	here := analyze.Origin{Host: host, Netns: o.netns}
	if slices.ContainsFunc(seen.Hosts, func(h recordedHost) bool { return h.Origin == here }) {
		r, err := openFix(o, io)
		if err != nil {
			return err
		}
		state, err := r.read(ctx)
		if err != nil {
			return err
		}
		return r.proposeFor(ctx, state, seen.Findings)
	}
	return showFor(o, seen, io)
}

// showFor shows what would be done on the hosts whose kernels were recorded.
func showFor(o *fixOptions, seen recorded, io streams) error {
	shown := *o
	shown.dryRun = true
	for _, h := range seen.Hosts {
		r := &fixRun{fixOptions: &shown, io: io, result: fixResult{Version: fixVersion, Host: h.Origin.Host, Netns: h.Origin.Netns}}
		r.tell(fmt.Sprintf("This was recorded on %s. There it would be:", h.Origin), "")
		if err := r.proposeFor(context.Background(), &h.Kernel, seen.Findings); err != nil {
			return err
		}
	}
	if len(seen.Hosts) == 0 {
		return fmt.Errorf("no kernel was seen in it, so that nothing can be planned; record with ipsecdiag watch -w as root, or run ipsecdiag fix on the host")
	}
	return nil
}

// proposeFor plans for the findings that are open, says for each what would be
// done, and goes on with what can be done here.
func (r *fixRun) proposeFor(ctx context.Context, state *analyze.KernelState, findings []rules.Finding) error {
	var all []report.Proposal
	bypass := false
	for i := range findings {
		f := &findings[i]
		if f.State != rules.Open || f.Severity == rules.Info || f.ExplainedBy != "" {
			continue
		}
		r.result.Findings = append(r.result.Findings, f.ID)
		all = append(all, report.Proposal{Finding: f, Would: would(f, state)})
		bypass = bypass || slices.ContainsFunc(f.Remedies, isBypass)
	}
	if len(all) == 0 {
		return r.nothing("No open finding: there is nothing to do.")
	}
	if w := r.text(); w != nil {
		if err := report.Proposals(w, all, textOptions(w)); err != nil {
			return err
		}
	}
	if !bypass {
		return r.nothing("Nothing of it is for ipsecdiag fix to do by itself.")
	}
	p, err := bypassProposal(state, remedy.NDOptions{})
	return r.propose(ctx, p, err)
}

func isBypass(m remedy.Remedy) bool { return m.Action == string(remedy.ActionNDBypass) }

// would says what would be done about a finding: by fix, or by somebody.
func would(f *rules.Finding, state *analyze.KernelState) []string {
	if len(f.Remedies) == 0 {
		return []string{"nothing that fix can do; ipsecdiag explain " + f.Rule + " says more"}
	}
	var out []string
	for _, m := range f.Remedies {
		switch {
		case isBypass(m):
			out = append(out, "let neighbour discovery pass: see below")
			continue
		case m.Action == string(remedy.ActionNDByHand): // the same
			continue
		}
		out = append(out, "for you to do: "+m.Title+": "+oneLine(errors.New(m.Command)))
		if m.Action == "start-daemon" {
			out = append(out, "or, where no daemon can run: ipsecdiag fix bring-up "+pairFlags(f.Pair, state))
		}
	}
	return out
}

// pairFlags are the flags that name this host's address and the peer's.
func pairFlags(pair []netip.Addr, state *analyze.KernelState) string {
	if len(pair) == 2 {
		for _, a := range state.Addresses {
			switch a.Prefix.Addr() {
			case pair[0]:
				return fmt.Sprintf("--local %s --peer %s", pair[0], pair[1])
			case pair[1]:
				return fmt.Sprintf("--local %s --peer %s", pair[1], pair[0])
			}
		}
	}
	return "--local ADDR --peer ADDR"
}
