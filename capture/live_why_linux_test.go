package capture

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestWhyTheKernelDoesNotCount holds what is said of each error that a kernel answers
// bpf(2) with.
func TestWhyTheKernelDoesNotCount(t *testing.T) {
	for _, c := range []struct {
		err     error
		capable bool
		want    string
	}{
		{unix.EPERM, false, "CAP_BPF is missing"},
		{fmt.Errorf("map create: %w", unix.EPERM), false, "CAP_BPF is missing"},
		{fmt.Errorf("map create: %w", unix.EPERM), true, "bpf(2) is forbidden here, by lockdown, seccomp or a user namespace"},
		{unix.ENOSYS, true, "this kernel cannot"},
		{fmt.Errorf("map create: %w", ebpf.ErrNotSupported), true, "this kernel cannot"},
		{unix.EINVAL, true, "invalid argument"},
	} {
		if got := whyNotCounted(c.err, c.capable); got != c.want {
			t.Errorf("%v, capable %v: %q, want %q", c.err, c.capable, got, c.want)
		}
	}
}
