package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ipsecdiag/capture/netns"
)

// Sysctl reads one of the settings that can be written.
func (h *Handle) Sysctl(name string) (value string, err error) {
	err = h.sysctl("read", name, func(file string) error {
		b, err := os.ReadFile(file)
		value = strings.TrimSpace(string(b))
		return err
	})
	return value, err
}

// SetSysctl writes one of them.
func (h *Handle) SetSysctl(name, value string) error {
	return h.sysctl("set", name, func(file string) error {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(value)
		if closed := f.Close(); err == nil {
			err = closed
		}
		return err
	})
}

// sysctl calls f with the setting's file on a thread in the namespace, whose own
// settings /proc/sys/net shows then (net_ctl_root).
func (h *Handle) sysctl(what, name string, f func(file string) error) error {
	if !slices.Contains(writableSysctls, name) {
		return fmt.Errorf("%s %s: none of the settings that can be changed here", what, name)
	}
	file := filepath.Join(h.o.ProcRoot, "sys", strings.ReplaceAll(name, ".", "/"))
	if err := netns.Do(h.o.Netns, func() error { return f(file) }); err != nil {
		return fmt.Errorf("%s %s: %w", what, name, err)
	}
	return nil
}
