package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
	"ipsecdiag/rules/report"
)

func newFixList(io streams, o *fixOptions) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "List what was applied and stands",
		Long:              "Lists what was applied and stands, the oldest first; with --all also what was\nundone, and what a reboot has removed.",
		Args:              noArguments,
		ValidArgsFunction: completeNothing,
		RunE:              func(*cobra.Command, []string) error { return runFixList(o, all, io) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "what has ended too")
	return cmd
}

// listed is one application in JSON.
type listed struct {
	ID        int          `json:"id"`
	Time      time.Time    `json:"time"`
	Status    apply.Status `json:"status"`
	Confirmed bool         `json:"confirmed,omitempty"`
	Deadline  time.Time    `json:"deadline,omitzero"`
	Ended     time.Time    `json:"ended,omitzero"`
	Netns     string       `json:"netns,omitempty"`
	Namespace string       `json:"namespace"`
	KeyFile   string       `json:"key_file,omitempty"`
	Plan      remedy.Plan  `json:"plan"`
}

func runFixList(o *fixOptions, all bool, io streams) error {
	r, err := openFix(o, io)
	if err != nil {
		return err
	}
	entries, err := r.journal.List()
	document := struct {
		Version int      `json:"version"`
		Applied []listed `json:"applied"`
	}{fixVersion, []listed{}}
	var lines []report.Applied
	for _, e := range entries {
		if !all && !e.Stands() {
			continue
		}
		document.Applied = append(document.Applied, listed{
			e.ID, e.Time, e.Status, e.Confirmed, e.Deadline, e.Ended, e.Netns, e.Namespace, e.KeyFile, e.Plan,
		})
		lines = append(lines, report.Applied{
			ID: e.ID, When: e.Time.Local().Format(time.DateTime), Status: statusWords(e), Title: e.Plan.Title + inNamespace(e),
		})
	}
	if o.format == formatJSON {
		return errors.Join(err, analyze.WriteJSON(io.out, document, true))
	}
	if len(lines) == 0 && err == nil {
		r.tell("Nothing that was applied stands.")
	}
	if e := report.AppliedList(io.out, lines, textOptions(io.out)); e != nil {
		return e
	}
	return err
}

func inNamespace(e *apply.Entry) string {
	if e.Netns == "" {
		return ""
	}
	return " (namespace " + e.Netns + ")"
}

// statusWords says where an application is in its life.
func statusWords(e *apply.Entry) string {
	switch {
	case e.Status == apply.Partial:
		return "CUT OFF half way: undo it"
	case e.Status == apply.Undoing:
		return "undoing was CUT OFF: undo it again"
	case e.Status == apply.Undone:
		return "undone " + e.Ended.Local().Format(time.TimeOnly)
	case e.Status == apply.Gone:
		return "gone with a reboot"
	case e.Pending():
		return fmt.Sprintf("applied; it will be undone at %s unless confirmed", e.Deadline.Local().Format(time.TimeOnly))
	}
	return "applied"
}
