package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"ipsecdiag/capture/netns"
)

// guardSecrets keeps this process's memory, which may hold keys, from being
// dumped into a core file or read by other users' debuggers.
func guardSecrets() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core files off: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("switch core files off: %w", err)
	}
	return nil
}

// detach starts a process in a session of its own, so that it outlives this
// one's terminal. It is in this one's namespace, by that name.
func detach(program string, args []string, namespace string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), netns.Variable + "=" + namespace}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// initNamespace is the network namespace of the first process.
const initNamespace = "/proc/1/ns/net"

// findNamespace returns the path of the network namespace with that inode: the
// first process's, or one with a name. Such a path lasts.
func findNamespace(inode string) (path string, ok bool) {
	named, _ := filepath.Glob(filepath.Join(netns.Dir, "*"))
	return withInode(inode, append([]string{initNamespace}, named...))
}

// findHolder returns the path of that namespace by way of a process that is in
// it, as those of containers are.
func findHolder(inode string) (path string, ok bool) {
	held, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	return withInode(inode, held)
}

func withInode(inode string, paths []string) (path string, ok bool) {
	for _, p := range paths {
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil && strconv.FormatUint(st.Ino, 10) == inode {
			return p, true
		}
	}
	return "", false
}
