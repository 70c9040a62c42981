package capture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

// states reads files as one call of ReadStates.
func states(t *testing.T, o StateOptions, paths ...string) *States {
	t.Helper()
	o.Location = time.UTC
	s, err := ReadStates(context.Background(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fixturePath(elements ...string) string {
	return filepath.Join(append([]string{"..", "fixtures"}, elements...)...)
}

func lacks(s *analyze.Snapshot, part string) bool {
	return strings.Contains("\n"+strings.Join(s.Missing, "\n"), "\n"+part+": ")
}

// TestStatesOfOneScenarioAgree reads the same kernel's state from a recording,
// from the snapshot's JSON, and from the texts of ip xfrm, in two files, in one
// and from standard input.
func TestStatesOfOneScenarioAgree(t *testing.T) {
	recorded := states(t, StateOptions{}, fixturePath("healthy-ikev2", "glass.pcapng")).Snapshots[0]
	if recorded.Origin.Host != "glass" || len(recorded.Policies) == 0 || len(recorded.SAs) != 2 || len(recorded.Listeners) == 0 {
		t.Fatalf("the recording gives %+v", recorded.Header)
	}
	var b bytes.Buffer
	if err := WriteSnapshot(&b, recorded); err != nil {
		t.Fatal(err)
	}
	json := states(t, StateOptions{Stdin: &b}, "-").Snapshots[0]
	policy, state := fixturePath("healthy-ikev2", "glass.policy.txt"), fixturePath("healthy-ikev2", "glass.state.txt")
	two := states(t, StateOptions{}, policy, state)
	one := states(t, StateOptions{Stdin: bytes.NewReader(append(read(t, policy), read(t, state)...))}, "-")
	for name, s := range map[string]*analyze.Snapshot{"json": json, "two files": two.Snapshots[0], "one text": one.Snapshots[0]} {
		var got, want []string
		for i := range s.Policies {
			if !s.Policies[i].Socket {
				got = append(got, s.Policies[i].String())
			}
		}
		for i := range recorded.Policies {
			if !recorded.Policies[i].Socket {
				want = append(want, recorded.Policies[i].String())
			}
		}
		for i := range s.SAs {
			got = append(got, s.SAs[i].String())
		}
		for i := range recorded.SAs {
			want = append(want, recorded.SAs[i].String())
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d policies and SAs, the recording has %d", name, len(got), len(want))
		}
	}
	s := two.Snapshots[0]
	if s.Origin.Host != "glass" || lacks(s, analyze.PartPolicies) || lacks(s, analyze.PartSAs) || !lacks(s, analyze.PartListeners) {
		t.Errorf("two texts give origin %q, missing %q", s.Origin.Host, s.Missing)
	}
	if s.Time.IsZero() || s.Time.After(recorded.Time) {
		t.Errorf("the texts are from %s at least, the recording ends at %s", s.Time, recorded.Time)
	}
	if one.Snapshots[0].Origin.Host != "stdin" {
		t.Errorf("standard input is %q", one.Snapshots[0].Origin.Host)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func textStates(t *testing.T, content string) *States {
	t.Helper()
	return states(t, StateOptions{Stdin: strings.NewReader(content)}, "-")
}

func TestATextTellsWhatItDoesNotTell(t *testing.T) {
	const conf = "spdadd fd00::1 fd00::2 any -P out ipsec esp/transport//require;\n"
	policies := textStates(t, conf).Snapshots[0]
	if lacks(policies, analyze.PartPolicies) || !lacks(policies, analyze.PartSAs) {
		t.Errorf("policies alone: missing %q", policies.Missing)
	}
	broken := textStates(t, conf+"spdadd nonsense;\n")
	if s := broken.Snapshots[0]; !lacks(s, analyze.PartPolicies) || len(broken.Text.Errors.List) != 1 {
		t.Errorf("a broken line: missing %q, errors %v", s.Missing, broken.Text.Errors.List)
	}
	empty := filepath.Join(t.TempDir(), "state.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	both := states(t, StateOptions{Stdin: strings.NewReader(conf)}, "-", empty).Snapshots[0]
	if lacks(both, analyze.PartPolicies) || lacks(both, analyze.PartSAs) {
		t.Errorf("an empty dump of SAs says that there are none: missing %q", both.Missing)
	}
}

func TestFilesThatHoldNoState(t *testing.T) {
	for content, want := range map[string]error{
		"root:x:0:0:root:/root:/bin/sh\n": ErrNotState,
		"{}":                              ErrNotSnapshot, "{broken": ErrNotSnapshot, `{"version":99,"time":"2026-01-01T00:00:00Z"}`: ErrNewer,
	} {
		_, err := ReadStates(context.Background(), []string{"-"}, StateOptions{Stdin: strings.NewReader(content)})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", content, err, want)
		}
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{fixturePath("healthy-ikev2", "glass.tcpdump.pcap"), ErrNoState},
		{t.TempDir(), ErrDirectory},
		{"/does/not/exist", os.ErrNotExist},
	} {
		if _, err := ReadStates(context.Background(), []string{c.path}, StateOptions{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.path, err, c.want)
		}
	}
}

func TestCommonName(t *testing.T) {
	for want, names := range map[string][]string{
		"glass": {"glass.policy.txt", "glass.state.txt"}, "a.conf": {"a.conf"}, "policy+state": {"policy", "state"},
		"ifcfg-ipsec0+keys-ipsec0": {"ifcfg-ipsec0", "keys-ipsec0"}, "web": {"web-sp.txt", "web-sa.txt"},
	} {
		if got := commonName(names); got != want {
			t.Errorf("%q are %q, want %q", names, got, want)
		}
	}
}
