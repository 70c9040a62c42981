package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lockdownFile tells and sets how far the kernel is locked down (kernel_lockdown(7)).
const lockdownFile = "/sys/kernel/security/lockdown"

// TestWatchUnderLockdown holds that a kernel that is locked down as far as can be,
// which lasts until it is booted again, lets watch read its policies and count ESP.
func TestWatchUnderLockdown(t *testing.T) {
	if os.Getenv("IPSECDIAG_GUEST") == "" {
		t.Skip("locks the kernel down for good: the virtual machine of the lab runs it")
	}
	if err := os.WriteFile(lockdownFile, []byte("confidentiality"), 0); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(lockdownFile); err != nil || !strings.Contains(string(now), "[confidentiality]") {
		t.Fatalf("it is %q, %v", now, err)
	}
	a, b := watchedHosts(t)
	policeTeapot(t, b)
	w := startWatch(t, nil, program, "watch", "vb", "--netns", b)
	w.says("ESP is counted in the kernel")
	sendFrom(t, a, 1, 4500, encapsulated(0x12345678, 0, 40)...)
	w.until("it finds that the policies catch neighbour discovery", func() bool {
		return strings.Contains(w.stdout.String(), "[nd-under-policy]")
	})
	w.end(unix.SIGTERM)
	w.says("watched for ", "40 ESP or AH packets, nothing lost")
}
