//go:build trial

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file is for tests: a program that is built with the tag trial tries,
// once it is locked in, what it must not be able to do, and tells how it went.

func init() {
	sealed = func() { try("trial", trials) }
	kept = func() { try("trial of the keeper", keeperTrials) }
}

// trials are what a process that reads captures must not be able to do.
var trials = map[string]func() error{
	"open a file":             func() error { return closed(unix.Open("/etc/passwd", unix.O_RDONLY, 0)) },
	"open its own memory":     func() error { return closed(unix.Open("/proc/self/mem", unix.O_RDWR, 0)) },
	"make a file":             func() error { return closed(unix.Open("/tmp/ipsecdiag-trial", unix.O_CREAT|unix.O_WRONLY, 0o600)) },
	"remove a file":           func() error { return unix.Unlink("/tmp/ipsecdiag-trial") },
	"list a directory":        func() error { _, err := os.ReadDir("/"); return err },
	"open a TCP socket":       socket(unix.AF_INET, unix.SOCK_STREAM),
	"open a UDP socket":       socket(unix.AF_INET6, unix.SOCK_DGRAM),
	"open a unix socket":      socket(unix.AF_UNIX, unix.SOCK_STREAM),
	"open a packet socket":    socket(unix.AF_PACKET, unix.SOCK_RAW),
	"open a netlink socket":   socket(unix.AF_NETLINK, unix.SOCK_RAW),
	"execute a program":       func() error { return exec.Command("/bin/true").Run() },
	"replace itself":          func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
	"fork":                    func() error { return call(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0) },
	"trace its parent":        func() error { return unix.PtraceAttach(os.Getppid()) },
	"signal its parent":       func() error { return unix.Kill(os.Getppid(), 0) },
	"type on the terminal":    func() error { return unix.IoctlSetPointerInt(0, unix.TIOCSTI, 'x') },
	"make code":               makeCode,
	"load a program":          func() error { return call(unix.SYS_BPF, unix.BPF_PROG_LOAD, 0, 0) },
	"make a map":              func() error { return call(unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 0) },
	"enter a namespace":       func() error { return unix.Setns(0, 0) },
	"make a namespace":        func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"mount":                   func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"load a module":           func() error { return unix.FinitModule(0, "", 0) },
	"read keys of the kernel": func() error { _, err := unix.KeyctlInt(unix.KEYCTL_SEARCH, 0, 0, 0, 0); return err },
	"use io_uring":            func() error { return call(unix.SYS_IO_URING_SETUP, 1, 0, 0) },
	"become root":             func() error { return call(unix.SYS_SETRESUID, 0, 0, 0) },
	"send a frame":            eachSocket(unix.AF_PACKET, sendFrame),
	"write a frame":           eachSocket(unix.AF_PACKET, func(fd int) error { _, err := unix.Write(fd, make([]byte, 60)); return err }),
	"splice a frame":          eachSocket(unix.AF_PACKET, spliceFrame),
	"make room for sending":   eachSocket(unix.AF_PACKET, makeSendRing),
	"be promiscuous":          eachSocket(unix.AF_PACKET, bePromiscuous),
	"attach another program":  eachSocket(unix.AF_PACKET, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, 0) }),
	"send a UDP packet":       eachSocket(unix.AF_INET, sendUDP),
	"bind a UDP socket":       eachSocket(unix.AF_INET, bindUDP),
	"send to a process":       eachSocket(unix.AF_UNIX, func(fd int) error { return unix.Sendto(fd, []byte("trial"), 0, &unix.SockaddrUnix{Name: "@trial"}) }),
	"copy a descriptor":       func() error { return closed(unix.Dup(2)) },
	"number a descriptor":     func() error { return closed(unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)) },
	"have others signalled":   func() error { _, err := unix.FcntlInt(2, unix.F_SETOWN, os.Getppid()); return err },
	"make a file of memory":   func() error { return closed(unix.MemfdCreate("trial", 0)) },
	"allow itself tracers":    func() error { return call(unix.SYS_PRCTL, unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY&(1<<63-1), 0) },
	"signal by another way":   func() error { return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(os.Getppid()), 0, 0) },
	"ask what it could gain":  func() error { _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, 0, 0, 0, 0); return err },
	"use other calls' names":  func() error { return noSuch(call(1<<30|unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)) },
	"gain capabilities":       gainCapabilities,
}

// keeperTrials are what the keeper of a watch must not be able to do.
var keeperTrials = map[string]func() error{
	"write to a file of root":  func() error { return closed(unix.Open("/etc/passwd", unix.O_WRONLY, 0)) },
	"make a file":              func() error { return closed(unix.Open("/root/ipsecdiag-trial", unix.O_CREAT|unix.O_WRONLY, 0o600)) },
	"write to the memory of 1": func() error { return closed(unix.Open("/proc/1/mem", unix.O_WRONLY, 0)) },
	"look into process 1":      func() error { _, err := os.Readlink("/proc/1/exe"); return err },
	"open a packet socket":     socket(unix.AF_PACKET, unix.SOCK_RAW),
	"open a raw socket":        func() error { return closed(unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)) },
	"trace its parent":         trials["trace its parent"],
	"make a map":               trials["make a map"],
	"enter a namespace":        trials["enter a namespace"],
	"make a namespace":         trials["make a namespace"],
	"mount":                    trials["mount"],
	"load a module":            trials["load a module"],
	"read keys of the kernel":  trials["read keys of the kernel"],
	"use io_uring":             trials["use io_uring"],
	"become somebody else":     func() error { return call(unix.SYS_SETRESUID, 12345, 12345, 12345) },
	"give a file away":         func() error { return unix.Fchownat(unix.AT_FDCWD, "/", 12345, 12345, 0) },
	"gain capabilities":        gainMore,
	"start what gains some":    startGaining,
}

// startGaining starts a program as root, which without no_new_privs would have all
// capabilities.
func startGaining() error {
	has, err := exec.Command("grep", "^Cap\\(Prm\\|Eff\\):", "/proc/self/status").Output()
	if err != nil {
		return fmt.Errorf("it did not start: %v", err)
	}
	var permitted, effective uint64
	if _, err := fmt.Sscanf(string(has), "CapPrm:\t%x\nCapEff:\t%x\n", &permitted, &effective); err != nil {
		return err
	}
	if (permitted|effective)&^(1<<unix.CAP_NET_ADMIN) == 0 {
		return unix.EPERM
	}
	return fmt.Errorf("it has %x, %x", permitted, effective)
}

func gainMore() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: 1<<12 | 1<<21, Permitted: 1<<12 | 1<<21}}
	return call(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}

func try(name string, trials map[string]func() error) {
	var allowed []string
	for what, f := range trials {
		if err := f(); !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
			allowed = append(allowed, fmt.Sprintf("%s (%v)", what, err))
		}
	}
	slices.Sort(allowed)
	fmt.Fprintf(os.Stderr, "%s: tried %d, allowed: %s\n", name, len(trials), strings.Join(allowed, ", "))
}

func closed(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func socket(family, kind int) func() error {
	return func() error { return closed(unix.Socket(family, kind, 0)) }
}

// noSuch takes a call that there is none of for one that is forbidden.
func noSuch(err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return unix.EPERM
	}
	return err
}

// eachSocket tries something with all sockets of a family that are held. That none
// is held is as good as that it is forbidden.
func eachSocket(family int, f func(fd int) error) func() error {
	return func() error {
		const most = 1024 // descriptors
		for fd := range most {
			is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
			kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
			if err != nil || is != family || kind != unix.SOCK_RAW && kind != unix.SOCK_DGRAM {
				continue
			}
			if err := f(fd); !errors.Is(err, unix.EPERM) {
				return fmt.Errorf("descriptor %d: %v", fd, err)
			}
		}
		return unix.EPERM
	}
}

// loopback is the index of the interface on which a frame could do no harm: each
// namespace's first.
const loopback = 1

func sendFrame(fd int) error {
	return unix.Sendto(fd, make([]byte, 60), 0, &unix.SockaddrLinklayer{Ifindex: loopback, Halen: 6})
}

func spliceFrame(fd int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if _, err := unix.Write(pipe[1], make([]byte, 60)); err != nil {
		return err
	}
	_, err := unix.Splice(pipe[0], nil, fd, nil, 60, 0)
	return err
}

func makeSendRing(fd int) error {
	return unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &unix.TpacketReq3{})
}

func bePromiscuous(fd int) error {
	return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: loopback, Type: unix.PACKET_MR_PROMISC})
}

func sendUDP(fd int) error {
	return unix.Sendto(fd, []byte("trial"), 0, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
}

func bindUDP(fd int) error { return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}) }

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func makeCode() error {
	_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
	return err
}

func gainCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: 1 << 12, Permitted: 1 << 12}}
	return call(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}
