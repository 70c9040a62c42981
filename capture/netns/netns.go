//go:build linux

// Package netns runs functions, or the whole program, inside a named network
// namespace.
package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is where `ip netns` keeps its names.
const Dir = "/run/netns"

// Path returns the file that stands for a namespace: name itself if it holds a
// slash (/proc/PID/ns/net), else the name's place under Dir.
func Path(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return filepath.Join(Dir, name)
}

// entered is the namespace in which this whole process is, by the name with which
// Enter was called.
var entered string

// Variable is the environment variable by which a process that Enter has
// executed anew, or a child of it, learns in which namespace it is.
const Variable = "IPSECDIAG_NETNS"

// Enter has this whole process be in the named network namespace, all of its
// threads and what it executes: the program is executed anew in it. So nothing
// has to enter it later, which needs CAP_SYS_ADMIN. It returns in the new process,
// or with an error, after which this process should end.
func Enter(name string) error {
	if name == "" || name == entered {
		return nil
	}
	if os.Getenv(Variable) == name && !elsewhere(name) {
		entered = name
		return os.Unsetenv(Variable)
	}
	runtime.LockOSThread() // for good: there is no way back
	if err := enter(name); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		program = "/proc/self/exe"
	}
	err = unix.Exec(program, os.Args, append(os.Environ(), Variable+"="+name))
	return fmt.Errorf("execute %s in network namespace %s: %w", program, name, err)
}

// Given is the namespace that Enter was called with in the process before this
// one.
func Given() string { return os.Getenv(Variable) }

// elsewhere reports whether the name is known to stand for another namespace
// than this process's.
func elsewhere(name string) bool {
	there, err := os.Stat(Path(name))
	if err != nil {
		return false // one of a process that must not be looked into, say
	}
	here, err := os.Stat("/proc/self/ns/net")
	return err == nil && !os.SameFile(here, there)
}

// Do runs f in the named network namespace, in the current one where name is
// empty or the whole process is in it, and returns f's error. f runs on a thread of its own that ends with
// it, so that no other goroutine is ever scheduled onto a thread in a foreign
// namespace. Sockets that f opens stay in the namespace; goroutines that it
// starts do not. Inside, read /proc/thread-self/net: /proc/net follows the main
// thread.
func Do(name string, f func() error) error {
	if name == "" || name == entered {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread is thrown away with the goroutine.
		runtime.LockOSThread()
		if err := enter(name); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func enter(name string) error {
	fd, err := unix.Open(Path(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}
