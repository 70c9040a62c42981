package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryRuleIsDocumented(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)
	seen := map[string]bool{}
	for _, r := range All {
		if !name.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("rule id %q is malformed or stands twice", r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || (r.Check == nil && r.CheckHost == nil && r.Audit == nil) {
			t.Errorf("%s has no title or asks nothing", r.ID)
		}
		if (r.Audit == nil) != (r.Needs == nil) {
			t.Errorf("%s audits %v and needs %q: an audit tells what it rests on", r.ID, r.Audit != nil, r.Needs)
		}
		d := r.Doc
		for part, text := range map[string]string{"symptom": d.Symptom, "cause": d.Cause, "recognised": d.Recognised, "remedy": d.Remedy} {
			if len(strings.Fields(text)) < 8 {
				t.Errorf("%s: its documentation does not tell the %s", r.ID, part)
			}
		}
		if len(d.Sources) == 0 {
			t.Errorf("%s names no source", r.ID)
		}
	}
}

func TestCausesNameRulesThatExist(t *testing.T) {
	for _, c := range causes {
		if ByID(c.effect) == nil || ByID(c.by) == nil {
			t.Errorf("%s is said to explain %s: no such rule", c.by, c.effect)
		}
	}
	for _, s := range supersessions {
		if ByID(s.holds) == nil || ByID(s.withdrawn) == nil {
			t.Errorf("%s is said to replace %s: no such rule", s.holds, s.withdrawn)
		}
	}
}

// TestEveryRuleHasAFixtureAndACounterExample holds that every rule is proved on
// a recording that shows its fault and on a healthy one on which it is silent.
func TestEveryRuleHasAFixtureAndACounterExample(t *testing.T) {
	files, err := filepath.Glob("../fixtures/*/want*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixture's want.json found (%v)", err)
	}
	shown, healthy := map[string]string{}, map[string]int{}
	for _, file := range files {
		found := rulesIn(t, file)
		for id := range found {
			shown[id] = file
		}
		if strings.HasPrefix(filepath.Base(filepath.Dir(file)), "healthy-") {
			for _, r := range All {
				if !found[r.ID] {
					healthy[r.ID]++
				}
			}
		}
	}
	for _, r := range All {
		if shown[r.ID] == "" {
			t.Errorf("no fixture shows %s", r.ID)
		}
		if r.Severity > Info && healthy[r.ID] == 0 {
			t.Errorf("no healthy fixture is silent on %s", r.ID)
		}
	}
}

func rulesIn(t *testing.T, file string) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var ends map[string]struct{ Findings []Finding }
	if err := json.Unmarshal(b, &ends); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	found := map[string]bool{}
	for _, doc := range ends {
		for _, f := range doc.Findings {
			found[f.Rule] = true
		}
	}
	return found
}
