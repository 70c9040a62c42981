package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// nobody is the user and group that own nothing (systemd's UIDS-GIDS; Debian
// policy 9.2.2).
const nobody = 65534

// Process confines this process. An error leaves it half confined: it is then
// to end. What the kernel lacks is no error.
func Process(o Options) (State, error) {
	var missing []string
	// Before Linux 4.3 there was no ambient set.
	_ = everyThread(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	if o.Nobody && os.Geteuid() == 0 {
		if err := becomeNobody(); err != nil {
			missing = append(missing, fmt.Sprintf("the user nobody: %v", err))
		}
	}
	if err := keepCapabilities(o.Keep); err != nil {
		return State{}, fmt.Errorf("give up capabilities: %w", err)
	}
	// No program that is started gains a capability then, root's and setuid ones
	// neither (cap_bprm_creds_from_file in security/commoncap.c). What the bounding
	// set would say besides costs a stop of all threads for each of its 41.
	if err := everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return State{}, fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := hideMemory(); err != nil {
		return State{}, err
	}
	abi, why := restrictFiles(o)
	missing = append(missing, why...)
	if err := restrictCalls(o.Calls); err != nil {
		missing = append(missing, fmt.Sprintf("seccomp: %v", err))
	}
	s := Present()
	s.Landlock, s.Missing = abi, missing
	return s, nil
}

// everyThread makes a system call on all threads of the process: credentials are
// each thread's own in Linux. The further arguments of prctl must be 0, which psx
// leaves to chance where it is built with cgo.
func everyThread(call, a, b, c uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// hideMemory keeps the memory of this process, in which may be what passes a network,
// or keys, from being dumped into a core file, and from other processes of the same
// user: one without capabilities could be traced by them, and what it holds be used.
// A change of credentials would undo it.
func hideMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep the process's memory from others: %w", err)
	}
	return nil
}

// lastCapability bounds the search for the last one that the kernel knows.
const lastCapability = 63

// becomeNobody gives up the user root, and its groups.
func becomeNobody() error {
	return errors.Join(
		os.NewSyscallError("setgroups", syscall.Setgroups(nil)),
		os.NewSyscallError("setresgid", syscall.Setresgid(nobody, nobody, nobody)),
		os.NewSyscallError("setresuid", syscall.Setresuid(nobody, nobody, nobody)),
	)
}

// keepCapabilities gives up all others.
func keepCapabilities(keep []Capability) error {
	permitted, err := permitted()
	if err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range keep {
		if slices.Contains(permitted, c) {
			data[c/32].Permitted |= 1 << (c % 32)
			data[c/32].Effective |= 1 << (c % 32)
		}
	}
	return everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}

// permitted returns the calling thread's permitted capabilities.
func permitted() (out []Capability, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, fmt.Errorf("read capabilities: %w", err)
	}
	for c := range Capability(lastCapability + 1) {
		if (data[c/32].Permitted|data[c/32].Effective)&(1<<(c%32)) != 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// Present tells what is in force for the calling thread, of which the kernel
// tells: not whether there is Landlock.
func Present() State {
	s := State{PID: os.Getpid(), User: os.Geteuid()}
	s.Held, _ = permitted()
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	s.NoNewPrivs = err == nil && set == 1
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	s.Seccomp = err == nil && mode == unix.SECCOMP_MODE_FILTER
	return s
}
