// Package terms explains the words that findings use: the kernel's counters and
// states, and what the RFCs call things. It is data, and the search in it.
package terms

import (
	"slices"
	"strings"
)

// Term is a word with what it means.
type Term struct {
	Name  string   // as findings write it
	Also  []string // other names and spellings under which it is looked for
	Short string   // in one line, without a full stop
	Text  string   // paragraphs, as in rules.Doc
	See   []string // names of terms or rules that belong to it
	// Sources are RFC sections, kernel functions and manuals.
	Sources []string
}

// All lists the terms, those that belong together beside one another.
var All = slices.Concat(protocolTerms, databaseTerms, kernelTerms, exchangeTerms, discoveryTerms, counterTerms, outcomeTerms)

// Key is what a name is looked for by: small letters, and a hyphen wherever
// words meet.
func Key(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r == ' ' || r == '_' || r == '-'
	}), "-")
}

// Find returns the term of that name, nil if there is none.
func Find(name string) *Term {
	k := Key(name)
	for _, t := range All {
		if slices.ContainsFunc(t.Names(), func(n string) bool { return Key(n) == k }) {
			return t
		}
	}
	return nil
}

// Names returns all the names of a term, its own first.
func (t *Term) Names() []string { return append([]string{t.Name}, t.Also...) }
