package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
	"ipsecdiag/rules/terms"
)

const explainLong = `Lists what can be found and the words that findings use; or says of one finding
what causes it, how it is recognised, what to do and where that is written, and
of one word what it means. On a terminal the text goes through $PAGER, or less.`

func newExplain(io streams) *cobra.Command {
	return &cobra.Command{
		Use:               "explain [RULE|TERM]",
		Short:             "Say what a finding or a word in it means",
		Long:              explainLong,
		Example:           "  ipsecdiag explain nd-deadlock\n  ipsecdiag explain larval SA\n  ipsecdiag explain XfrmOutNoStates",
		ValidArgsFunction: completeExplained,
		RunE:              func(_ *cobra.Command, args []string) error { return runExplain(args, io) },
	}
}

// runExplain takes its arguments for one name, so that words need no quotes.
func runExplain(args []string, streams streams) error {
	name := strings.Join(args, " ")
	write, err := explained(name)
	if err != nil {
		return err
	}
	return streams.page(write)
}

// explained returns what writes about that name: a rule, a term, or nothing for
// a list of all.
func explained(name string) (func(io.Writer, report.Options) error, error) {
	if name == "" {
		return func(w io.Writer, o report.Options) error { return report.Explained(w, rules.All, terms.All, o) }, nil
	}
	for _, r := range rules.All {
		if r.ID == terms.Key(name) {
			return func(w io.Writer, o report.Options) error { return report.Rule(w, r, o) }, nil
		}
	}
	if t := terms.Find(name); t != nil {
		return func(w io.Writer, o report.Options) error { return report.Term(w, t, o) }, nil
	}
	if near := nearNames(name); len(near) > 0 {
		return nil, fmt.Errorf("no rule or term %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return nil, fmt.Errorf("no rule or term %q: ipsecdiag explain lists them", name)
}

// maxNear bounds the names that are suggested.
const maxNear = 4

// nearNames returns the rules and terms that may have been meant, the nearest
// first, each by its own name.
func nearNames(name string) []string {
	type candidate struct {
		name     string
		distance int
	}
	name = terms.Key(name)
	var near []candidate
	consider := func(own string, names ...string) {
		best := -1
		for _, n := range names {
			if d, ok := distance(name, terms.Key(n)); ok && (best < 0 || d < best) {
				best = d
			}
		}
		if best >= 0 {
			near = append(near, candidate{own, best})
		}
	}
	for _, r := range rules.All {
		consider(r.ID, r.ID)
	}
	for _, t := range terms.All {
		consider(t.Name, t.Names()...)
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, c := range near[:min(len(near), maxNear)] {
		names = append(names, c.name)
	}
	return names
}

// distance tells how far a name is from a known one, and whether it is near
// enough to have been meant: a part of it, or mistyped.
func distance(name, known string) (int, bool) {
	d := editDistance(known, name)
	if len(name) > 2 && strings.Contains(known, name) {
		return min(d, 1), true
	}
	return d, len(name) > 1 && d <= max(1, min(len(known), len(name))/3)
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
