package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoThreadIsLeftWithoutCapabilities holds that all threads have alike what they
// had: Process calls on all of them, and Go ends a process where they disagree.
func TestNoThreadIsLeftWithoutCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: there are no capabilities to put out of effect")
	}
	const nothing = "0000000000000000"
	for range 20 {
		if err := WithoutCapabilities(func() error {
			if had := effective(t, "/proc/thread-self/status"); had != nothing {
				t.Errorf("a capability is in effect: %s", had)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatalf("%v, %v", threads, err)
	}
	for _, thread := range threads {
		if effective(t, thread) == nothing {
			t.Errorf("%s has no capability any more", thread)
		}
	}
}

// effective returns a thread's effective capabilities as the kernel writes them.
func effective(t *testing.T, status string) string {
	t.Helper()
	content, err := os.ReadFile(status)
	if err != nil {
		return "it has ended"
	}
	for line := range strings.Lines(string(content)) {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strings.TrimSpace(set)
		}
	}
	t.Fatalf("%s tells no capabilities", status)
	return ""
}
