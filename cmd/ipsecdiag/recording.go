package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

// recording is the file of -w, or with a ring one after another. Without a path
// it records nothing.
type recording struct {
	ringFiles
	host, netns string
	// create makes the next file; nil: this process does.
	create func() (name string, f *os.File, err error)
	kernel string     // its release
	mu     sync.Mutex // open is called by a source of events
	file   io.Closer
	rec    *capture.Recorder
	now    string // the file that is written
	size   sizeWriter
	start  time.Time     // of the file
	began  time.Duration // event time then
}

// ringFiles makes the files of a ring, or the only one.
type ringFiles struct {
	path  string
	ring  ring
	made  []string         // the ring's files of this run that may still be there
	clock func() time.Time // for tests; nil: time.Now
}

// next makes the next file, and removes the oldest where there are too many.
func (f *ringFiles) next() (name string, file *os.File, err error) {
	now := time.Now()
	if f.clock != nil {
		now = f.clock()
	}
	name = f.ring.name(f.path, now)
	if err := f.ring.trim(f.path, f.made); err != nil {
		return "", nil, err
	}
	if f.ring.on() {
		f.made = append(f.made, filepath.Clean(name))
		f.made = f.made[max(len(f.made)-f.ring.keep, 0):]
	}
	file, err = capture.CreateRecording(name)
	return name, file, err
}

func (r *recording) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path == "" || r.rec != nil {
		return nil
	}
	create := r.create
	if create == nil {
		create = r.ringFiles.next
	}
	name, f, err := create()
	if err != nil {
		return err
	}
	now := time.Now()
	if r.clock != nil {
		now = r.clock()
	}
	r.file, r.now, r.start, r.size = f, name, now, sizeWriter{w: f}
	r.rec, err = capture.NewRecorder(&r.size, capture.RecorderOptions{
		Version: buildVersion(), Host: r.host, Netns: r.netns, Kernel: r.kernel, Start: now,
	})
	return err
}

// sizeWriter counts what goes through it.
type sizeWriter struct {
	w io.Writer
	n int64
}

// Write writes on.
func (s *sizeWriter) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.n += int64(n)
	return n, err
}

// turn ends the file and begins the ring's next one, if it is time to: at a
// whole second of event time.
func (r *recording) turn(e analyze.Event) (begun bool, err error) {
	if _, tick := e.(*analyze.Tick); !tick || !r.on() || !r.ring.full(r.size.n, e.Head().Mono-r.began) {
		return false, nil
	}
	if err := r.finish(); err != nil {
		return false, err
	}
	r.began = e.Head().Mono
	return true, r.open()
}

// finish ends the file in good order.
func (r *recording) finish() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.rec
	r.rec = nil
	if rec == nil {
		return nil
	}
	return errors.Join(rec.Close(), r.file.Close())
}

// kernelRelease is what uname -r prints, "" where that is not known.
func kernelRelease() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(release))
}

// put records an event, which gives it its number. It is not to be called while
// close may be.
func (r *recording) put(e analyze.Event) error {
	if err := r.open(); err != nil || r.rec == nil {
		return err
	}
	return r.rec.Record(e)
}

// on reports whether there is a file that is being written.
func (r *recording) on() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rec != nil
}

// close ends the recording; it begins anew no more.
func (r *recording) close() error {
	err := r.finish()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.path = ""
	return err
}
