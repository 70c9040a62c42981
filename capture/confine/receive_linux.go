package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// receivers is the lowest number of descriptors of sockets that only receive. A
// sealed process sends by none that has such a number, and can give no descriptor
// another one. It is above what is given to files that are opened later: a number
// of one that was closed must not come back as that of a file.
const receivers = 256

// mostDescriptors is above all numbers (fs.nr_open).
const mostDescriptors = 1 << 30

// ReceiveOnly gives a socket another number, so that this process cannot send by it
// once it is sealed: who may receive what passes an interface may else send there
// too, whatever he likes. The old number is closed, also where there is an error.
func ReceiveOnly(fd int) (int, error) {
	defer unix.Close(fd)
	to, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, receivers)
	if err != nil {
		return -1, fmt.Errorf("number a socket %d or above (is RLIMIT_NOFILE lower?): %w", receivers, err)
	}
	return to, nil
}
