package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleptTime returns for how long this host has been suspended since it booted:
// CLOCK_BOOTTIME goes on meanwhile, CLOCK_MONOTONIC, which is Go's, does not
// (timekeeping_resume).
func sleptTime() time.Duration {
	var mono, boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
