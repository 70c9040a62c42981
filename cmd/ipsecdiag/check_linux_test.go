package main

import (
	"path/filepath"
	"testing"
)

// TestCheckOfThisHost holds that a host and its snapshot are audited alike.
func TestCheckOfThisHost(t *testing.T) {
	needsPrivilege(t)
	r := ipsecdiag(t, nil, "check", "-o", "/dev/null")
	if r.status == statusError || r.stdout != "" {
		t.Errorf("got %+v", r)
	}
	out := filepath.Join(t.TempDir(), "snapshot.json")
	if r := ipsecdiag(t, nil, "snapshot", "-o", out); r.status != statusFine {
		t.Fatalf("got %+v", r)
	}
	live, stored := ipsecdiag(t, nil, "check"), ipsecdiag(t, nil, "check", "--state", out)
	if live.status != stored.status || stored.status == statusError {
		t.Errorf("the host itself gives %+v, its snapshot %+v", live, stored)
	}
}
