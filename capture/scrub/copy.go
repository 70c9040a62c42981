package scrub

import (
	"errors"
	"io"
	"iter"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

// ErrNothing is returned by Copy where there was no event.
var ErrNothing = errors.New("nothing that concerns IPsec")

// Copy records events with stand-ins, made by this version of the program. The
// file is created with the first of them, so that one that cannot be read
// leaves nothing behind.
func (s *Scrubber) Copy(version string, events iter.Seq2[analyze.Event, error], create func() (io.Writer, error)) error {
	var rec *capture.Recorder
	err := s.record(events, func(e analyze.Event) (err error) {
		if rec == nil {
			if rec, err = begin(version, e, create); err != nil {
				return err
			}
		}
		return rec.Record(e)
	})
	if rec == nil {
		if err == nil {
			err = ErrNothing
		}
		return err
	}
	return errors.Join(err, rec.Close())
}

func (s *Scrubber) record(events iter.Seq2[analyze.Event, error], put func(analyze.Event) error) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		if e = s.Event(e); e == nil {
			continue
		}
		if err := put(e); err != nil {
			return err
		}
	}
	return nil
}

// begin begins the recording; what is the same in all events it takes from the
// first.
func begin(version string, first analyze.Event, create func() (io.Writer, error)) (*capture.Recorder, error) {
	w, err := create()
	if err != nil {
		return nil, err
	}
	h := first.Head()
	return capture.NewRecorder(w, capture.RecorderOptions{
		Version: version, Host: h.Origin.Host, Netns: h.Origin.Netns, Start: h.Time,
	})
}
