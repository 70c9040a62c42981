package capture

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// sharedDirectory makes a directory like /tmp, and beside it a file that is
// dear.
func sharedDirectory(t *testing.T) (shared, dear string) {
	t.Helper()
	dir := t.TempDir()
	shared, dear = filepath.Join(dir, "shared"), filepath.Join(dir, "dear")
	for _, err := range []error{
		os.WriteFile(dear, []byte("dear"), 0o600), os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777|os.ModeSticky),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return shared, dear
}

// stranger is a user that the test is not.
const stranger = 12345

// strangersLink makes a link that somebody else has put there.
func strangersLink(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, stranger, stranger); err != nil {
		t.Skipf("needs root, to be somebody else: %v", err)
	}
	return path
}

// opensAll are the ways in which files are opened.
var opensAll = map[string]func(string) (*os.File, error){
	"read": OpenFile, "record": CreateRecording, "secret": CreateSecret,
	"output": func(path string) (*os.File, error) {
		o, err := ReserveOutput(path, 0o644)
		if err != nil {
			return nil, err
		}
		return o.Begin()
	},
}

// TestNoStrangersLinkIsFollowed holds that in a directory that others may write
// to nobody else's link leads anywhere, be it the file's name or that of a
// directory on the way.
func TestNoStrangersLinkIsFollowed(t *testing.T) {
	shared, dear := sharedDirectory(t)
	file := strangersLink(t, dear, filepath.Join(shared, "file"))
	way := filepath.Join(strangersLink(t, filepath.Dir(dear), filepath.Join(shared, "way")), "dear")
	for name, open := range opensAll {
		for _, path := range []string{file, way} {
			if f, err := open(path); err == nil {
				f.Close()
				t.Errorf("%s: %s was opened", name, path)
			}
		}
	}
	if content, err := os.ReadFile(dear); err != nil || string(content) != "dear" {
		t.Errorf("what a link led to is %q now, %v", content, err)
	}
	if _, err := OpenFile(file); !errors.Is(err, ErrUnsafeFile) {
		t.Errorf("got %v", err)
	}
}

// TestNoStrangersFileIsWrittenTo holds that nothing is written into a file that
// somebody else has made in such a directory, to read it later.
func TestNoStrangersFileIsWrittenTo(t *testing.T) {
	shared, _ := sharedDirectory(t)
	path := filepath.Join(shared, "report.html")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, stranger, stranger); err != nil {
		t.Skipf("needs root, to be somebody else: %v", err)
	}
	for name, open := range opensAll {
		if f, err := open(path); err == nil && name != "read" {
			f.Close()
			t.Errorf("%s: it was opened", name)
		}
	}
}

// TestOwnLinksAreFollowed holds that what one has linked oneself, and what the
// system links, is opened as ever.
func TestOwnLinksAreFollowed(t *testing.T) {
	shared, dear := sharedDirectory(t)
	link := func(target, path string) string {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := filepath.Dir(dear)
	link(".", filepath.Join(dir, "here"))
	pipe, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	feed.WriteString("dear")
	feed.Close()
	for _, path := range []string{
		dear, link(dear, filepath.Join(shared, "own")), link("../dear", filepath.Join(shared, "relative")),
		dir + "//here/./here/shared/../dear", filepath.Join("/proc/self/root", dear),
		"/dev/fd/" + strconv.Itoa(int(pipe.Fd())),
	} {
		f, err := OpenFile(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if content, err := io.ReadAll(f); err != nil || string(content) != "dear" {
			t.Errorf("%s holds %q, %v", path, content, err)
		}
		f.Close()
	}
	loop := link("loop", filepath.Join(dir, "loop"))
	for _, path := range []string{loop, "", filepath.Join(dir, "none"), filepath.Join(dear, "below")} {
		if f, err := OpenFile(path); err == nil {
			f.Close()
			t.Errorf("%q was opened", path)
		}
	}
}
