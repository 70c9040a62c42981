package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// stopRecording ends the recording, if there is one.
func (w *watcher) stopRecording() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recording.close()
}

// anyName is the path of a recording of which the keeper chooses the name.
const anyName = "*"

// toggleRecording stops the recording, or begins one in a new file, and says
// which.
func (w *watcher) toggleRecording() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.recording; r.on() {
		return recordedTo(r.now), r.close()
	}
	r := &recording{host: w.host, netns: w.netns, kernel: w.recording.kernel, create: w.keeper.NewFile}
	r.path = anyName
	if err := r.open(); err != nil {
		return "", err
	}
	path := r.now
	w.recording, w.recorded = r, append(w.recorded, path)
	return "recording to " + path + "; w stops it", w.recordKernels()
}

// turnRing begins the ring's next file where it is time to, with what is known of
// the kernel, so that each file can be used by itself.
func (w *watcher) turnRing(e analyze.Event) error {
	begun, err := w.recording.turn(e)
	if err != nil || !begun {
		return err
	}
	return w.recordKernels()
}

// recordKernels begins a recording with what is known of the kernel: to begin
// with its changes would be no use.
func (w *watcher) recordKernels() error {
	state := w.engine.State
	for _, h := range state.Hosts {
		if !h.Told() {
			continue
		}
		e := &analyze.Snapshot{KernelState: h.Kernel()}
		e.Header = analyze.Header{Time: state.Now.Time, Mono: state.Now.Mono, Origin: h.Origin}
		if err := w.recording.put(e); err != nil {
			return err
		}
		if err := w.recordDaemons(h); err != nil {
			return err
		}
	}
	return nil
}

// recordDaemons does the same for what the host's IKE daemons have told.
func (w *watcher) recordDaemons(h *analyze.Host) error {
	for _, word := range h.Words() {
		e := &analyze.Daemon{Word: &word}
		e.Header = analyze.Header{Time: w.engine.State.Now.Time, Mono: w.engine.State.Now.Mono, Origin: h.Origin}
		if err := w.recording.put(e); err != nil {
			return err
		}
	}
	return nil
}

// newRecordingName returns a name in the present directory that no file has.
func newRecordingName(host string, now time.Time) (string, error) {
	host = strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' {
			return '_'
		}
		return r
	}, host)
	base := fmt.Sprintf("ipsecdiag-%s-%s", host, now.UTC().Format("20060102T150405Z"))
	for i := range 100 {
		name := base + ".pcapng"
		if i > 0 {
			name = fmt.Sprintf("%s-%d.pcapng", base, i)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("make %s.pcapng: there are a hundred of that name", base)
}
