package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

// recording is the file of -w. Without a path it records nothing.
type recording struct {
	path        string
	host, netns string
	mu          sync.Mutex // open is called by a source of events
	file        io.Closer
	rec         *capture.Recorder
}

func (r *recording) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path == "" || r.rec != nil {
		return nil
	}
	f, err := capture.CreateRecording(r.path)
	if err != nil {
		return err
	}
	r.file = f
	r.rec, err = capture.NewRecorder(f, capture.RecorderOptions{
		Version: buildVersion(), Host: r.host, Netns: r.netns, Kernel: kernelRelease(),
	})
	return err
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
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.rec
	r.path, r.rec = "", nil
	if rec == nil {
		return nil
	}
	return errors.Join(rec.Close(), r.file.Close())
}
