//go:build unix

package capture

import (
	"io/fs"
	"syscall"
)

// owner returns the user who owns a file, -1 where that is not known.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
