package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules/report/ladder"
)

// Step writes all that is known of one step of a ladder: what became of it, who
// saw it, the message decoded and its bytes.
func Step(w io.Writer, l *ladder.Ladder, s *ladder.Step, o Options) error {
	p := newPage(o)
	st := bold
	if s.Fate.Dead() {
		st = red
	}
	p.para(0, st, s.Label)
	if s.Why != "" {
		p.para(0, st, s.Why)
	}
	p.para(0, plain, stepFate(l, s))
	p.sightings(s)
	if len(s.Detail) > 0 {
		p.heading("What it is")
		for _, d := range s.Detail {
			p.para(4, plain, d)
		}
	}
	if s.Item != nil {
		p.item(s.Item)
	}
	return p.flush(w)
}

// stepFate says between whom it went, and how far it came.
func stepFate(l *ladder.Ladder, s *ladder.Step) string {
	from, to := l.Hosts[s.From.Host].Label(), l.Hosts[s.To.Host].Label()
	switch {
	case s.Fate == ladder.Event:
		return "On " + from + "."
	case s.From.Host == s.To.Host:
		return "Inside " + from + ": " + s.From.Role.String() + " to " + s.To.Role.String() + "."
	}
	switch s.Fate {
	case ladder.Held:
		return fmt.Sprintf("From %s to %s. It never left its host (%s).", from, to, s.Confidence)
	case ladder.Lost:
		return fmt.Sprintf("From %s to %s. It left and was not seen to arrive (%s).", from, to, s.Confidence)
	case ladder.Refused:
		return fmt.Sprintf("From %s to %s. It arrived, and the receiver's kernel dropped it (%s).", from, to, s.Confidence)
	case ladder.Missing:
		return fmt.Sprintf("From %s to %s. It was to come, and was not seen (%s).", from, to, s.Confidence)
	}
	return fmt.Sprintf("From %s to %s.", from, to)
}

// maxSightings bounds the sightings that are listed of one step.
const maxSightings = 20

func (p *page) sightings(s *ladder.Step) {
	if s.Count > 1 {
		p.para(0, plain, fmt.Sprintf("It happened %d times; the latest at %s.", s.Count, s.Last.Time.UTC().Format(clock)))
	}
	if len(s.Seen) == 0 {
		p.para(0, plain, "Nobody saw it: it is concluded from what was seen.")
		return
	}
	p.heading("Who saw it (times are UTC)")
	for i, seen := range s.Seen {
		if i == maxSightings {
			p.para(4, plain, fmt.Sprintf("… and %d more", len(s.Seen)-i))
			return
		}
		text := seen.Origin
		if seen.Frame > 0 {
			text += fmt.Sprintf(" #%d", seen.Frame)
		}
		p.hang("    "+seen.Time.UTC().Format(clock)+"  ", faint, plain, text)
	}
}

// item writes what a step was made of. A run of ESP is told in the step's own
// words: it has no one message.
func (p *page) item(i *timeline.Item) {
	if m := i.Message(); m != nil {
		p.message(m)
	}
	switch e := i.Event.(type) {
	case *analyze.Frame:
		p.packet(e)
		p.bytes(e.Data)
	case *analyze.Flow, *analyze.Snapshot, nil:
	default:
		p.event(e)
	}
}

// event writes an event of a kernel as the recording has it.
func (p *page) event(e analyze.Event) {
	blob, err := analyze.EncodeEvent(e)
	if err != nil {
		return
	}
	var indented bytes.Buffer
	if json.Indent(&indented, blob, "", "  ") != nil {
		return
	}
	if d, ok := e.(*analyze.Daemon); ok && d.Word != nil {
		p.heading("The daemon's word")
	} else {
		p.heading("The kernel's event")
	}
	for line := range strings.Lines(indented.String()) {
		p.line(span{plain, "    "}, span{command, strings.TrimRight(line, "\n")})
	}
}

// maxDumped bounds the bytes of a frame that are shown.
const maxDumped = 4096

// bytes writes a dump in hexadecimal, sixteen bytes a line.
func (p *page) bytes(b []byte) {
	p.heading(count(uint64(len(b)), "byte") + ", from the link layer on")
	for at := 0; at < min(len(b), maxDumped); at += 16 {
		row := b[at:min(at+16, len(b))]
		p.line(span{faint, fmt.Sprintf("    %04x  ", at)}, span{plain, fmt.Sprintf("%-47s  ", fmt.Sprintf("% x", row))}, span{faint, ascii(row)})
	}
	if len(b) > maxDumped {
		p.para(4, plain, fmt.Sprintf("… %d more", len(b)-maxDumped))
	}
}

func ascii(b []byte) string {
	text := []byte(string(b))
	for i, c := range text {
		if c < 0x20 || c > 0x7e {
			text[i] = '.'
		}
	}
	return string(text)
}
