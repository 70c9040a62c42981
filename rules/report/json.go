package report

import (
	"io"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/remedy"
)

// Version is the version of the JSON document. Fields are only ever added
// within a version.
const Version = 1

type document struct {
	Version  int             `json:"version"`
	Findings []rules.Finding `json:"findings"`
	Summary  Summary         `json:"summary"`
}

// JSON writes the findings, causes first, as one document.
func JSON(w io.Writer, findings []rules.Finding, sum Summary) error {
	d := document{Version: Version, Findings: make([]rules.Finding, 0, len(findings)), Summary: sum}
	for _, f := range findings {
		d.Findings = append(d.Findings, normal(f))
	}
	d.Summary.Hosts, d.Summary.Kernels = filled(sum.Hosts), filled(sum.Kernels)
	d.Summary.Losses = filled(sum.Losses)
	return analyze.WriteJSON(w, d, true)
}

// JSONLine writes one finding as one line.
func JSONLine(w io.Writer, f rules.Finding) error { return analyze.WriteJSON(w, normal(f), false) }

// normal brings a finding into the form that the contract promises: arrays and
// objects are never null, times are UTC.
func normal(f rules.Finding) rules.Finding {
	f.FirstSeen, f.LastSeen = f.FirstSeen.UTC(), f.LastSeen.UTC()
	f.Pair, f.Origins = filled(f.Pair), filled(f.Origins)
	f.Evidence = append([]rules.Evidence{}, f.Evidence...)
	for i := range f.Evidence {
		f.Evidence[i].Time = f.Evidence[i].Time.UTC()
	}
	f.Remedies = append([]remedy.Remedy{}, f.Remedies...)
	for i := range f.Remedies {
		if f.Remedies[i].Params == nil {
			f.Remedies[i].Params = map[string]string{}
		}
	}
	return f
}

func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
