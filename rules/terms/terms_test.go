package terms_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/rules"
	"ipsecdiag/rules/terms"
)

// known reports whether a name can be explained.
func known(name string) bool {
	return terms.Find(name) != nil || slices.ContainsFunc(rules.All, func(r *rules.Rule) bool { return r.ID == name })
}

func TestTerms(t *testing.T) {
	seen := map[string]string{}
	for _, r := range rules.All {
		seen[r.ID] = "a rule"
	}
	for _, term := range terms.All {
		for _, name := range term.Names() {
			if k := terms.Key(name); seen[k] != "" {
				t.Errorf("%s: %q is taken by %s", term.Name, name, seen[k])
			} else {
				seen[k] = term.Name
			}
		}
		if term.Short == "" || len(term.Short) > 80 || strings.HasSuffix(term.Short, ".") {
			t.Errorf("%s: in short: %q", term.Name, term.Short)
		}
		if len(term.Sources) == 0 {
			t.Errorf("%s has no sources", term.Name)
		}
		for _, see := range term.See {
			if !known(see) {
				t.Errorf("%s: see %q, which is not there", term.Name, see)
			}
		}
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"larval-sa": "larval SA", "Larval_SA": "larval SA", "larval": "larval SA", "xfrmoutnostates": "XfrmOutNoStates",
		"acquire": "ACQUIRE", "neighbor-discovery": "neighbour discovery", "type 136": "NA", "DELAY": "PROBE",
		"xfrm_larval_drop": "net.core.xfrm_larval_drop", "/proc/net/xfrm_stat": "counters", "spd": "SPD", "IKEv1": "IKE",
	} {
		if got := terms.Find(name); got == nil || got.Name != want {
			t.Errorf("Find(%q) is %+v, want %s", name, got, want)
		}
	}
	if terms.Find("") != nil || terms.Find("xyzzy") != nil {
		t.Error("what is not there is found")
	}
}

// TestCounters holds that every counter of the kernel has a meaning
// (net/xfrm/xfrm_proc.c of Linux 6.12).
func TestCounters(t *testing.T) {
	for _, name := range strings.Fields(`XfrmInError XfrmInBufferError XfrmInHdrError XfrmInNoStates XfrmInStateProtoError
		XfrmInStateModeError XfrmInStateSeqError XfrmInStateExpired XfrmInStateMismatch XfrmInStateInvalid XfrmInTmplMismatch
		XfrmInNoPols XfrmInPolBlock XfrmInPolError XfrmOutError XfrmOutBundleGenError XfrmOutBundleCheckError XfrmOutNoStates
		XfrmOutStateProtoError XfrmOutStateModeError XfrmOutStateSeqError XfrmOutStateExpired XfrmOutPolBlock XfrmOutPolDead
		XfrmOutPolError XfrmFwdHdrError XfrmOutStateInvalid XfrmAcquireError XfrmOutStateDirError XfrmInStateDirError`) {
		if !known(name) {
			t.Errorf("%s is not explained", name)
		}
	}
}

// words that a user may not know: counters, settings of the kernel, names in
// capitals, and what the RFCs call things.
var words = regexp.MustCompile(`\bXfrm[A-Z]\w+|\bnet\.core\.\w+|\b[A-Z][A-Z_-]*[A-Z]\b|` +
	`\blarval SAs?\b|\bneighbour (discovery|advertisement|solicitation)|\b(selector|template|reqid|priority|bypass|tunnel mode|transport mode)\b`)

// common are names in capitals that need no explanation here.
var common = strings.Fields(`UTC TCP UDP IP ID VPN NAT RFC DNS CPU OK TTL MTU MAC LAN VLAN AES HMAC SHA MD CBC GCM DES IPX EEXIST PID JSON FLAG SRC DST ANY IN OUT CCM CTR CA IV NO_EXT_SEQ DH MODP NULL HMAC-SHA AES-CBC ECDSA MUST SHOULD NOT ENCR_AES_CBC RSA`)

// TestFindingsAreExplained holds that every such word that a rule's
// documentation or a finding of a recorded scenario uses can be looked up.
func TestFindingsAreExplained(t *testing.T) {
	checked := 0
	check := func(where, text string) {
		for _, word := range words.FindAllString(text, -1) {
			checked++
			singular := strings.TrimSuffix(word, "s")
			if !known(word) && !known(singular) && !slices.Contains(common, word) {
				t.Errorf("%s says %q, which is not explained: add it to rules/terms", where, word)
			}
		}
	}
	for _, r := range rules.All {
		check(r.ID, strings.Join([]string{r.Title, r.Doc.Symptom, r.Doc.Cause, r.Doc.Recognised, r.Doc.Remedy}, "\n"))
	}
	for path, findings := range recorded(t) {
		for _, f := range findings {
			check(path, f.Title+"\n"+f.Explanation)
			for _, e := range f.Evidence {
				check(path, e.Text)
			}
			for _, r := range f.Remedies {
				check(path, r.Title)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d words were looked at", checked)
	}
}

// recorded returns what is found in the recorded scenarios.
func recorded(t *testing.T) map[string][]rules.Finding {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "fixtures", "*", "want.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	all := map[string][]rules.Finding{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = findingsIn(t, path, content)
	}
	return all
}

// findingsIn collects the findings from anywhere in a document: its outer shape
// is the fixtures' own matter.
func findingsIn(t *testing.T, path string, content []byte) (found []rules.Finding) {
	t.Helper()
	var document any
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if list, ok := v["findings"]; ok {
				blob, _ := json.Marshal(list)
				var f []rules.Finding
				if err := json.Unmarshal(blob, &f); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				found = append(found, f...)
				return
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(document)
	return found
}
