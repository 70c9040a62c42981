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

// OpenFile opens a file for reading as os.Open does, but follows no link that
// somebody else may have put into a shared directory: that is ErrUnsafeFile.
func OpenFile(path string) (*os.File, error) { return openFile(path, os.O_RDONLY, 0) }

// CreateSecret makes a file that its owner alone may read. One of that name, or
// a link, is an error, fs.ErrExist.
func CreateSecret(path string) (*os.File, error) {
	return openFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
}

// Output is a file that is written once all is known, and opened before: by then
// nothing can be opened any more. What stands in it is lost only then.
type Output struct {
	file *os.File
	mode fs.FileMode // it has no other permissions then
}

// ReserveOutput opens a file for output, or makes it with that mode. Links are
// followed as OpenFile does.
func ReserveOutput(path string, mode fs.FileMode) (*Output, error) {
	f, err := openFile(path, os.O_WRONLY|os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	return &Output{f, mode}, nil
}

// ReserveRecording opens a file for a recording, as CreateRecording does.
func ReserveRecording(path string) (*Output, error) {
	f, err := openRecording(path)
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", fileError(path, err))
	}
	return &Output{f, 0o600}, nil
}

// Begin empties the file and returns it.
func (o *Output) Begin() (*os.File, error) {
	info, err := o.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return o.file, err
	}
	if info.Mode().Perm()&^o.mode != 0 {
		err = o.file.Chmod(info.Mode().Perm() & o.mode)
	}
	return o.file, errors.Join(err, o.file.Truncate(0))
}

// Close closes the file.
func (o *Output) Close() error { return o.file.Close() }

// CreateRecording makes the file for a recording, readable by its owner only. A
// file of that name is overwritten if it is plain and one's own; links are not
// followed, so that nobody who shares the directory can choose what is
// overwritten.
func CreateRecording(path string) (*os.File, error) {
	o, err := ReserveRecording(path)
	if err != nil {
		return nil, err
	}
	f, err := o.Begin()
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("create recording: %w", fileError(path, err))
	}
	return f, nil
}

// openRecording makes a file, or opens one that may be overwritten.
func openRecording(path string) (*os.File, error) {
	f, err := openFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if f, err = openExisting(path); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !ownAlone(info)) {
		err = ErrUnsafeFile
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}
