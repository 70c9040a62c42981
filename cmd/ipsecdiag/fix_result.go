package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
	"ipsecdiag/rules/report"
)

// fixVersion is the version of fix's JSON. Fields are only ever added within a
// version.
const fixVersion = 1

// fixStatus is what became of a run.
type fixStatus string

const (
	fixApplied  fixStatus = "applied"
	fixNothing  fixStatus = "nothing-to-do"
	fixDryRun   fixStatus = "dry-run"
	fixRefused  fixStatus = "refused" // nothing was begun
	fixFailed   fixStatus = "failed"  // begun, and taken back unless Error says otherwise
	fixUndone   fixStatus = "undone"
	fixConfirm  fixStatus = "confirmed"
	fixProposed fixStatus = "proposed"
)

// fixResult is the JSON document of a run.
type fixResult struct {
	Version  int             `json:"version"`
	Host     string          `json:"host"`
	Netns    string          `json:"netns,omitempty"`
	Status   fixStatus       `json:"status"`
	ID       int             `json:"id,omitempty"`
	Plan     *remedy.Plan    `json:"plan,omitempty"` // without keys
	Commands []string        `json:"commands,omitempty"`
	Proofs   []apply.Proof   `json:"proofs,omitempty"`
	Files    []string        `json:"files,omitempty"`
	Findings []string        `json:"findings,omitempty"` // ids of the open ones, of fix without a subcommand
	Deadline time.Time       `json:"deadline,omitzero"`
	Refusal  *remedy.Refusal `json:"refusal,omitempty"`
	Error    string          `json:"error,omitempty"`
	// Of an undoing: what somebody else has changed or deleted since.
	LeftAlone []string `json:"left_alone,omitempty"`
	WasGone   []string `json:"was_gone,omitempty"`
	// Resting are later bypasses, which may not be enough without the undone one.
	Resting []int `json:"resting,omitempty"`
}

// text returns where text for people goes, nil where a JSON document is asked
// for.
func (r *fixRun) text() io.Writer {
	if r.format == formatJSON {
		return nil
	}
	return r.io.out
}

// tell writes sentences for people.
func (r *fixRun) tell(sentences ...string) {
	if w := r.text(); w != nil {
		_ = report.Say(w, 0, textOptions(w), sentences...)
	}
}

// refuse ends a run that was refused before anything was begun: one line on
// standard error; what to do instead on standard output.
func (r *fixRun) refuse(err error) error {
	r.result.Status = fixRefused
	var refusal *remedy.Refusal
	if errors.As(err, &refusal) {
		r.result.Refusal = refusal
		if w := r.text(); w != nil && refusal.Instead != "" {
			_ = report.Verbatim(w, refusal.Instead, textOptions(w))
		}
	}
	return r.finish(err)
}

// fail ends a run that was refused, or failed.
func (r *fixRun) fail(err error) error {
	r.result.Status = fixRefused
	if r.result.ID > 0 {
		r.result.Status = fixFailed
	}
	return r.finish(err)
}

// finish writes the JSON document, where one is asked for, and returns err.
func (r *fixRun) finish(err error) error {
	if r.format != formatJSON {
		return err
	}
	if err != nil && !errors.Is(err, errFound) {
		r.result.Error = oneLine(err)
	}
	return errors.Join(err, analyze.WriteJSON(r.io.out, r.result, true))
}

// applied says that a plan is applied, and how to take it back.
func (r *fixRun) applied(e *apply.Entry) {
	r.gap()
	r.tell(fmt.Sprintf("Applied as number %d. To take it back:", e.ID))
	r.toCopy(r.command("undo", e.ID))
	if !e.Deadline.IsZero() {
		r.result.Deadline = e.Deadline
		r.tell(fmt.Sprintf("It will be undone at %s, unless this is run before:", e.Deadline.Local().Format(time.TimeOnly)))
		r.toCopy(r.command("confirm", e.ID))
	}
}

// gap writes an empty line for people.
func (r *fixRun) gap() {
	if w := r.text(); w != nil {
		fmt.Fprintln(w)
	}
}

// toCopy writes a command on a line of its own.
func (r *fixRun) toCopy(command string) {
	if w := r.text(); w != nil {
		_ = report.Verbatim(w, "  "+command, textOptions(w))
	}
}

// command is a command line of fix about an application.
func (r *fixRun) command(verb string, id int) string {
	words := []string{"ipsecdiag", "fix", verb, fmt.Sprint(id)}
	if r.netns != "" {
		words = append(words, "--netns", r.netns)
	}
	if r.fixOptions.journal != apply.DefaultDir {
		words = append(words, "--journal", r.fixOptions.journal)
	}
	return strings.Join(words, " ")
}

func (r *fixRun) showProofs() {
	for _, p := range r.result.Proofs {
		switch {
		case p.Holds:
			r.tell("Proved: " + p.Text + ".")
		case p.Wrong == apply.Local:
			r.tell("NOT proved, this end is still wrong: " + p.Text + ".")
		case p.Wrong == apply.Peer:
			r.tell("NOT proved, the other end is still wrong: " + p.Text + ".")
		default:
			r.tell("NOT proved: " + p.Text + ".")
		}
	}
}
