package report

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/rules"
)

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, []rules.Finding{deadlock(), stall(), lostFirst()}, summary()); err != nil {
		t.Fatal(err)
	}
	golden(t, "document.json", b.Bytes())
}

// TestJSONFieldNames holds the contract with programs: fields are only ever
// added, and on purpose.
func TestJSONFieldNames(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, []rules.Finding{stall()}, summary()); err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	fields(t, d, "version findings summary")
	fields(t, d["summary"], "from to hosts kernels frames esp_packets pairs ike_messages searches losses evicted")
	fields(t, first(t, d["summary"], "losses"), "time origin what count")
	f := first(t, d, "findings")
	fields(t, f, "id rule severity confidence state pair subject origins explained_by first_seen last_seen title explanation evidence remedies")
	fields(t, first(t, f, "evidence"), "time origin frame text")
	fields(t, first(t, f, "remedies"), "action params title command")
}

func fields(t *testing.T, object any, want string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(object.(map[string]any)))
	names := strings.Fields(want)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("fields are %q, want %q", got, names)
	}
}

func first(t *testing.T, object any, field string) any {
	t.Helper()
	list, ok := object.(map[string]any)[field].([]any)
	if !ok || len(list) == 0 {
		t.Fatalf("%s is no list, or empty", field)
	}
	return list[0]
}

func TestJSONOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, nil, Summary{}); err != nil {
		t.Fatal(err)
	}
	if err := JSONLine(&b, rules.Finding{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") {
		t.Errorf("null in %s", b.String())
	}
}

func TestJSONLineIsOneLine(t *testing.T) {
	f := deadlock()
	f.Explanation = "two\nlines <here> & there"
	var b bytes.Buffer
	if err := JSONLine(&b, f); err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(b.Bytes(), []byte("\n")); got != 1 {
		t.Errorf("%d line feeds in %s", got, b.Bytes())
	}
	var back rules.Finding
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Explanation != f.Explanation || back.Severity != f.Severity {
		t.Errorf("got %+v, %v", back, err)
	}
}
