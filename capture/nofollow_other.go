//go:build !linux

package capture

import (
	"io/fs"
	"os"
)

// openFile opens a file. Which links are followed is the system's matter.
func openFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, mode)
}
