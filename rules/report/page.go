package report

import (
	"bytes"
	"io"
	"strings"
)

// Options say what the reader's terminal can do.
type Options struct {
	Width int  // columns; 80 where zero
	Color bool // SGR escape sequences are understood and wanted
	ASCII bool // ladders are to be drawn without line-drawing characters
	// Ladder tells what to draw under each finding; nothing is where it is nil.
	Ladder Ladder
}

// style is how a span looks where there is colour. Nothing is said by style
// alone.
type style string

// The styles, as SGR parameters (ECMA-48 section 8.3.117).
const (
	plain   style = ""
	bold    style = "1"
	faint   style = "2"
	red     style = "1;31"
	yellow  style = "1;33"
	cyan    style = "1;36"
	green   style = "1;32"
	command style = "36"
)

type span struct {
	style style
	text  string
}

// page collects lines of text and writes them in one piece. All text goes
// through line, which cleans it: nothing that was captured can reach the
// terminal any other way.
type page struct {
	Options
	still bool // what it tells of is one moment, not a stretch of time
	buf   bytes.Buffer
}

func newPage(o Options) *page {
	if o.Width <= 0 {
		o.Width = 80
	}
	return &page{Options: o}
}

// flush writes what was collected.
func (p *page) flush(w io.Writer) error {
	_, err := w.Write(p.buf.Bytes())
	p.buf.Reset()
	return err
}

func (p *page) line(spans ...span) {
	for _, s := range spans {
		text := Clean(s.text)
		if p.Color && s.style != plain && strings.TrimSpace(text) != "" {
			text = "\x1b[" + string(s.style) + "m" + text + "\x1b[0m"
		}
		p.buf.WriteString(text)
	}
	p.buf.WriteByte('\n')
}

func (p *page) gap() { p.buf.WriteByte('\n') }

// para writes text wrapped behind an indent; each of its lines is a paragraph.
func (p *page) para(indent int, st style, text string) {
	for paragraph := range strings.Lines(text) {
		p.hang(strings.Repeat(" ", indent), plain, st, paragraph)
	}
}

// hang writes text wrapped behind a prefix; further lines are indented by the
// prefix's width.
func (p *page) hang(prefix string, prefixStyle, st style, text string) {
	prefix = Clean(prefix)
	indent := displayWidth(prefix)
	for i, l := range wrap(Clean(strings.TrimSpace(text)), p.Width-indent) {
		if i > 0 {
			prefix, prefixStyle = strings.Repeat(" ", indent), plain
		}
		p.line(span{prefixStyle, prefix}, span{st, l})
	}
}
