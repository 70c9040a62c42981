// Package confine takes from this process what it does not need: capabilities,
// the user root, files, and system calls. What is taken is taken from all of
// its threads, and for good.
//
// A kernel without Landlock or seccomp gives what it has; State tells what is in
// force, and what is not and why.
package confine

import (
	"fmt"
	"strings"
)

// Options say what a process keeps. The zero value keeps no capability, and the
// user, the files and the system calls.
type Options struct {
	// Keep are the capabilities that stay, of those that are held.
	Keep []Capability
	// Nobody makes root the user nobody. A process of another user keeps it.
	Nobody bool
	// Calls say which system calls stay.
	Calls Calls
	// WriteBelow are the directories below which files may still be written,
	// where Calls is Reserved. Every file may be read.
	WriteBelow []string
}

// Calls are kinds of confinement by system call.
type Calls uint8

// The kinds.
const (
	// AllCalls leaves all system calls, and all files.
	AllCalls Calls = iota
	// Reserved takes those by which a process rules over others or over the
	// kernel: tracing, mounting, modules, BPF, keys and their like. Files can be
	// written below Options.WriteBelow alone.
	Reserved
	// Sealed leaves those by which open files are read and written, memory is
	// managed and threads run. Nothing can be opened, connected or executed.
	Sealed
)

// Capability is a capability's number (linux/capability.h).
type Capability uint8

// Those that this program uses.
const (
	NetAdmin Capability = 12
	NetRaw   Capability = 13
	BPF      Capability = 39
)

var capabilityNames = map[Capability]string{
	NetAdmin: "CAP_NET_ADMIN", NetRaw: "CAP_NET_RAW", BPF: "CAP_BPF",
}

// String returns the capability's name, or for others its number.
func (c Capability) String() string {
	if name, ok := capabilityNames[c]; ok {
		return name
	}
	return fmt.Sprintf("capability %d", uint8(c))
}

// State is what is in force for a process.
type State struct {
	PID        int
	User       int
	Held       []Capability // effective or permitted
	NoNewPrivs bool
	Seccomp    bool
	Landlock   int      // version of the kernel's interface; 0 where it is not used
	Missing    []string // what was wanted and is not in force, and why
}

// String tells it in one line.
func (s State) String() string {
	parts := []string{fmt.Sprintf("process %d: user %d", s.PID, s.User), held(s.Held)}
	if s.NoNewPrivs {
		parts = append(parts, "no_new_privs")
	}
	if s.Seccomp {
		parts = append(parts, "seccomp")
	}
	if s.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock (version %d)", s.Landlock))
	}
	line := strings.Join(parts, ", ")
	if len(s.Missing) > 0 {
		line += "; not in force: " + strings.Join(s.Missing, "; ")
	}
	return line
}

func held(all []Capability) string {
	const many = 8
	switch {
	case len(all) == 0:
		return "no capability"
	case len(all) > many:
		return fmt.Sprintf("%d capabilities", len(all))
	}
	var names []string
	for _, c := range all {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}
