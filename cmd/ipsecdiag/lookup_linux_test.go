package main

import (
	"strings"
	"testing"
)

// TestLookupOnThisHost asks the kernel's own policies.
func TestLookupOnThisHost(t *testing.T) {
	needsPrivilege(t)
	r := ipsecdiag(t, nil, "lookup", "127.0.0.1", "127.0.0.1")
	if r.status != statusFine || !strings.HasPrefix(r.stdout, "clear: ") || !strings.Contains(r.stdout, "dir out, out by lo") {
		t.Errorf("got %+v", r)
	}
}
