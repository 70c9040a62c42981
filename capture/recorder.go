package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"ipsecdiag/analyze"
)

// ErrMixedLinks is returned by Record for a frame whose link type is not that
// of the recording: libpcap refuses a file that has two.
var ErrMixedLinks = errors.New("frame of a second link type")

// RecorderOptions say where a recording is made.
type RecorderOptions struct {
	Version string    // of the program
	Host    string    // host name
	Netns   string    // name of the network namespace, where it was given
	Kernel  string    // uname -r
	Start   time.Time // of the recording, now if zero
	// Interfaces and their link type are written at the recording's start, so
	// that tcpdump opens it before the first frame. Others are added as they
	// are seen. Without any, the file gets its link type from the first frame.
	Interfaces []string
	Link       analyze.LinkType
}

// Recorder writes a recording. What it holds back is written with the next
// event that comes from a kernel, and at the latest a second of event time
// later.
type Recorder struct {
	w       *bufio.Writer
	options RecorderOptions
	faces   map[analyze.Origin]uint32
	link    analyze.LinkType // of all interfaces, once there are any
	number  uint64           // of the last frame or journal block
	clock   recordedClock    // as a reader knows it
	at      int64            // time of the last event, nanoseconds since 1970
	mono    time.Duration    // of the last event
	ticked  time.Duration    // of the last tick
	flushed time.Duration
	scratch []byte
}

// NewRecorder begins a recording on w.
func NewRecorder(w io.Writer, opt RecorderOptions) (*Recorder, error) {
	if opt.Start.IsZero() {
		opt.Start = time.Now()
	}
	r := &Recorder{
		w: bufio.NewWriterSize(w, 64<<10), options: opt,
		faces: map[analyze.Origin]uint32{}, at: opt.Start.UnixNano(),
	}
	if err := r.begin(); err != nil {
		return nil, fmt.Errorf("begin recording: %w", err)
	}
	return r, nil
}

func (r *Recorder) begin() error {
	r.writeSection()
	for _, name := range r.options.Interfaces {
		o := analyze.Origin{Host: r.options.Host, Netns: r.options.Netns, Interface: name}
		if _, err := r.face(o, r.options.Link); err != nil {
			return err
		}
	}
	header := recordingHeader{
		Format: recordingFormat, Version: recordingVersion, Program: r.options.Version,
		Host: r.options.Host, Netns: r.options.Netns, Kernel: r.options.Kernel, Started: r.options.Start.UTC(),
	}
	message := fmt.Sprintf("ipsecdiag %s begins to record on %s", r.options.Version, analyze.Printable(r.options.Host))
	if err := r.writeJSON(fieldHeader, header, message, r.at); err != nil {
		return err
	}
	return r.w.Flush()
}

// Record writes one event, and sets the number in its header to the number of
// its block. Ticks are not written, but are to be passed as well: they tell how
// time goes on. The file stays readable after an error.
func (r *Recorder) Record(e analyze.Event) error {
	if err := r.record(e); err != nil {
		return fmt.Errorf("record %s event: %w", analyze.KindOf(e), err)
	}
	return nil
}

func (r *Recorder) record(e analyze.Event) error {
	mono := e.Head().Mono
	r.at, r.mono = e.Head().Time.UnixNano(), max(r.mono, mono)
	var err error
	switch e := e.(type) {
	case *analyze.Tick:
		r.ticked = mono
	case *analyze.Alignment: // of files, and no part of a recording
	case *analyze.Frame:
		err = r.recordFrame(e)
	default:
		if err = r.recordEvent(e); err == nil {
			err = r.flush()
		}
	}
	if err == nil && r.mono-r.flushed >= time.Second {
		err = r.flush()
	}
	return err
}

func (r *Recorder) flush() error {
	r.flushed = r.mono
	return r.w.Flush()
}

func (r *Recorder) recordFrame(f *analyze.Frame) error {
	id, err := r.face(f.Origin, f.Link)
	if err != nil {
		return err
	}
	if err := r.syncClock(f.Time.UnixNano(), f.Mono); err != nil {
		return err
	}
	r.number++
	f.Number = r.number
	return r.writeFrame(id, f)
}

// syncClock makes sure that a reader gives the coming frame its Mono: where
// that does not follow from what is written, a clock block goes first. This is
// so at the beginning, after a step of the clock, and where a frame came so
// late that a tick had passed.
func (r *Recorder) syncClock(at int64, mono time.Duration) error {
	if r.clock.mono(at) == mono {
		return nil
	}
	next := recordedClock{Base: r.clock.Base, Floor: r.ticked}
	if next.mono(at) != mono {
		next = recordedClock{Base: at - int64(mono), Floor: mono}
	}
	r.clock = next
	message := fmt.Sprintf("event clock: 0 s is %s", unixTime(next.Base).Format(time.RFC3339Nano))
	return r.writeJSON(fieldClock, next, message, at)
}

// recordEvent writes an event that is no frame as journal blocks, one unless it
// is a large Snapshot.
func (r *Recorder) recordEvent(e analyze.Event) error {
	h := e.Head()
	h.Number = r.number + 1
	r.clock.Floor = max(r.clock.Floor, h.Mono)
	blob, err := analyze.EncodeEvent(e)
	if err != nil {
		return err
	}
	if s, ok := e.(*analyze.Snapshot); ok && len(blob) > maxEventJSON {
		return r.recordParts(s)
	}
	return r.writeEvent(e, blob, recordedPart{Index: 1, Of: 1})
}

// recordParts writes a Snapshot in parts.
func (r *Recorder) recordParts(s *analyze.Snapshot) error {
	parts, err := splitSnapshot(s)
	if err != nil {
		return err
	}
	for i, blob := range parts {
		if err := r.writeEvent(s, blob, recordedPart{Index: i + 1, Of: len(parts)}); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the recording in good order. It does not close the writer.
func (r *Recorder) Close() error {
	if err := r.finish(); err != nil {
		return fmt.Errorf("end recording: %w", err)
	}
	return nil
}

func (r *Recorder) finish() error {
	if len(r.faces) == 0 { // libpcap refuses a file without an interface
		if _, err := r.face(analyze.Origin{Host: r.options.Host, Netns: r.options.Netns}, analyze.LinkEthernet); err != nil {
			return err
		}
	}
	message := fmt.Sprintf("recording ends after %s", r.mono)
	if err := r.writeJSON(fieldEnd, recordedEnd{Mono: r.mono}, message, r.at); err != nil {
		return err
	}
	return r.w.Flush()
}
