package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScrubBothEndsWithOneSecret(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	var copies []string
	for _, end := range []string{"glass.pcapng", "teapot.pcapng"} {
		to := filepath.Join(dir, end)
		if r := ipsecdiag(t, nil, "scrub", fixture("nd-deadlock-ikev2", end), "-o", to, "--secret", secret); r.status != statusFine || r.stdout+r.stderr != "" {
			t.Fatalf("got %+v", r)
		}
		copies = append(copies, to)
	}
	for path, mode := range map[string]os.FileMode{secret: 0o400, copies[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, mode)
		}
	}
	r := ipsecdiag(t, nil, append([]string{"analyze"}, copies...)...)
	if !strings.HasPrefix(r.stdout, "1 error: neighbour discovery and IKE wait for each other") || !strings.Contains(words(r.stdout), "certain, open since") {
		t.Errorf("both copies together: %s", r.stdout)
	}
}

func TestScrubRefuses(t *testing.T) {
	dir := t.TempDir()
	path := fixture("nd-deadlock-ikev2", "glass.pcapng")
	empty, short := filepath.Join(dir, "empty.pcap"), filepath.Join(dir, "short")
	header := "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x01\x00\x00\x00"
	if err := os.WriteFile(empty, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(short, []byte("abcd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.pcapng")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"without an output": {[]string{path}, "name the file with -o"},
		"onto itself":       {[]string{empty, "-o", empty}, "would be overwritten while it is read"},
		"two files":         {[]string{path, path, "-o", out}, "one file at a time"},
		"nothing in it":     {[]string{empty, "-o", out}, "nothing is written"},
		"a short secret":    {[]string{path, "-o", out, "--secret", short}, "64 hexadecimal digits"},
	} {
		r := ipsecdiag(t, nil, append([]string{"scrub"}, c.args...)...)
		if r.status != statusError || r.stdout != "" || !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
	if info, err := os.Stat(out); err == nil && info.Size() > 0 {
		t.Errorf("%s was written", out)
	}
}
