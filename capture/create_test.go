package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCreateRecording holds that a recording is its owner's alone, and that
// nothing is overwritten but a plain file of one's own.
func TestCreateRecording(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.pcapng")
	for range 2 { // new, then overwritten
		f, err := CreateRecording(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 0 {
			t.Errorf("mode %v size %d, %v", info.Mode(), info.Size(), err)
		}
		fmt.Fprint(f, "content")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	unsafe := map[string]func(string) error{
		"link":      func(p string) error { return os.Symlink(path, p) },
		"hard link": func(p string) error { return os.Link(path, p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
	}
	for name, make := range unsafe {
		p := filepath.Join(dir, name)
		if err := make(p); err != nil {
			t.Fatal(err)
		}
		if f, err := CreateRecording(p); err == nil {
			f.Close()
			t.Errorf("%s was overwritten", name)
		}
	}
}
