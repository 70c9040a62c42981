package capture

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/align"
)

// contextInterval is after how many records the context is asked.
const contextInterval = 1024

// fileSource gives the events of one file in the order of the file, and at its
// end an item without an event that tells when the file ended.
type fileSource struct {
	*opened
	host string // the origin's host, for a foreign capture
	warn func(string)
	// clock puts the file's times on that of the first of several files.
	clock   align.Clock
	sampled bool      // see foreign
	among   bool      // it is one of several files
	flows   int       // that are counted apart, 0: as many as a FlowMeter does
	count   func(int) // is told how much of the file was read

	emit    func(item) bool
	stopped bool                       // emit has returned false
	foreign *foreign                   // once there was a frame outside of a recording
	replay  *replay                    // while a recording is read
	names   map[string]*analyze.Origin // by interface
	number  uint64                     // of the last record
	at      int64                      // the latest time
	refused map[analyze.LinkType]bool  // link types that were warned of
}

// begin has what is read handed to emit, until that returns false.
func (s *fileSource) begin(emit func(item) bool) {
	s.emit = func(it item) bool {
		s.at = max(s.at, it.at)
		if s.clock != (align.Clock{}) {
			it.retime(s.clock)
		}
		s.stopped = s.stopped || !emit(it)
		return !s.stopped
	}
	s.names, s.refused = map[string]*analyze.Origin{}, map[analyze.LinkType]bool{}
}

// parse hands on what the window holds. It reports whether more of the file is
// to follow; err is what makes the file unreadable.
func (s *fileSource) parse(ctx context.Context) (more bool, err error) {
	switch err = s.records(ctx); {
	case err == errMore:
		return true, nil
	case s.stopped:
		return false, nil
	}
	if err = s.cutShort(err); err == nil {
		s.emit(item{nil, s.at})
	}
	return false, err
}

// records hands on record after record; nil means that the consumer wants no
// more, errMore that the window holds no other whole one.
func (s *fileSource) records(ctx context.Context) error {
	var r record
	for n := 0; ; n++ {
		if n%contextInterval == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.reader.next(&r); err != nil {
			return err
		}
		more, err := s.take(&r)
		if err != nil || !more {
			return err
		}
	}
}

// take hands on one record.
func (s *fileSource) take(r *record) (more bool, err error) {
	switch r.kind {
	case sectionRecord:
		return s.endSection(), nil
	case journalRecord:
		s.number = r.number
		return s.journal(r)
	}
	s.number = r.number
	if s.replay != nil {
		return s.replay.frame(r), nil
	}
	return s.frame(r)
}

func (s *fileSource) frame(r *record) (more bool, err error) {
	f := r.face
	if f.origin == nil {
		if !supported(f.link) {
			return true, s.refuse(f.link)
		}
		f.origin = s.origin(f.name)
	}
	if s.foreign == nil {
		s.foreign = newForeign(s.emit, s.flows)
		s.foreign.sampled = s.sampled
	}
	return s.foreign.frame(r), nil
}

// origin returns the one origin of an interface of that name.
func (s *fileSource) origin(name string) *analyze.Origin {
	o := s.names[name]
	if o == nil {
		o = &analyze.Origin{Host: s.host, Interface: name}
		if len(s.names) < maxFaces {
			s.names[name] = o
		}
	}
	return o
}

// refuse skips an interface that cannot be decoded, with one warning for each
// link type. Where there is no other interface it is an error.
func (s *fileSource) refuse(link analyze.LinkType) error {
	err := &LinkTypeError{Link: link}
	p, ok := s.reader.(*pcapngReader)
	if !ok || !p.anySupported() {
		return fileError(s.path, err)
	}
	if !s.refused[link] && len(s.refused) < maxFaces {
		s.refused[link] = true
		s.warn(fileError(s.path, fmt.Errorf("some frames were skipped: %w", err)).Error())
	}
	return nil
}

// journal takes a journal block. The header of a recording turns the capture
// into a replay; without one, journals are ignored.
func (s *fileSource) journal(r *record) (more bool, err error) {
	if s.replay != nil {
		return s.replay.journal(r), nil
	}
	name, value, ok := ownField(r.data)
	if !ok || name != fieldHeader {
		return true, nil
	}
	header, err := readHeader(value)
	if err != nil {
		return false, fileError(s.path, err)
	}
	if !s.endSection() {
		return false, nil
	}
	s.replay = newReplay(header, s.among, s.emit)
	return true, nil
}

// endSection hands on what a section still holds.
func (s *fileSource) endSection() bool {
	if p := s.replay; p != nil {
		s.replay = nil
		more := p.end()
		s.at = max(s.at, p.endTime())
		if c := p.complaint(); c != "" {
			s.warn(fileError(s.path, errors.New(c)).Error())
		}
		return more
	}
	if f := s.foreign; f != nil {
		s.at = max(s.at, f.last)
		return f.end()
	}
	return true
}

// cutShort ends the file. Where it ends in the middle, or from there on makes no
// sense, what was read counts: a warning and a Lost event tell of the rest. Other
// errors are returned.
func (s *fileSource) cutShort(err error) error {
	var what string
	_, fileErr := errors.AsType[*FileError](err)
	_, readErr := errors.AsType[*readError](err)
	switch {
	case err == io.EOF:
		s.endSection()
		return nil
	case fileErr, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case readErr:
		return fileError(s.path, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = fmt.Sprintf("cut short after frame %d", s.number)
	default:
		what = fmt.Sprintf("damaged after frame %d: %v", s.number, err)
	}
	s.warn(fileError(s.path, fmt.Errorf("%s; what comes before was read", what)).Error())
	s.lose(what)
	return nil
}

// lose ends the stream with a Lost event.
func (s *fileSource) lose(what string) {
	origin := analyze.Origin{Host: s.host}
	if s.replay != nil {
		origin = analyze.Origin{Host: s.replay.header.Host, Netns: s.replay.header.Netns}
	}
	if !s.endSection() {
		return
	}
	h := analyze.Header{Time: unixTime(s.at), Origin: origin}
	s.emit(item{&analyze.Lost{Header: h, What: "capture file " + what}, s.at})
}

// anySupported reports whether the section has an interface that can be decoded.
func (p *pcapngReader) anySupported() bool {
	for _, f := range p.faces {
		if supported(f.link) {
			return true
		}
	}
	return false
}
