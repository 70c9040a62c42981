package confine

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"slices"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// restrictCalls takes system calls from all threads, by seccomp. What is not
// allowed fails with EPERM: Go's runtime and libraries then do without.
func restrictCalls(calls Calls) error {
	if calls == AllCalls {
		return nil
	}
	if builtWithCgo {
		return errors.New("the C library makes calls of its own (build with CGO_ENABLED=0)")
	}
	if calls == Sealed && bits.UintSize < 64 {
		return errors.New("what a process of 32 bits needs is not known (mmap2, futex_time64, socketcall and their like)")
	}
	if !seccomp.Supported() {
		return errors.New("this kernel has none")
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	if len(machine.SyscallNames) == 0 {
		return fmt.Errorf("the system calls of %s are not known", machine.Name)
	}
	allowed := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	if calls == Sealed {
		allowed.Names = known(machine, sealedCalls)
		allowed.NamesWithCondtions = knownWith(machine, sealedConditions())
	} else {
		allowed.Names = allBut(machine, reservedCalls)
	}
	return seccomp.LoadFilter(seccomp.Filter{
		Flag:   seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{allowed}},
	})
}

// known returns those calls that the machine has: arm64 has no poll, say.
func known(machine *arch.Info, names []string) (out []string) {
	for _, name := range names {
		if _, ok := machine.SyscallNames[name]; ok {
			out = append(out, name)
		}
	}
	return out
}

func knownWith(machine *arch.Info, all []seccomp.NameWithConditions) []seccomp.NameWithConditions {
	return slices.DeleteFunc(all, func(c seccomp.NameWithConditions) bool {
		_, ok := machine.SyscallNames[c.Name]
		return !ok
	})
}

// allBut returns the machine's calls without those that are named. The library
// lets a program of another machine's calls (i386 on amd64) pass only where all
// else passes: so the rest is allowed, and not the named ones refused.
func allBut(machine *arch.Info, names []string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(machine.SyscallNames)), func(name string) bool {
		return slices.Contains(names, name)
	})
}

// sealedCalls are what a sealed process may do without conditions, the most
// frequent first.
var sealedCalls = []string{
	"read", "futex", "epoll_pwait", "ppoll", "poll", "nanosleep", "clock_gettime", "sched_yield",
	"epoll_wait", "epoll_pwait2", "epoll_ctl", "epoll_create1", "eventfd2", "pipe2", "pselect6", "select",
	"readv", "pread64", "pwrite64", "lseek", "close", "fstat", "fsync", "fdatasync", "ftruncate", "copy_file_range",
	"recvfrom", "recvmsg", "recvmmsg", "getsockopt", "getsockname", "getpeername", "shutdown", "accept4",
	"munmap", "mremap", "madvise", "brk", "mincore", "membarrier",
	"exit", "exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
	"sigaltstack", "restart_syscall", "wait4", "waitid", "set_robust_list", "rseq", "sched_getaffinity",
	"gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage", "getrlimit", "capget",
	"clock_nanosleep", "clock_getres", "gettimeofday", "time", "setitimer",
	"timer_create", "timer_settime", "timer_delete", "timerfd_create", "timerfd_settime",
	"getrandom", "uname", "sysinfo", "getcwd",
}

// What is asked of arguments.
const (
	protExec   = unix.PROT_EXEC
	threadFlag = unix.CLONE_THREAD // the kernel wants CLONE_VM and CLONE_SIGHAND with it
)

// Commands of bpf(2) that a file descriptor alone permits: a map's elements are
// read, written and deleted (linux/bpf.h).
var mapCommands = []uint64{
	unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY,
	unix.BPF_MAP_LOOKUP_BATCH, unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, unix.BPF_MAP_DELETE_BATCH,
}

// ioctls of terminals and interfaces. TIOCSTI, which types on the terminal, is
// not among them.
var ioctls = []uint64{
	unix.TCGETS, unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TCFLSH, unix.TIOCGWINSZ, unix.TIOCGPGRP, unix.TIOCINQ,
	unix.SIOCGIFINDEX, unix.SIOCGIFHWADDR, unix.SIOCGIFFLAGS, unix.SIOCGIFNAME,
}

// prctls by which a process asks about itself, and names its memory.
var prctls = []uint64{
	unix.PR_GET_NO_NEW_PRIVS, unix.PR_GET_SECCOMP, unix.PR_SET_VMA,
}

// senders are the calls by which something is sent, and which argument says by
// which descriptor.
var senders = map[string]uint32{"write": 0, "writev": 0, "sendto": 0, "sendmsg": 0, "sendfile": 0, "splice": 2}

// fcntls are what fcntl(2) may be asked for: neither copies of a descriptor, nor
// that somebody else be signalled.
var fcntls = []uint64{unix.F_GETFD, unix.F_SETFD, unix.F_GETFL}

// options are the options that may be set on sockets, by their level: filters of
// what is received, and what net/http sets on a connection.
var options = map[uint64][]uint64{
	unix.SOL_SOCKET:  {unix.SO_ATTACH_FILTER, unix.SO_KEEPALIVE},
	unix.IPPROTO_TCP: {unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT},
}

// sealedConditions are what a sealed process may do with these arguments alone.
func sealedConditions() (out []seccomp.NameWithConditions) {
	allow := func(name string, conditions ...seccomp.Condition) {
		out = append(out, seccomp.NameWithConditions{Name: name, Conditions: conditions})
	}
	allow("mmap", argument(2, seccomp.BitsNotSet, protExec))
	allow("mprotect", argument(2, seccomp.BitsNotSet, protExec))
	allow("clone", argument(0, seccomp.BitsSet, threadFlag))
	allow("tgkill", argument(0, seccomp.Equal, uint64(os.Getpid())))
	for _, name := range slices.Sorted(maps.Keys(senders)) {
		allow(name, argument(senders[name], seccomp.LessThan, receivers))
	}
	allow("bind", argument(0, seccomp.GreaterOrEqual, receivers), argument(0, seccomp.LessThan, mostDescriptors))
	allow("fcntl", argument(1, seccomp.Equal, unix.F_SETFL), argument(2, seccomp.BitsNotSet, unix.O_ASYNC))
	for name, asked := range map[string]asked{"fcntl": {1, fcntls}, "bpf": {0, mapCommands}, "ioctl": {1, ioctls}, "prctl": {0, prctls}} {
		for _, value := range asked.values {
			allow(name, argument(asked.argument, seccomp.Equal, value))
		}
	}
	for level, names := range options {
		for _, name := range names {
			allow("setsockopt", argument(1, seccomp.Equal, level), argument(2, seccomp.Equal, name))
		}
	}
	return out
}

// asked is which argument says what is wanted, and what it may be.
type asked struct {
	argument uint32
	values   []uint64
}

func argument(number uint32, operation seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: number, Operation: operation, Value: value}
}

// reservedCalls are taken from a process that is not sealed.
var reservedCalls = []string{
	// over other processes
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
	// over the file system's shape, and files by handle
	"mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
	"fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "open_by_handle_at", "name_to_handle_at",
	"mknod", "mknodat", "fanotify_init",
	// over the kernel
	"bpf", "init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load", "reboot",
	"perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "syslog", "acct",
	"iopl", "ioperm", "lookup_dcookie", "nfsservctl", "uselib", "modify_ldt", "vm86", "vm86old",
	"keyctl", "add_key", "request_key", "personality", "sethostname", "setdomainname", "vhangup",
	"settimeofday", "clock_settime", "clock_adjtime", "clock_adjtime64", "clock_settime64", "adjtimex", "stime",
	"setns", "unshare",
}
