package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

func newExplain(io streams) *cobra.Command {
	return &cobra.Command{
		Use:               "explain [RULE]",
		Short:             "Say what a finding means",
		Long:              "Lists what can be found, or says of one finding what causes it, how it is\nrecognised, what to do and where that is written.",
		Example:           "  ipsecdiag explain nd-deadlock",
		Args:              atMostOneRule,
		ValidArgsFunction: completeRules,
		RunE:              func(_ *cobra.Command, args []string) error { return runExplain(args, io) },
	}
}

func atMostOneRule(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("explain takes one rule at a time, not %d", len(args))
	}
	return nil
}

func runExplain(args []string, io streams) error {
	if len(args) == 0 {
		return report.Rules(io.out, rules.All, textOptions(io.out))
	}
	for _, r := range rules.All {
		if r.ID == args[0] {
			return report.Rule(io.out, r, textOptions(io.out))
		}
	}
	if near := nearRules(args[0]); len(near) > 0 {
		return fmt.Errorf("no rule %q: did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("no rule %q: ipsecdiag explain lists them", args[0])
}

// nearRules returns the rules whose names may have been meant.
func nearRules(name string) []string {
	name = strings.ToLower(name)
	var near []string
	for _, r := range rules.All {
		if len(name) > 2 && strings.Contains(r.ID, name) || editDistance(r.ID, name) <= max(2, len(r.ID)/3) {
			near = append(near, r.ID)
		}
	}
	return near
}

// editDistance counts the letters to insert, delete or replace to make b of a
// (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
