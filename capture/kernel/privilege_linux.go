package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Privilege returns the effective capabilities of the calling thread.
func Privilege() (Privileges, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // one for each half of the 64-bit set
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return Privileges{}, fmt.Errorf("read capabilities: %w", err)
	}
	has := func(c uint) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return Privileges{NetAdmin: has(unix.CAP_NET_ADMIN), NetRaw: has(unix.CAP_NET_RAW)}, nil
}
