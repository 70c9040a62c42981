package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ipsecdiag/analyze"
)

// replay gives the events of a recording as they were let through live.
type replay struct {
	emit    func(item) bool
	header  recordingHeader
	origins map[int]analyze.Origin // of interfaces that are not of the header's host
	clock   recordedClock
	begun   bool
	base    int64         // when Mono is 0, nanoseconds since 1970; never changes
	mono    time.Duration // of the last event or the end
	parts   snapshotParts
	// among says that other files tell of the same time, and slept is for how long
	// the host was suspended while that went on for them.
	among   bool
	slept   time.Duration
	skipped int // events that this program does not know
	damaged int // events that could not be read
}

// readHeader reads the header of a recording. The error wraps ErrNewer for one
// that this program cannot read.
func readHeader(value []byte) (recordingHeader, error) {
	var h recordingHeader
	if err := json.Unmarshal(value, &h); err != nil {
		return h, fmt.Errorf("read recording header: %w", err)
	}
	if h.Format != recordingFormat {
		return h, fmt.Errorf("read recording header: unknown format %q", h.Format)
	}
	if h.Version > recordingVersion {
		return h, fmt.Errorf("%w (recording format %d; this program reads up to %d)", ErrNewer, h.Version, recordingVersion)
	}
	return h, nil
}

func newReplay(h recordingHeader, among bool, emit func(item) bool) *replay {
	return &replay{emit: emit, header: h, among: among, origins: map[int]analyze.Origin{}}
}

// frame takes a frame. ESP and AH are not counted here: they were counted when
// the recording was made.
func (p *replay) frame(r *record) bool {
	if !p.lose() {
		return false
	}
	origin, ok := p.origins[r.face.id]
	if !ok {
		origin = analyze.Origin{Host: p.header.Host, Netns: p.header.Netns, Interface: r.face.name}
	}
	if p.clock.Base == 0 { // a recording that was cut at its front
		p.clock.Base = r.at - int64(p.clock.Floor)
	}
	mono := p.clock.mono(r.at)
	p.begin(r.at - int64(mono))
	return p.hand(r.frame(origin, len(r.data)), mono)
}

// begin fixes the base at the first event.
func (p *replay) begin(base int64) {
	if !p.begun {
		p.begun, p.base = true, clampTime(base)
	}
}

func (p *replay) hand(e analyze.Event, mono time.Duration) bool {
	p.mono = max(p.mono, clampMono(mono))
	if l, ok := e.(*analyze.Lost); ok && p.among {
		d, _ := suspendedFor(l)
		p.slept = clampMono(p.slept + clampMono(d))
	}
	return p.emit(item{e, p.endTime()})
}

// clampTime keeps a time from a file within 0 and maxTime.
func clampTime(ns int64) int64 { return min(max(ns, 0), maxTime) }

// clampMono keeps a duration from a file within 0 and half of maxTime.
func clampMono(d time.Duration) time.Duration { return min(max(d, 0), maxTime/2) }

// journal takes a journal block. Foreign ones are ignored.
func (p *replay) journal(r *record) bool {
	var part recordedPart
	for b := r.data; ; {
		name, value, rest, ok := nextField(b)
		if !ok {
			return true
		}
		b = rest
		switch string(name) {
		case fieldPart:
			p.read(value, &part)
		case fieldEvent:
			return p.event(r, value, part)
		case fieldClock:
			p.setClock(value)
			return true
		case fieldInterface:
			p.setInterface(value)
			return true
		case fieldEnd:
			return p.setEnd(value)
		}
	}
}

// read decodes one of the recording's own records, or counts it as damaged.
func (p *replay) read(value []byte, into any) bool {
	if err := json.Unmarshal(value, into); err != nil {
		p.damaged++
		return false
	}
	return true
}

func (p *replay) setClock(value []byte) {
	var c recordedClock
	if p.read(value, &c) {
		p.clock = recordedClock{Base: clampTime(c.Base), Floor: clampMono(c.Floor)}
	}
}

func (p *replay) setInterface(value []byte) {
	var i recordedInterface
	if p.read(value, &i) && len(p.origins) < maxFaces {
		p.origins[i.ID] = i.Origin
	}
}

func (p *replay) setEnd(value []byte) bool {
	var e recordedEnd
	if p.read(value, &e) {
		p.mono = max(p.mono, clampMono(e.Mono))
	}
	return p.lose()
}

// event takes an event other than a frame.
func (p *replay) event(r *record, value []byte, part recordedPart) bool {
	e, err := decodeRecorded(value)
	switch {
	case errors.Is(err, analyze.ErrUnknownEvent):
		p.skipped++
		return true
	case err != nil:
		p.damaged++
		return true
	}
	h := e.Head()
	h.Number, h.Mono = r.number, clampMono(h.Mono)
	if part != (recordedPart{}) {
		return p.part(e, part)
	}
	return p.lose() && p.pass(e)
}

// errNotRecorded is why an event in a journal block is damage.
var errNotRecorded = errors.New("not an event that is recorded in this form")

// decodeRecorded decodes an event of a journal block: none that is larger than
// the recorder makes them, for a few bytes of JSON can ask for much memory, and
// neither frames nor ticks.
func decodeRecorded(value []byte) (analyze.Event, error) {
	if len(value) > maxEventJSON {
		return nil, errNotRecorded
	}
	e, err := analyze.DecodeEvent(value)
	switch e.(type) {
	case *analyze.Frame, *analyze.Tick, *analyze.Alignment:
		return nil, errNotRecorded
	}
	return e, err
}

func (p *replay) pass(e analyze.Event) bool {
	h := e.Head()
	p.begin(h.Time.UnixNano() - int64(h.Mono))
	p.clock.Floor = max(p.clock.Floor, h.Mono)
	return p.hand(e, h.Mono)
}

// part takes a part of a Snapshot, and passes that on when it is complete.
func (p *replay) part(e analyze.Event, part recordedPart) bool {
	s, ok := e.(*analyze.Snapshot)
	if !ok || !p.parts.fits(s, part) {
		p.damaged++
		return p.lose()
	}
	if whole := p.parts.add(s, part); whole != nil {
		return p.pass(whole)
	}
	return true
}

// lose gives up a Snapshot whose parts are not complete when something else
// comes, and says so in the stream.
func (p *replay) lose() bool {
	if !p.parts.pending() {
		return true
	}
	h := p.parts.whole.Header
	p.parts = snapshotParts{}
	return p.pass(&analyze.Lost{Header: h, What: "snapshot in the recording is not complete", Count: 1})
}

// end gives up what is not complete.
func (p *replay) end() bool { return p.lose() }

// endTime returns when the last event was, or the recording ended.
func (p *replay) endTime() int64 { return clampTime(p.base + int64(p.mono+p.slept)) }

// complaint returns what is to be warned of, "" if nothing.
func (p *replay) complaint() string {
	switch {
	case p.skipped > 0:
		return fmt.Sprintf("%d events of kinds or versions that this program does not know were skipped (recorded by ipsecdiag %s)",
			p.skipped, analyze.Printable(p.header.Program))
	case p.damaged > 0:
		return fmt.Sprintf("%d damaged events were skipped", p.damaged)
	}
	return ""
}
