package kernel

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/netns"
	"ipsecdiag/capture/procfs"

	"golang.org/x/sys/unix"
)

// The two ways in which a socket gets ACQUIREs.
const (
	viaNetlink = "netlink"
	viaPFKey   = "pfkey"
)

// acquireSocket is a socket that gets ACQUIREs.
type acquireSocket struct {
	via   string
	inode uint64
	port  int // netlink port: the owner's PID, more often than not
}

// Owners are processes that listen for ACQUIREs, as far as they are known.
type Owners struct {
	known map[acquireSocket]analyze.Listener
}

// FindOwners looks who listens for ACQUIREs. To look into other users' processes
// takes CAP_SYS_PTRACE: what is found while that is held need not be looked for
// later.
func FindOwners(o Options) Owners {
	o = o.withDefaults()
	l := listeners{proc: proc(o.ProcRoot)}
	_ = netns.Do(o.Netns, func() error { // it is tried again
		_, err := l.read()
		return err
	})
	return Owners{l.known}
}

// listeners finds out who gets ACQUIREs. Owners are searched only for sockets
// that were not there before, since that means a look into every process.
type listeners struct {
	proc  proc
	known map[acquireSocket]analyze.Listener
}

// read returns the listeners of the thread's namespace, sorted, our own sockets
// left out.
func (l *listeners) read() ([]analyze.Listener, error) {
	found, err := l.proc.acquireSockets()
	if err != nil {
		return nil, err
	}
	now := make(map[acquireSocket]analyze.Listener, len(found))
	var unknown []acquireSocket
	for _, s := range found {
		known, ok := l.known[s]
		switch {
		case !ok:
			unknown = append(unknown, s)
		case known.PID == 0: // a daemon's first request may come later than it listens
			now[s] = l.proc.listener(s.via, l.proc.byPort(s))
		default:
			now[s] = known
		}
	}
	for s, owner := range l.proc.owners(unknown) {
		now[s] = owner
	}
	l.known = now
	out := make([]analyze.Listener, 0, len(now))
	for _, owner := range now {
		out = append(out, owner)
	}
	slices.SortFunc(out, func(a, b analyze.Listener) int {
		return cmp.Or(cmp.Compare(a.Via, b.Via), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// forget has the owners of a process's sockets searched anew: it has ended, and
// a child may hold them now.
func (l *listeners) forget(pid int) {
	maps.DeleteFunc(l.known, func(_ acquireSocket, owner analyze.Listener) bool { return owner.PID == pid })
}

// acquireSockets lists the sockets of the thread's namespace that get ACQUIREs,
// except ours: netlink sockets of protocol NETLINK_XFRM with the first bit of
// the group mask set, and PF_KEY sockets. The latter must have registered
// (SADB_REGISTER), which the kernel does not tell.
func (p proc) acquireSockets() ([]acquireSocket, error) {
	var out []acquireSocket
	// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
	err := p.table("netlink", func(f []string) {
		groups, _ := strconv.ParseUint(field(f, 3), 16, 64)
		inode, err := strconv.ParseUint(field(f, 9), 10, 64)
		if err != nil || field(f, 1) != strconv.Itoa(unix.NETLINK_XFRM) || groups&1 == 0 {
			return
		}
		if _, own := ours.Load(inode); own {
			return
		}
		port, _ := strconv.Atoi(field(f, 2)) // negative numbers are written unsigned
		out = append(out, acquireSocket{via: viaNetlink, inode: inode, port: port})
	})
	if err != nil {
		return nil, err
	}
	// sk RefCnt Rmem Wmem User Inode; the file exists with af_key only
	err = p.table("pfkey", func(f []string) {
		if inode, err := strconv.ParseUint(field(f, 5), 10, 64); err == nil {
			out = append(out, acquireSocket{via: viaPFKey, inode: inode})
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return out, err
}

// table calls f with the fields of every line.
func (p proc) table(name string, f func(fields []string)) error {
	file, err := procfs.Open(p.net(name))
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f(strings.Fields(lines.Text()))
	}
	return lines.Err()
}

func field(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

// owners names the processes that hold the sockets. Those that may not be
// looked into leave a listener without an owner.
func (p proc) owners(sockets []acquireSocket) map[acquireSocket]analyze.Listener {
	out := make(map[acquireSocket]analyze.Listener, len(sockets))
	for _, s := range sockets {
		out[s] = p.listener(s.via, p.owner(s))
	}
	return out
}

// owner returns the process that holds a socket, 0 where that cannot be told. A
// netlink port is the process that got it, unless it is taken (netlink_autobind):
// where that process must not be looked into, it is believed. A daemon's socket
// for events is its second one (strongSwan's), with another number: then it is
// that of the only process that has a first one.
func (p proc) owner(s acquireSocket) int {
	if s.port > 0 && p.holds(s.port, s.inode) {
		return s.port
	}
	if pid := p.search(s.inode); pid > 0 {
		return pid
	}
	return p.byPort(s)
}

// byPort returns the process of a socket that must not be looked into, if ports
// tell.
func (p proc) byPort(s acquireSocket) int {
	if s.via != viaNetlink {
		return 0
	}
	ports := []int{s.port}
	if s.port <= 0 || s.port > maxPID {
		ports = p.requestPorts()
	}
	if len(ports) == 1 && p.closed(ports[0]) {
		return ports[0]
	}
	return 0
}

// requestPorts returns the ports of the thread's namespace at which other
// processes make requests of XFRM, where the port is a process.
func (p proc) requestPorts() (ports []int) {
	_ = p.table("netlink", func(f []string) { // where it cannot be read, there are none
		groups, err := strconv.ParseUint(field(f, 3), 16, 64)
		port, _ := strconv.Atoi(field(f, 2))
		if err == nil && groups == 0 && field(f, 1) == strconv.Itoa(unix.NETLINK_XFRM) && port > 0 && port <= maxPID && port != os.Getpid() {
			ports = append(ports, port)
		}
	})
	return ports
}

// maxPID is the largest PID (PID_MAX_LIMIT); negative ports are written unsigned.
const maxPID = 1 << 22

// closed reports whether a process is there and must not be looked into.
func (p proc) closed(pid int) bool {
	_, err := os.Readlink(filepath.Join(string(p), strconv.Itoa(pid), "exe"))
	return errors.Is(err, fs.ErrPermission)
}

// search looks for the process that holds a socket; 0 where none is found.
func (p proc) search(inode uint64) int {
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && p.holds(pid, inode) {
			return pid
		}
	}
	return 0
}

// holds reports whether a process has that socket open.
func (p proc) holds(pid int, inode uint64) bool {
	dir := filepath.Join(string(p), strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false // gone, or none of our business
	}
	want := fmt.Sprintf("socket:[%d]", inode)
	return slices.ContainsFunc(fds, func(fd os.DirEntry) bool {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		return err == nil && target == want
	})
}

func (p proc) listener(via string, pid int) analyze.Listener {
	l := analyze.Listener{Via: via, PID: pid}
	if pid == 0 {
		return l
	}
	comm, err := os.ReadFile(filepath.Join(string(p), strconv.Itoa(pid), "comm"))
	if err == nil {
		l.Name = strings.TrimSpace(string(comm))
	}
	l.Monitor = isMonitor(l.Name)
	return l
}

// isMonitor knows the programs that listen and never answer: `ip xfrm monitor`,
// setkey, and this program in another process.
func isMonitor(comm string) bool {
	return comm == "ip" || comm == "setkey" || strings.HasPrefix(comm, "ipsecdiag")
}

// answering reports whether any listener may be an IKE daemon.
func answering(ls []analyze.Listener) bool {
	return slices.ContainsFunc(ls, func(l analyze.Listener) bool { return !l.Monitor })
}
