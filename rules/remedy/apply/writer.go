package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ipsecdiag/analyze"
)

// writer adds records to one application's file. Each is on the disk before put
// returns.
type writer struct {
	j     *Journal
	f     *os.File
	entry *Entry
}

// create begins the file of a new application and gives it its number, one more
// than the last; where its keys are in no file yet, it names the journal's own.
// The caller holds the lock.
func (j *Journal) create(h Header, ownKeys bool) (*writer, error) {
	if err := j.prepare(); err != nil {
		return nil, err
	}
	ids, err := j.ids()
	if err != nil {
		return nil, err
	}
	h.Version, h.ID, h.Time = Version, 1, j.now()
	if len(ids) > 0 {
		h.ID = ids[len(ids)-1] + 1
	}
	if ownKeys {
		h.KeyFile = j.KeyFile(h.ID)
	}
	f, err := os.CreateTemp(j.dir, "."+filepath.Base(j.file(h.ID))+"-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	w := &writer{j: j, f: f, entry: begin(h)}
	if err := w.publish(&h); err != nil {
		w.close()
		os.Remove(f.Name())
		os.Remove(j.file(h.ID)) // nothing was done
		return nil, err
	}
	return w, nil
}

// publish gives the file its name once the plan is in it: had it the name
// before, a death in between would leave a file that nobody can read, and that
// keeps the journal from everything.
func (w *writer) publish(h *Header) error {
	if err := w.put(record{What: recPlan, Header: h}); err != nil {
		return err
	}
	if err := os.Rename(w.f.Name(), w.j.file(h.ID)); err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	return syncDir(w.j.dir)
}

// resume opens the file of an application to go on.
func (j *Journal) resume(id int) (*writer, error) {
	e, err := j.Get(id)
	if err != nil {
		return nil, err
	}
	f, err := openOwn(j.file(id), os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	w := &writer{j: j, f: f, entry: e}
	if err := w.mend(); err != nil {
		w.close()
		return nil, fmt.Errorf("mend journal %s: %w", f.Name(), err)
	}
	return w, nil
}

// mend cuts off a last line that was not written whole, and goes to the end.
func (w *writer) mend() error {
	b, err := io.ReadAll(io.LimitReader(w.f, maxFile))
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(b, '\n') + 1)
	if whole < int64(len(b)) {
		if err := w.f.Truncate(whole); err != nil {
			return err
		}
	}
	_, err = w.f.Seek(whole, io.SeekStart)
	return err
}

// put writes a record through to the disk and folds it into the entry.
func (w *writer) put(r record) error {
	r.Time = w.j.now()
	b, err := json.Marshal(r)
	if err == nil {
		_, err = w.f.Write(append(analyze.PlainJSON(b), '\n'))
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	w.entry.fold(&r)
	return nil
}

func (w *writer) close() { w.f.Close() }

// syncDir writes a directory's entries through to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}
