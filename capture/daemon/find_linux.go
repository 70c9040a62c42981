package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ipsecdiag/capture/netns"
	"ipsecdiag/capture/procfs"
)

// errRefused: a socket's file is there, and nobody listens.
var errRefused = unix.ECONNREFUSED

// kind is a kind of daemon, by the name of its socket.
type kind struct {
	name func(base string) bool
}

var (
	// charon.vici is strongSwan's name for it; who has several daemons, each in
	// a namespace of its own, names each another.
	viciKind  = kind{func(base string) bool { return strings.HasSuffix(base, ".vici") }}
	whackKind = kind{func(base string) bool { return base == "pluto.ctl" }}
)

// place is a daemon's socket.
type place struct {
	path  string
	inode uint64 // of the socket, where it was found
	// file is the path's in another root directory, opened; nil: in ours.
	file *os.File
	// given is set where somebody named the path: then whose it is is theirs to
	// know.
	given bool
	netns os.FileInfo // a file of the namespace in which it must be, where it is not given
}

// namespaceFile is a file below a process's directory in /proc of which each
// network namespace has one of its own (unix_net_init). Unlike what is below ns/
// it may be looked at by everybody (get_proc_task_net).
const namespaceFile = "net/unix"

// find returns the socket on which a daemon of that kind listens in the
// namespace: the given one, or the one that /proc/net/unix lists. The error
// is fs.ErrNotExist where there is none.
func (k kind) find(o *Options, given string) (place, error) {
	if given != "" {
		_, err := os.Stat(given)
		return place{path: given, given: true}, err
	}
	var p place
	err := netns.Do(o.Netns, func() error {
		var err error
		const own = "/proc/thread-self/" + namespaceFile
		if p.netns, err = os.Stat(own); err != nil {
			return err
		}
		p.path, p.inode, err = k.listening(own)
		return err
	})
	return p, err
}

// maxSockets bounds the lines of /proc/net/unix that are read.
const maxSockets = 1 << 20

// listening reads a table of unix sockets for the first path, in the order of
// the alphabet, on which one of that kind listens.
//
//	Num RefCount Protocol Flags Type St Inode Path
func (k kind) listening(table string) (path string, inode uint64, err error) {
	file, err := procfs.Open(table)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	const acceptsConnections = 1 << 16 // __SO_ACCEPTCON
	lines := bufio.NewScanner(file)
	for n := 0; n < maxSockets && lines.Scan(); n++ {
		f := strings.SplitN(strings.Join(strings.Fields(lines.Text()), " "), " ", 8)
		if len(f) < 8 || !filepath.IsAbs(f[7]) || !k.name(filepath.Base(f[7])) {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err == nil && flags&acceptsConnections != 0 && (path == "" || f[7] < path) {
			path = f[7]
			inode, _ = strconv.ParseUint(f[6], 10, 64)
		}
	}
	if path == "" {
		return "", 0, fs.ErrNotExist
	}
	return path, inode, lines.Err()
}

// belongs reports whether a socket that was found may be believed: whoever
// may make one could tell us anything. Nobody but root makes one below our /run,
// and what another process shows elsewhere must be root's. Two daemons in two
// namespaces may use one path; pid, where it is known, tells whose it is now.
func (p place) belongs(uid uint32, pid int) error {
	if p.given {
		return nil
	}
	if uid != 0 && (p.file != nil || !strings.HasPrefix(p.path, "/run/") && !strings.HasPrefix(p.path, "/var/run/")) {
		return fmt.Errorf("%s belongs to user %d, not to root", p.path, uid)
	}
	if pid == 0 {
		return nil
	}
	ns, err := os.Stat(fmt.Sprintf("/proc/%d/%s", pid, namespaceFile))
	switch {
	case err == nil && !os.SameFile(ns, p.netns):
		return fmt.Errorf("%s belongs to a daemon in another network namespace", p.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s belongs to a process of which cannot be told in which network namespace it is", p.path)
	}
	return nil
}
