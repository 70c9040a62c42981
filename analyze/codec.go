package analyze

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// CodecVersion is the version of the events' JSON form. Fields are only ever
// added within a version; a reader skips events of a newer one.
const CodecVersion = 1

// Kind names an event type in JSON.
type Kind string

// The kinds, one for each event type.
const (
	KindFrame    Kind = "frame"
	KindClear    Kind = "clear"
	KindFlow     Kind = "flow"
	KindSnapshot Kind = "snapshot"
	KindAcquire  Kind = "acquire"
	KindExpire   Kind = "expire"
	KindPolicy   Kind = "policy"
	KindSA       Kind = "sa"
	KindNeighbor Kind = "neighbor"
	KindCounters Kind = "counters"
	KindDaemon   Kind = "daemon"
	KindLost     Kind = "lost"
	KindTick     Kind = "tick"
	KindAligned  Kind = "alignment"
)

// ErrUnknownEvent is returned by DecodeEvent for an event of a kind or version
// that this program does not know; it may be skipped.
var ErrUnknownEvent = errors.New("unknown event")

// KindOf returns the kind of an event, "" for nil.
func KindOf(e Event) Kind {
	switch e.(type) {
	case *Frame:
		return KindFrame
	case *Flow:
		return KindFlow
	case *Clear:
		return KindClear
	case *Snapshot:
		return KindSnapshot
	case *Acquire:
		return KindAcquire
	case *Expire:
		return KindExpire
	case *PolicyChange:
		return KindPolicy
	case *SAChange:
		return KindSA
	case *NeighborChange:
		return KindNeighbor
	case *Counters:
		return KindCounters
	case *Daemon:
		return KindDaemon
	case *Lost:
		return KindLost
	case *Tick:
		return KindTick
	case *Alignment:
		return KindAligned
	}
	return ""
}

// newEvent returns an empty event of that kind, nil for an unknown one.
func newEvent(k Kind) Event {
	switch k {
	case KindFrame:
		return new(Frame)
	case KindFlow:
		return new(Flow)
	case KindClear:
		return new(Clear)
	case KindSnapshot:
		return new(Snapshot)
	case KindAcquire:
		return new(Acquire)
	case KindExpire:
		return new(Expire)
	case KindPolicy:
		return new(PolicyChange)
	case KindSA:
		return new(SAChange)
	case KindNeighbor:
		return new(NeighborChange)
	case KindCounters:
		return new(Counters)
	case KindDaemon:
		return new(Daemon)
	case KindLost:
		return new(Lost)
	case KindTick:
		return new(Tick)
	case KindAligned:
		return new(Alignment)
	}
	return nil
}

// envelope is an event's JSON form: the header, then the kind's own fields.
type envelope struct {
	Version int             `json:"v"`
	Kind    Kind            `json:"kind"`
	Time    time.Time       `json:"time"`
	Mono    time.Duration   `json:"mono_ns"`
	Seq     uint64          `json:"seq,omitempty"`
	Number  uint64          `json:"number,omitempty"`
	Origin  Origin          `json:"origin"`
	Data    json.RawMessage `json:"data"`
}

// EncodeEvent returns e as one line of versioned PlainJSON without a line feed.
func EncodeEvent(e Event) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", KindOf(e), err)
	}
	h := e.Head()
	line, err := json.Marshal(envelope{
		Version: CodecVersion, Kind: KindOf(e), Time: h.Time.UTC(), Mono: h.Mono,
		Seq: h.Seq, Number: h.Number, Origin: h.Origin, Data: data,
	})
	return PlainJSON(line), err
}

// DecodeEvent reads what EncodeEvent wrote. The error wraps ErrUnknownEvent for
// a newer version or an unknown kind.
func DecodeEvent(b []byte) (Event, error) {
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	if env.Version != CodecVersion {
		return nil, fmt.Errorf("decode %s event of version %d: %w", env.Kind, env.Version, ErrUnknownEvent)
	}
	e := newEvent(env.Kind)
	if e == nil {
		return nil, fmt.Errorf("decode event of kind %q: %w", env.Kind, ErrUnknownEvent)
	}
	if err := json.Unmarshal(env.Data, e); err != nil {
		return nil, fmt.Errorf("decode %s event: %w", env.Kind, err)
	}
	*e.Head() = Header{Time: env.Time, Mono: env.Mono, Seq: env.Seq, Number: env.Number, Origin: env.Origin}
	if f, ok := e.(*Frame); ok {
		f.OrigLen = max(f.OrigLen, len(f.Data)) // what a recording says of itself may be a lie
	}
	return e, nil
}
