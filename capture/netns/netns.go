//go:build linux

// Package netns runs functions inside a named network namespace.
package netns

import (
	"fmt"
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

// Do runs f in the named network namespace, in the current one where name is
// empty, and returns f's error. f runs on a thread of its own that ends with
// it, so that no other goroutine is ever scheduled onto a thread in a foreign
// namespace. Sockets that f opens stay in the namespace; goroutines that it
// starts do not. Inside, read /proc/thread-self/net: /proc/net follows the main
// thread.
func Do(name string, f func() error) error {
	if name == "" {
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
