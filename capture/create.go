package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrUnsafeFile is returned by CreateRecording for a name that already stands
// for something it must not overwrite: a link, a device, a file of somebody
// else or one with a second name.
var ErrUnsafeFile = errors.New("exists and is not a plain file of this user")

// CreateRecording makes the file for a recording, readable by its owner only. A
// file of that name is overwritten if it is plain and one's own; links are not
// followed, so that nobody who shares the directory can choose what is
// overwritten.
func CreateRecording(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		f, err = overwrite(path)
	}
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", fileError(path, err))
	}
	return f, nil
}

// overwrite opens an existing file and empties it.
func overwrite(path string) (*os.File, error) {
	f, err := openExisting(path)
	if err != nil {
		return nil, err
	}
	if err := emptyOwn(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

func emptyOwn(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !ownAlone(info) {
		return ErrUnsafeFile
	}
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	return f.Truncate(0)
}
