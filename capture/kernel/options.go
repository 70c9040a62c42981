package kernel

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// AcquireMode says when Watch joins the ACQUIRE group. It satisfies
// pflag.Value.
type AcquireMode uint8

// The modes.
const (
	// AcquireAuto joins while an IKE daemon listens too, since the kernel then
	// makes larval SAs anyway.
	AcquireAuto AcquireMode = iota
	// AcquireAlways joins at once; the kernel makes larval SAs because of it.
	AcquireAlways
	// AcquireNever does not join: larval SAs are seen by dumps only.
	AcquireNever
)

var acquireModes = [...]string{AcquireAuto: "auto", AcquireAlways: "always", AcquireNever: "never"}

// String returns "auto", "always" or "never".
func (m AcquireMode) String() string {
	if int(m) < len(acquireModes) {
		return acquireModes[m]
	}
	return fmt.Sprintf("AcquireMode(%d)", uint8(m))
}

// Set accepts what String returns.
func (m *AcquireMode) Set(s string) error {
	for i, name := range acquireModes {
		if s == name {
			*m = AcquireMode(i)
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(acquireModes[:], ", "))
}

// Type names the values in a usage text.
func (m *AcquireMode) Type() string { return "mode" }

// Options say what to read and how. The zero value reads the current network
// namespace.
type Options struct {
	Netns    string        // name under /run/netns, or a path; empty: current
	Host     string        // origin's host; empty: os.Hostname
	Acquire  AcquireMode   // Watch only
	ProcRoot string        // empty: /proc
	Warn     func(string)  // gets what a person should know; may be nil
	Poll     time.Duration // of counters and the neighbour table; 0: one second
	// Owners are those that FindOwners has found.
	Owners Owners
}

// withDefaults fills in what was left open.
func (o Options) withDefaults() Options {
	if o.Host == "" {
		o.Host, _ = os.Hostname()
	}
	if o.ProcRoot == "" {
		o.ProcRoot = "/proc"
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	return o
}
