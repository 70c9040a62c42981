package procfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestRead holds that files of all lengths are read as package os reads them.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, n := range []int{0, 1, usual - 1, usual, usual + 1, 5 * usual} {
		want := bytes.Repeat([]byte{byte(n)}, n)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("of %d bytes %d were read, %v", n, len(got), err)
		}
	}
	if got, err := Read("/proc/self/net/snmp6"); err != nil || !bytes.Contains(got, []byte("Ip6InReceives")) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestErrors holds that an error says what it is about.
func TestErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := Read(missing)
	if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Path != missing || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
}
