package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

func TestCheckRefusesOneFileForBothEnds(t *testing.T) {
	r := ipsecdiag(t, strings.NewReader(readersPolicies), "check", "--state", "-", "--peer-state", "-")
	if r.status != statusError || r.stdout != "" || !strings.Contains(r.stderr, "- is given for both ends") {
		t.Errorf("got %+v", r)
	}
}

func TestCheckOfFiles(t *testing.T) {
	healthy := ipsecdiag(t, nil, "check", "--state", fixture("healthy-ikev2", "glass.policy.txt"), "--state", fixture("healthy-ikev2", "glass.state.txt"))
	if healthy.status != statusFine || healthy.stderr != "" || !strings.HasPrefix(healthy.stdout, "Nothing wrong found") ||
		!strings.Contains(healthy.stdout, "6 policies, 2 SAs") {
		t.Errorf("got %+v", healthy)
	}
	glass, teapot := fixture("text-ifcfg-unturned", "glass"), fixture("text-ifcfg-unturned", "teapot")
	both := ipsecdiag(t, nil, "check", "--format", "json",
		"--state", filepath.Join(glass, "ifcfg-ipsec0"), "--state", filepath.Join(glass, "keys-ipsec0"),
		"--peer-state", filepath.Join(teapot, "ifcfg-ipsec0"), "--peer-state", filepath.Join(teapot, "keys-ipsec0"))
	var d struct {
		Version  int
		Findings []rules.Finding
		Summary  report.Summary
	}
	if err := json.Unmarshal([]byte(both.stdout), &d); err != nil {
		t.Fatal(err)
	}
	if both.status != statusFound || both.stderr != "" || d.Version != 1 || d.Findings[0].Rule != "ends-mismatch" || len(d.Summary.Audited) != 2 {
		t.Errorf("got %+v", both)
	}
	for _, key := range []string{"00112233", "ffeeddcc", "FFEEDDCC", "twenty_bytes"} {
		if strings.Contains(both.stdout, key) {
			t.Errorf("a key is shown: %s", both.stdout)
		}
	}
}

// TestCheckNamesWhatItCannotRead holds that nothing is judged on half a text,
// and that the line is named.
func TestCheckNamesWhatItCannotRead(t *testing.T) {
	const conf = "spdadd fd00::1 fd00::2 any -P out ipsec esp/transport//require;\nspdadd fd00::1 fd00::3 any\n  -P sideways none;\n"
	r := ipsecdiag(t, strings.NewReader(conf), "check", "--state", "-")
	if r.status != statusError || !strings.Contains(r.stderr, "ipsecdiag: stdin:3: the policy's direction is not in, out or fwd") {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(r.stdout, "Not known stdin: policies (what begins at stdin:3 could not be read)") {
		t.Errorf("got %s", r.stdout)
	}
}

// TestCheckOfTheReadersSetkeyConf is the case for which this program was begun:
// `none` lines for all ICMPv6 below the policies, and above them.
func TestCheckOfTheReadersSetkeyConf(t *testing.T) {
	last := ipsecdiag(t, strings.NewReader(readersPolicies+readersBypass), "check", "--state", "-")
	if last.status != statusFound || !strings.HasPrefix(last.stdout, "1 error: a bypass for neighbour discovery is in vain") ||
		!strings.Contains(words(last.stdout), "both have the same priority, and the older one wins") ||
		!strings.Contains(words(last.stdout), "the order of its lines is their age") {
		t.Errorf("none lines last: got %+v", last)
	}
	first := ipsecdiag(t, strings.NewReader(readersBypass+readersPolicies), "check", "--state", "-")
	if strings.Contains(first.stdout, "in vain") || !strings.Contains(first.stdout, "wins by its age alone") ||
		!strings.Contains(first.stdout, "[nd-bypass-too-broad]") {
		t.Errorf("none lines first: got %+v", first)
	}
}
