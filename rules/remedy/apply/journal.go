package apply

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultDir is where the journal is kept unless told otherwise.
const DefaultDir = "/var/lib/ipsecdiag"

// suffix ends the name of a journal's file; its number is before it.
const suffix = ".journal"

// maxFile bounds a journal's file: a plan's order names each policy of a host.
const maxFile = 256 << 20

// ErrNone is returned for an application that the journal does not hold.
var ErrNone = errors.New("nothing of that number was applied")

// Journal is a directory that tells what was applied and what was there before:
// a file for each application, one JSON record a line. It is its owner's alone.
// Links in it are not followed.
type Journal struct {
	dir  string
	boot string
	now  func() time.Time
}

// OpenJournal opens the journal in a directory. The directory need not be there
// yet: it is made when something is applied. boot is the present boot of the
// kernel (Kernel.Place): what was applied in another one is gone.
func OpenJournal(dir, boot string) *Journal {
	if len(dir) > 1 {
		dir = strings.TrimRight(dir, "/") // after which a link would be followed
	}
	return &Journal{dir: dir, boot: boot, now: func() time.Time { return time.Now().UTC() }}
}

// Dir returns the directory.
func (j *Journal) Dir() string { return j.dir }

// List returns what was applied, the oldest first. A file that cannot be read is
// an error, which does not hide the others.
func (j *Journal) List() ([]*Entry, error) {
	if err := j.check(); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	ids, err := j.ids()
	if err != nil {
		return nil, err
	}
	var out []*Entry
	var errs []error
	for _, id := range ids {
		e, err := j.Get(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, e)
	}
	return out, errors.Join(errs...)
}

// Get returns one application. The error is ErrNone where there is none.
func (j *Journal) Get(id int) (*Entry, error) {
	if err := j.check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b, err := readOwn(j.file(id), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%d: %w", id, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	e, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("read journal %s: %w", j.file(id), err)
	}
	if e.Stands() && e.Boot != j.boot {
		e.Status = Gone
	}
	return e, nil
}

// ids returns the numbers of all files, ascending.
func (j *Journal) ids() ([]int, error) {
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var ids []int
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), suffix)
		if id, err := strconv.Atoi(name); ok && err == nil && id > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (j *Journal) file(id int) string { return filepath.Join(j.dir, strconv.Itoa(id)+suffix) }

// KeyFile returns where the keys of one application are kept, unless a file of
// the user's own has them.
func (j *Journal) KeyFile(id int) string { return filepath.Join(j.dir, strconv.Itoa(id)+".keys") }

// parse folds a file. A last line that is cut short was never acted upon.
func parse(b []byte) (*Entry, error) {
	var e *Entry
	lines := bufio.NewScanner(bytes.NewReader(b[:bytes.LastIndexByte(b, '\n')+1]))
	lines.Buffer(nil, maxFile)
	for n := 1; lines.Scan(); n++ {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case e != nil:
			e.fold(&r)
		case r.What != recPlan || r.Header == nil:
			return nil, errors.New("it does not begin with a plan")
		case r.Header.Version > Version:
			return nil, fmt.Errorf("version %d is newer than this program's, %d", r.Header.Version, Version)
		default:
			e = begin(*r.Header)
		}
	}
	if e == nil {
		return nil, errors.New("it is empty: nothing was begun")
	}
	return e, lines.Err()
}

// check holds that the directory is its owner's alone. The error is
// fs.ErrNotExist where there is none.
func (j *Journal) check() error {
	if err := checkDir(j.dir); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// prepare makes the directory where there is none.
func (j *Journal) prepare() error {
	if err := os.MkdirAll(filepath.Dir(j.dir), 0o755); err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	if err := os.Mkdir(j.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make journal: %w", err)
	}
	return j.check()
}
